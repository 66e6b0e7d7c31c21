// SPDX-License-Identifier: GPL-2.0
/*
 * csum: the contents of the executable, as a part of the key. IMA hashes them, or
 * this does.
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/dcache.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/hash_info.h>
#include <linux/ima.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <crypto/sha2.h>

#include "derived_log.h"
#include "ima_mix.h"

/* Hashing takes its time, with key_types_sem held. */
static unsigned long csum_max = 256UL << 20;
module_param(csum_max, ulong, 0444);
MODULE_PARM_DESC(csum_max, "largest executable, in bytes, that csum is for (default: 256 MiB)");

/* An executable that is being hashed; on the stack of who has it hashed. */
struct hasher {
	struct list_head list;
	u32 euid;
	u64 size;
};

static LIST_HEAD(hashers);
static DEFINE_MUTEX(hashers_lock);

/*
 * Counts before it is hashed, since nothing may wait here: what one user has
 * hashed at one moment is together no more than csum_max. One counter for all, or
 * for all whose user ids hash to the same, would let a user keep csum from root.
 *
 * Returns whether it may be hashed; then end_hashing() is to follow.
 */
static bool begin_hashing(struct hasher *hasher)
{
	const struct hasher *other;
	u64 sum = 0;
	bool may;

	mutex_lock(&hashers_lock);
	list_for_each_entry(other, &hashers, list)
		if (other->euid == hasher->euid)
			sum += other->size;
	may = hasher->size <= csum_max - sum;
	if (may)
		list_add(&hasher->list, &hashers);
	mutex_unlock(&hashers_lock);
	return may;
}

static void end_hashing(struct hasher *hasher)
{
	mutex_lock(&hashers_lock);
	list_del(&hasher->list);
	mutex_unlock(&hashers_lock);
}

/*
 * Bytes read at a time, between two looks at the signals. An overlay opens the
 * layer's file for each read, once the program was copied up.
 */
#define HASH_CHUNK	SZ_256K

/*
 * Reads from an executable, like IMA: without asking a security module or
 * fanotify. The bytes go no further than the hash, and fanotify would have a
 * program in user space answer, with key_types_sem held. (An overlay asks both all
 * the same, about the file of its layer.)
 *
 * Returns the bytes read, 0 at the end of the file, or a negative errno.
 */
static ssize_t read_exe(struct file *exe, loff_t pos, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;
	struct kiocb kiocb;

	if (!(exe->f_mode & FMODE_READ) || !exe->f_op->read_iter)
		return -EINVAL;
	init_sync_kiocb(&kiocb, exe);
	kiocb.ki_pos = pos;
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return exe->f_op->read_iter(&kiocb, &iter);
}

/* SHA-256 of a file of @size bytes. Returns 0 or a negative errno. */
static int hash_contents(struct file *exe, u64 size,
			 u8 digest[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;
	ssize_t n = 0;
	u64 done = 0;
	u8 *buf;

	buf = kvmalloc(HASH_CHUNK, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	sha256_init(&ctx);
	while (done < size) {
		if (fatal_signal_pending(current))
			n = -EINTR;
		else
			n = read_exe(exe, done, buf,
				     min_t(u64, size - done, HASH_CHUNK));
		if (n <= 0)
			break;
		sha256_update(&ctx, buf, n);
		done += n;
		cond_resched();
	}
	sha256_final(&ctx, digest);
	kvfree(buf);
	if (done == size)
		return 0;
	return n ?: -EIO;
}

static bool has_verity(const struct file *exe)
{
	return IS_VERITY(file_inode(exe)) ||
	       IS_VERITY(d_real_inode(file_dentry(exe)));
}

/*
 * IMA's SHA-256 of the contents, if it has one: IMA keeps what its policy measured,
 * and so saves the reading.
 *
 * IMA answers with whatever it has. With ima_hash=, or with security.ima of the
 * file, that is another algorithm; for a file with fs-verity it may be the
 * fs-verity digest, which is no digest of the contents. A file never loses
 * fs-verity, so a file without it at the end had none while IMA hashed it.
 *
 * Returns whether there is one.
 */
static bool ask_ima(struct file *exe, u8 sha256[SHA256_DIGEST_SIZE])
{
	u8 digest[SHA512_DIGEST_SIZE];	/* the longest that IMA knows */

	if (has_verity(exe) ||
	    ima_file_hash(exe, digest, sizeof(digest)) != HASH_ALGO_SHA256 ||
	    has_verity(exe))
		return false;
	memcpy(sha256, digest, SHA256_DIGEST_SIZE);
	return true;
}

/*
 * execve(2) denies writing to the file that it runs (C9), for as long as that is
 * the executable of the process. It does not where a storage manager listens for
 * accesses by fanotify (C9b). Which is the case depends on how this very file was
 * opened, and not on the inode's count, which another process may have lowered.
 *
 * Writing is denied here as well, and then the executable must still be the same
 * file. So writing has been denied from execve(2) to the end of the hash: prctl(2)
 * can take the file away from the process, but cannot put it back.
 */
static bool deny_write_since_exec(struct file *exe)
{
	if (FMODE_FSNOTIFY_HSM(exe->f_mode) ||
	    atomic_read(&file_inode(exe)->i_writecount) >= 0 ||
	    deny_write_access(exe))
		return false;
	if (rcu_access_pointer(current->mm->exe_file) == exe)
		return true;
	allow_write_access(exe);
	return false;
}

/**
 * derived_hash_exe() - hash the contents of an executable
 * @exe:	the executable of this process
 * @euid:	effective user id, in the initial user namespace
 * @sha256:	the result: SHA-256 of the contents
 *
 * By IMA, else here (a kernel without IMA, another algorithm, fs-verity). It is the
 * same digest whoever computes it, so the key does not depend on the kernel's
 * configuration or command line, nor on IMA's policy.
 *
 * Context: process context, with key_types_sem held for reading; reads the whole
 * executable.
 * Return: 0; -EPERM if it may be written meanwhile; -EFBIG if it is larger than
 * csum_max; -EAGAIN if too much is being hashed for this user; -EOPNOTSUPP if it
 * cannot be read; -EINTR if the process is killed meanwhile; -ENOMEM
 */
int derived_hash_exe(struct file *exe, u32 euid, u8 sha256[SHA256_DIGEST_SIZE])
{
	struct inode *inode = file_inode(exe);
	struct hasher hasher = {
		.euid = euid,
		.size = i_size_read(inode),
	};
	int err = 0;

	/* C12: a sparse file of a terabyte costs nothing to make. */
	if (hasher.size > csum_max)
		return derived_refuse(DERIVED_CAUSE_SIZE, -EFBIG,
				      "csum: its executable is larger than csum_max=%lu bytes",
				      csum_max);
	if (!deny_write_since_exec(exe))
		return derived_refuse(DERIVED_CAUSE_CSUM, -EPERM,
				      "csum: its executable may be written while it runs");
	if (!begin_hashing(&hasher)) {
		allow_write_access(exe);
		return -EAGAIN;
	}

	if (!ask_ima(exe, sha256))
		err = hash_contents(exe, hasher.size, sha256);
	/* A server may change it all the same (csum_fs=). */
	if (!err && i_size_read(inode) != hasher.size)
		err = -EIO;

	end_hashing(&hasher);
	allow_write_access(exe);
	if (!err || err == -ENOMEM)
		return err;
	if (fatal_signal_pending(current))
		return -EINTR;
	return derived_refuse(DERIVED_CAUSE_CSUM, -EOPNOTSUPP,
			      "csum: its executable cannot be read (errno %d)",
			      -err);
}
