// SPDX-License-Identifier: GPL-2.0
/*
 * Who is asking: the gates that a program must pass before a key is derived for
 * it, and the path and the checksum that go into the key.
 *
 * mm->exe_file alone is no identity. Without privilege, anybody can set it
 * (PR_SET_MM_MAP from a user namespace, also for a process outside of it), make
 * it print any path (a mount namespace), or run a program of which he wrote the
 * interpreter (binfmt_misc in a user namespace). Each gate names the attacks
 * that it closes, P and C and E being the rows of the attack table in
 * Documentation/threat-model.rst.
 *
 * What no gate can promise: a process of the same user that does not run set-id
 * can be traced, or started with LD_PRELOAD, and then asks as that program.
 *
 * The gates run in order, cheap ones first, and before any I/O. All refuse with
 * the same errno, so that nobody learns from it which paths exist.
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init_task.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/pid_namespace.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "derived.h"
#include "derived_current.h"
#include "derived_identity.h"
#include "derived_log.h"
#include "ima_mix.h"

/* Whether this process has that root directory, by whatever mount. */
static bool has_root(const struct path *root)
{
	struct path own;
	bool same;

	get_fs_root(current->fs, &own);
	same = own.dentry == root->dentry;
	path_put(&own);
	return same;
}

/*
 * Whether the root directory is that of the first process: that is, of the
 * fs_struct with which the kernel started it.
 */
static bool has_first_root(void)
{
	struct path first;
	bool same;

	get_fs_root(userspace_init_fs, &first);
	same = has_root(&first);
	path_put(&first);
	return same;
}

/*
 * Whether the root directory is that of process 1 as it is now. That is not
 * has_first_root() if process 1 has left the fs_struct with which the kernel
 * started it (unshare(2) with CLONE_FS), and then changed its root.
 */
static bool has_root_of_process_1(void)
{
	struct path root = {};
	struct task_struct *task;
	bool same;

	rcu_read_lock();
	task = pid_task(find_pid_ns(1, &init_pid_ns), PIDTYPE_TGID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	if (!task)
		return false;

	task_lock(task);
	if (task->fs)
		get_fs_root(task->fs, &root);
	task_unlock(task);
	put_task_struct(task);
	same = root.dentry && has_root(&root);
	path_put(&root);
	return same;
}

/*
 * The gates, each of which returns 0 to let the caller pass, or a negative errno.
 */

enum gate {
	G0, G1, G2, G3, G4, G5, G6,
	READER,			/* not a gate: who may read a key */
};

#ifdef DERIVED_TEST_GATES
/* For the attack suite: what does a gate close that is open without it? */
static unsigned int gates_off;
module_param(gates_off, uint, 0644);
MODULE_PARM_DESC(gates_off, "TEST BUILD: bit N switches gate GN off, bit 7 the check of who reads");
MODULE_INFO(derived_test_build, "its gates can be switched off. Never install it.");

static bool is_on(enum gate gate)
{
	return !(READ_ONCE(gates_off) & BIT(gate));
}
#else
static bool is_on(enum gate gate)
{
	return true;
}
#endif

static bool containers;
module_param(containers, bool, 0444);
MODULE_PARM_DESC(containers, "also serve programs in containers that have no user namespace (default: no)");

static char *csum_fs;
module_param(csum_fs, charp, 0444);
MODULE_PARM_DESC(csum_fs, "names of more file systems that csum trusts, separated by commas");

/*
 * G0: a program asks, for itself. Closes P19 (kernel threads and workers that
 * borrowed somebody's mm) and E3, E4 (a request-key helper, which runs as root
 * on behalf of a user and puts what it makes into the user's keyring).
 */
static int gate_context(void)
{
	if (!is_on(G0))
		return current->mm ? 0 : -EPERM;
	if ((current->flags & (PF_KTHREAD | PF_USER_WORKER)) || !current->mm)
		return derived_refuse(DERIVED_CAUSE_CONTEXT, -EPERM,
				      "not a program (G0)");
	if (current_cred()->request_key_auth)
		return derived_refuse(DERIVED_CAUSE_CONTEXT, -EPERM,
				      "acts for somebody else's request_key() (G0)");
	return 0;
}

/*
 * G1: the initial user namespace. Closes P1, P11, P18, and P9 from within: in a
 * user namespace of his own, a user mounts what he likes over the program and its
 * libraries. Most of that G2 would catch, too; not P18b: an interpreter that the
 * administrator registered with binfmt_misc's flag F brings his credentials, and
 * runs the user's loader there.
 */
static int gate_user_ns(void)
{
	if (is_on(G1) && current_user_ns() != &init_user_ns)
		return derived_refuse(DERIVED_CAUSE_USER_NS, -EPERM,
				      "in a user namespace (G1)");
	return 0;
}

/*
 * G2: exe_file was put there by execve(2), by a task of the initial user
 * namespace. Closes P11, P11b, P12 (prctl(2) puts a file there that was merely
 * opened, and neither open(2) nor fcntl(2) sets __FMODE_EXEC, as execve(2) does)
 * and P11c, P13, P14 (binfmt_misc in a user namespace hands out files that do
 * have it, but with that namespace's credentials).
 *
 * Other ways to a descriptor with that flag: mq_open(2) and TIOCGPTPEER take any
 * flags, but no message queue or terminal can be an executable (P12b, P12c). So
 * does XFS_IOC_OPEN_BY_HANDLE, for root alone (P21b). And the administrator's
 * binfmt_misc hands out what a name matches (P11d, P13b): derived_exec.c takes
 * the flag from that.
 *
 * A program restored by CRIU is refused: prctl(2) is how CRIU does it.
 */
static int gate_exec(const struct file *exe)
{
	if (!is_on(G2))
		return exe ? 0 : -EPERM;
	if (!exe || !(exe->f_flags & __FMODE_EXEC) ||
	    exe->f_cred->user_ns != &init_user_ns)
		return derived_refuse(DERIVED_CAUSE_EXEC, -EPERM,
				      "its executable was not put there by execve() in the initial user namespace (G2)");
	return 0;
}

/* Whether a name is among those of csum_fs=. */
static bool in_csum_fs(const char *name)
{
	const size_t len = strlen(name);
	const char *s = csum_fs;
	size_t n;

	while (s && *s) {
		n = strcspn(s, ",");
		if (n == len && !memcmp(s, name, n))
			return true;
		s += n + !!s[n];
	}
	return false;
}

/*
 * Whether what is read from a file system is what the kernel has written there:
 * it is on a block device, or in memory. By magic and not by name, which a module
 * may choose. Not from a server, which can show one thing to who hashes a file
 * and another one to who runs it, and sets no flag (C6).
 *
 * A type that requires a device does not always have one: erofs can be mounted
 * from a file, which may be on anything. btrfs has several, and s_bdev unset.
 */
static bool keeps_contents(const struct super_block *sb)
{
	return ((sb->s_type->fs_flags & FS_REQUIRES_DEV) &&
		(sb->s_bdev || sb->s_magic == BTRFS_SUPER_MAGIC)) ||
	       sb->s_magic == TMPFS_MAGIC || sb->s_magic == RAMFS_MAGIC ||
	       sb->s_magic == OVERLAYFS_SUPER_MAGIC ||	/* its layer decides */
	       in_csum_fs(sb->s_type->name);
}

static int gate_sb(const struct super_block *sb, unsigned int options)
{
	if (sb->s_user_ns != &init_user_ns ||
	    (sb->s_iflags & (SB_I_IMA_UNVERIFIABLE_SIGNATURE |
			     SB_I_UNTRUSTED_MOUNTER)))
		return derived_refuse(DERIVED_CAUSE_FS, -EPERM,
				      "its executable is on a file system of a user's (%s, G3)",
				      sb->s_type->name);
	if ((options & DERIVED_OPT_CSUM) && !keeps_contents(sb))
		return derived_refuse(DERIVED_CAUSE_FS, -EPERM,
				      "csum: nobody vouches for contents on %s (G3, see csum_fs=)",
				      sb->s_type->name);
	return 0;
}

/*
 * G3: the file system is the kernel's and not a user's. Closes C2 to C6, and P9:
 * who mounts an overlay in a user namespace changes files that run, and who
 * serves FUSE shows what he likes, or never answers (C3), with key_types_sem
 * held. So this comes before any I/O. Of an overlay, the layer that has the file
 * is looked at too (C5).
 */
static int gate_fs(const struct file *exe, unsigned int options)
{
	int err;

	if (!is_on(G3))
		return 0;
	err = gate_sb(file_inode(exe)->i_sb, options);
	if (err)
		return err;
	return gate_sb(d_real_inode(file_dentry(exe))->i_sb, options);
}

/*
 * G4: a regular file that still has the name it was run by. Closes P6 (the
 * kernel prints "NAME (deleted)" for what is gone, and anybody may give a file
 * such a name), and P10 and P21: a memfd, whose name is whatever its maker says,
 * and a file opened by handle that has none. The dentry of such a file is a root
 * of its own, which d_unlinked() does not count as unlinked.
 */
static int gate_file(const struct file *exe)
{
	if (!is_on(G4))
		return 0;
	if (!S_ISREG(file_inode(exe)->i_mode))
		return derived_refuse(DERIVED_CAUSE_FILE, -EPERM,
				      "its executable is not a regular file (G4)");
	if (IS_ROOT(exe->f_path.dentry))
		return derived_refuse(DERIVED_CAUSE_FILE, -EPERM,
				      "its executable is in no directory, like a memfd (G4)");
	if (d_unlinked(exe->f_path.dentry))
		return derived_refuse(DERIVED_CAUSE_FILE, -EPERM,
				      "its executable was deleted or replaced since it was started (G4)");
	return 0;
}

/* The kernel's own credentials, for looking up what the caller may not. */
static const struct cred *kernel_creds;

static bool is_under_root(const struct file *exe, struct fs_struct *fs)
{
	struct path root;
	bool under;

	get_fs_root(fs, &root);
	under = path_is_under(&exe->f_path, &root);
	path_put(&root);
	return under;
}

/*
 * Whether the path of an executable was made by mounts that privilege made. In
 * the initial user namespace (G1), nobody unprivileged has a mount namespace or a
 * root directory of his own; but he may run a file that is mounted in that of
 * another process of his (P2), or nowhere (P3). The first process's root counts,
 * too: a program that has left for a mount namespace of its own runs on from
 * where it was started.
 */
static bool mounted_by_privilege(const struct file *exe)
{
	return is_under_root(exe, current->fs) ||
	       is_under_root(exe, userspace_init_fs);
}

/*
 * Looks up the path of an executable from the root of the first process; in
 * memory only, if @cached.
 */
static int lookup(const struct derived_identity *id, bool cached,
		  struct path *found)
{
	const struct cred *old;
	struct path root;
	int err;

	get_fs_root(userspace_init_fs, &root);
	old = override_creds(kernel_creds);
	/*
	 * All of the path is in the dcache, with the executable that keeps it
	 * there: so mostly, this asks no file system anything. Whoever makes up
	 * his paths gets nothing but this: he would lead us to an automount, or
	 * to a file server that does not answer, with key_types_sem held.
	 */
	err = vfs_path_lookup(root.dentry, root.mnt, id->path,
			      LOOKUP_NO_SYMLINKS | LOOKUP_CACHED, found);
	if (err == -EAGAIN && !cached && mounted_by_privilege(id->exe))
		err = vfs_path_lookup(root.dentry, root.mnt, id->path,
				      LOOKUP_NO_SYMLINKS, found);
	revert_creds(old);
	path_put(&root);
	return err;
}

/*
 * G5: the path leads the first process to the same file. Closes P2 to P5, P9, P10
 * and P21: another mount namespace, a detached mount, another root directory.
 * d_path() neither tells nor minds whether a path starts at the root that it
 * should; so the path is a hint, and what is found is the fact. Inodes are
 * compared by address, which is exact while both are held.
 *
 * Not closed, on purpose: another way to the same file, like the private mounts
 * of a systemd service. But a mount in the first process's own namespace with
 * nosuid or noexec is somebody's USB stick (C7).
 *
 * One message and one errno, whatever goes wrong: nobody learns which paths
 * there are.
 *
 * A reader is looked up in memory only (@cached), because a lock is held on the
 * key. Some file systems, like NFS, never answer from memory, and any may fail to
 * while a directory is renamed or something is mounted, which the reader's user
 * can bring about. Then it is enough that privilege made the mounts: the caller
 * also compares the inode and the path with those of the program that derived the
 * key.
 */
static int gate_anchor(const struct derived_identity *id, bool cached)
{
	struct path found;
	bool same = false;
	int err;

	if (!is_on(G5))
		return 0;
	err = lookup(id, cached, &found);
	/* Neither says anything about a path. */
	if (err == -ENOMEM)
		return err;
	if (err && fatal_signal_pending(current))
		return -EINTR;
	if (err == -EAGAIN && cached && mounted_by_privilege(id->exe))
		return 0;
	if (!err) {
		same = d_inode(found.dentry) == file_inode(id->exe) &&
		       !(found.mnt->mnt_flags & (MNT_NOSUID | MNT_NOEXEC));
		path_put(&found);
	}
	if (!same)
		return derived_refuse(DERIVED_CAUSE_ANCHOR, -EPERM,
				      "the path of its executable leads elsewhere, or to a nosuid mount, for the first process (G5)");
	return 0;
}

/*
 * G6: not in a container: the initial PID namespace, and the root directory of
 * the first process, unless containers=1. Closes P5b: a container without a user
 * namespace, in which the host's own files are mounted; the root directory tells
 * where it shares the PID namespace. Not by the mount namespace, which hardened
 * services have: their root is another mount of the same directory, hence only
 * the dentries are compared.
 */
static int gate_container(void)
{
	if (!is_on(G6) || containers)
		return 0;
	if (task_active_pid_ns(current) == &init_pid_ns) {
		if (has_first_root())
			return 0;
		if (has_root_of_process_1())
			return derived_refuse(DERIVED_CAUSE_CONTAINER, -EPERM,
					      "process 1 has another root directory than the kernel gave it, so its programs look like those of a container (G6)");
	}
	return derived_refuse(DERIVED_CAUSE_CONTAINER, -EPERM,
			      "in a container or a chroot (G6, see containers=)");
}

/* The path as the program sees it, to be checked by gate_anchor(). */
static int identify_path(struct derived_identity *id)
{
	char *path;

	id->path_buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!id->path_buf)
		return -ENOMEM;

	path = file_path(id->exe, id->path_buf, PATH_MAX);
	if (IS_ERR(path) || path[0] != '/')
		return derived_refuse(DERIVED_CAUSE_FILE, -EPERM,
				      "its executable has no absolute path, or one that is too long (G4)");
	id->path = path;
	id->path_len = strlen(path);
	/*
	 * If it was deleted meanwhile, " (deleted)" may stand at the path's end.
	 * Looking again, now that the path is made, leaves no moment between.
	 */
	return gate_file(id->exe);
}

/*
 * Whether stat(2) is answered from memory. Others ask a server or another node
 * whatever they are told (9p, gfs2), with key_types_sem or the key's lock held.
 */
static bool stat_in_memory(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case BTRFS_SUPER_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case EXT4_SUPER_MAGIC:		/* and ext2, ext3 */
	case F2FS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case SQUASHFS_MAGIC:
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
		return true;
	}
	return false;
}

/*
 * A key keeps a hash of the path, not the path, which may have 4 KiB. Nobody can
 * look for another path with the same hash without this key, which is drawn when
 * the module is loaded. SHA-256 would need none, and take ten times as long.
 */
static siphash_key_t path_key;

/*
 * What tells the program that derived a key from others. No I/O.
 *
 * Of an overlay, the layer's file counts: the overlay's inode has no generation,
 * and its stat(2) may ask other layers, which may be on a server.
 */
static int identify_reader(const struct derived_identity *id,
			   struct derived_reader *reader)
{
	const struct path real = {
		.mnt = id->exe->f_path.mnt,
		.dentry = d_real(file_dentry(id->exe), D_REAL_DATA),
	};
	const struct inode *inode = d_inode(real.dentry);
	struct kstat stat;
	int err;

	memset(reader, 0, sizeof(*reader));
	reader->dev = inode->i_sb->s_dev;
	reader->ino = inode->i_ino;
	if (stat_in_memory(inode->i_sb)) {
		err = vfs_getattr_nosec(&real, &stat, STATX_INO | STATX_BTIME,
					AT_STATX_DONT_SYNC);
		if (err == -ENOMEM)
			return err;
		/* What others wait for must be an errno of ours. */
		if (err)
			return derived_refuse(DERIVED_CAUSE_FILE, -EPERM,
					      "stat(2) of its executable fails (errno %d)",
					      -err);
		reader->dev = stat.dev;
		reader->ino = stat.ino;
		if (stat.result_mask & STATX_BTIME)
			reader->btime = timespec64_to_ns(&stat.btime);
	}
	reader->generation = inode->i_generation;
	reader->euid = derived_current_euid();
	reader->path_hash = siphash(id->path, id->path_len, &path_key);
	return 0;
}

/* The gates that look at the process alone, for who asks and for who reads. */
static int identify_process(struct derived_identity *id)
{
	int err;

	err = gate_context();
	if (err)
		return err;
	err = gate_user_ns();
	if (err)
		return err;
	err = gate_container();
	if (err)
		return err;

	id->exe = derived_current_exe();
	return gate_exec(id->exe);
}

/*
 * The gates that look at the executable and its path, once gate_fs() has said that
 * it may be looked at. With @cached, in memory only.
 */
static int identify_file(struct derived_identity *id, bool cached)
{
	int err;

	err = gate_file(id->exe);
	if (err)
		return err;
	err = identify_path(id);
	if (err)
		return err;
	err = gate_anchor(id, cached);
	if (err)
		return err;
	id->euid = derived_current_euid();
	return identify_reader(id, &id->reader);
}

/**
 * derived_identify() - find out who is asking
 * @options:	DERIVED_OPT_CSUM says that the contents are wanted, too
 * @id:		the result; give it to derived_identity_put() in any case
 *
 * Identity is taken from current, in the context of the one who asks. Whatever
 * the key is bound to, all gates are passed: csum says which program, and the
 * path that it is the host's.
 *
 * Context: process context; with DERIVED_OPT_CSUM it reads the whole executable.
 * Return: 0; -EPERM if a gate refuses; -EFBIG if the executable is too large to
 * hash; -EAGAIN if too much is being hashed for this user; -EOPNOTSUPP if its
 * contents cannot be read; -EINTR if the process is killed meanwhile; -ENOMEM
 */
int derived_identify(unsigned int options, struct derived_identity *id)
{
	int err;

	memset(id, 0, sizeof(*id));

	err = identify_process(id);
	if (err)
		return err;
	err = gate_fs(id->exe, options);
	if (err)
		return err;
	err = identify_file(id, false);
	if (err)
		return err;
	if (!(options & DERIVED_OPT_CSUM))
		return 0;
	err = derived_hash_exe(id->exe, id->euid, id->sha256);
	id->has_sha256 = !err;
	return err;
}

/*
 * Compares the program that derived a key with one that reads it. Not by the
 * whole of struct derived_reader at once: it may have padding.
 *
 * The inode's owner chooses its generation on ext4 (EXT2_IOC_SETVERSION), but not
 * when it was made (E8b). The path is there for hard links (E9): a program that
 * finds its libraries relative to its own place finds other ones there.
 */
static int compare_readers(const struct derived_reader *derived,
			   const struct derived_reader *reads)
{
	bool same_name = derived->euid == reads->euid &&
			 derived->path_hash == reads->path_hash;

	if (same_name && derived->dev == reads->dev &&
	    derived->ino == reads->ino &&
	    derived->generation == reads->generation &&
	    derived->btime == reads->btime)
		return 0;
	if (same_name)
		return derived_refuse(DERIVED_CAUSE_READER, -EACCES,
				      "reads a key that was derived before its executable was replaced");
	return derived_refuse(DERIVED_CAUSE_READER, -EACCES,
			      "reads a key that another program or user derived");
}

/**
 * derived_check_reader() - check who reads a key
 * @reader:	who derived it
 *
 * A key in a keyring that others possess too, like the session keyring that a
 * set-user-ID program inherits, is not theirs to read (E5, E6). This restricts
 * reading, and not use: dm-crypt takes any key that its caller possesses.
 *
 * Context: process context, of the process that reads; may sleep, does no I/O.
 * Return: 0; -EPERM if a gate refuses; -EACCES if it is another program or user;
 * -EINTR if the process is killed meanwhile; -ENOMEM
 */
int derived_check_reader(const struct derived_reader *reader)
{
	struct derived_identity id = {};
	int err;

	if (!is_on(READER))
		return 0;
	err = identify_process(&id);
	/*
	 * E8: once a file system is unmounted, its device number is given to the
	 * next one, and a user who mounts the same in a namespace of his own gets
	 * the same inode number, too; by FUSE, also the generation that he wants.
	 */
	if (!err)
		err = gate_fs(id.exe, 0);
	if (!err)
		err = identify_file(&id, true);
	if (!err)
		err = compare_readers(reader, &id.reader);
	derived_identity_put(&id);
	return err;
}

/**
 * derived_identity_put() - release what an identity holds
 * @id:		filled by derived_identify(), with success or not
 */
void derived_identity_put(struct derived_identity *id)
{
	kfree(id->path_buf);
	if (id->exe)
		fput(id->exe);
	memset(id, 0, sizeof(*id));
}

/**
 * derived_identity_init() - get ready to identify
 *
 * Context: process context, before the key type is registered.
 * Return: 0 or -ENOMEM
 */
int derived_identity_init(void)
{
	kernel_creds = prepare_kernel_cred(&init_task);
	if (!kernel_creds)
		return -ENOMEM;
	get_random_bytes(&path_key, sizeof(path_key));
#ifdef DERIVED_TEST_GATES
	pr_alert("TEST BUILD: whoever is root can switch off each check of who asks\n");
#endif
	return 0;
}

/**
 * derived_identity_exit() - undo derived_identity_init()
 *
 * Context: process context, after the key type is unregistered.
 */
void derived_identity_exit(void)
{
	put_cred(kernel_creds);
}
