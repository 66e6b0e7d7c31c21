// SPDX-License-Identifier: GPL-2.0
/*
 * csum: the contents of the executable, as a part of the key. IMA hashes them,
 * or this file does.
 */

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

/* A limit, because key_types_sem is held while the executable is hashed. */
static unsigned long csum_max = 256UL << 20;
module_param(csum_max, ulong, 0444);
MODULE_PARM_DESC(csum_max, "largest executable, in bytes, that csum is for (default: 256 MiB)");

/* An executable that is being hashed; on the stack of the process that asks. */
struct hasher {
	struct list_head list;
	u32 euid;
	u64 size;
};

static LIST_HEAD(hashers);
static DEFINE_MUTEX(hashers_lock);

/*
 * Limits what is hashed for one user at the same time to csum_max bytes in all.
 * It counts before hashing and does not wait, because key_types_sem is held.
 * The limit is for each user: with one counter for all users, or for all user
 * ids in one hash bucket, a user could keep root from using csum.
 *
 * Returns whether the executable may be hashed. If so, end_hashing() must
 * follow.
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
 * Bytes to read before the next look at the signals. Not fewer: after a
 * copy-up, an overlay opens the layer's file anew for each read.
 */
#define HASH_CHUNK	SZ_256K

/*
 * Reads from an executable, like IMA: without asking a security module or
 * fanotify. The bytes go no further than the hash, and fanotify would wait for
 * a program in user space while key_types_sem is held. (An overlay asks both
 * about the file of its layer all the same.)
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
 * Asks IMA for its SHA-256 of the contents. IMA caches the digests of the files
 * that its policy measures, so the file need not be read.
 *
 * IMA may answer with another digest. ima_hash=, or security.ima of the file,
 * may name another algorithm. For a file with fs-verity it may be the fs-verity
 * digest, which is no digest of the contents. fs-verity cannot be removed: if
 * it is absent after IMA's answer, it was absent while IMA hashed.
 *
 * Returns whether IMA has a SHA-256 of the contents.
 */
static bool ask_ima(struct file *exe, u8 sha256[SHA256_DIGEST_SIZE])
{
	u8 digest[SHA512_DIGEST_SIZE];	/* IMA's longest digest */

	if (has_verity(exe) ||
	    ima_file_hash(exe, digest, sizeof(digest)) != HASH_ALGO_SHA256 ||
	    has_verity(exe))
		return false;
	memcpy(sha256, digest, SHA256_DIGEST_SIZE);
	return true;
}

/*
 * Makes sure that the file has not been writable since execve(2), and is not
 * while it is hashed.
 *
 * execve(2) denies writing to the file that it runs (C9), as long as that is
 * the executable of the process. It does not deny it if a storage manager
 * listens for accesses by fanotify (C9b). The flags of this open file tell
 * which is the case. The inode's count does not: another process may have
 * lowered it.
 *
 * This function denies writing once more. If the executable is still the same
 * file afterwards, then writing has been denied since execve(2): prctl(2) can
 * take the file away from the process, but cannot put it back.
 *
 * Returns whether writing is denied. If so, allow_write_access() must follow.
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
 * @euid:	the process's effective user id in the initial user namespace
 * @sha256:	the result: SHA-256 of the contents
 *
 * IMA hashes, or else this file does (a kernel without IMA, another algorithm,
 * fs-verity). Both compute the same digest, so the key does not depend on the
 * kernel's configuration or command line, nor on IMA's policy.
 *
 * Context: process context, with key_types_sem held for reading; reads the
 * whole executable.
 * Return: 0; -EPERM if the file may be written while it runs; -EFBIG if it is
 * larger than csum_max; -EAGAIN if too much is being hashed for this user;
 * -EOPNOTSUPP if the file cannot be read; -EINTR if the process is killed;
 * -ENOMEM
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
	/* With csum_fs=, a server may change the file in spite of all this. */
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
