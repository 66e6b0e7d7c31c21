// SPDX-License-Identifier: GPL-2.0
/*
 * Identity: the gates that a process must pass before a key is derived for it,
 * the path that goes into the key, and the check of a reader.
 *
 * mm->exe_file alone is no identity. An unprivileged user can set it
 * (PR_SET_MM_MAP from a user namespace, also for a process outside of it), can
 * make it print any path (a mount namespace), and can run a program with an
 * interpreter that this user wrote (binfmt_misc in a user namespace). Each gate
 * names the attacks that it closes. P1, C1 and E1 are rows of the attack table
 * in Documentation/threat-model.rst, and G0 to G6 are its numbers of the gates.
 *
 * No gate can tell a program from its tracer: a process that does not run
 * set-id can be traced by its own user, or started with LD_PRELOAD, and then
 * asks as that program.
 *
 * The gates run in order: the cheap ones first. Only the anchor gate, the last
 * one, may do I/O; hashing comes after all of them. The gates refuse with the
 * same errno, so that the errno does not tell which paths exist.
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
#include <linux/user_namespace.h>

#include "derived.h"
#include "derived_current.h"
#include "derived_identity.h"
#include "derived_log.h"
#include "ima_mix.h"

/* Whether this process has that root directory, by this mount or another. */
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
 * Whether this process has the root directory of the first process. That is the
 * root of the fs_struct with which the kernel started process 1.
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
 * Whether this process has the root directory that process 1 has now. The
 * answer differs from has_first_root() if process 1 has left the fs_struct with
 * which the kernel started it (unshare(2) with CLONE_FS), and then changed its
 * root.
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
 * The gates. Each returns 0 to let the caller pass, or a negative errno.
 */

enum gate {
	GATE_CONTEXT,		/* G0 */
	GATE_USER_NS,		/* G1 */
	GATE_EXEC,		/* G2 */
	GATE_FS,		/* G3 */
	GATE_FILE,		/* G4 */
	GATE_ANCHOR,		/* G5 */
	GATE_CONTAINER,		/* G6 */
	CHECK_READER,		/* not a gate: may this process read the key? */
};

#ifdef DERIVED_TEST_GATES
/* For the attack suite: which attacks succeed without a gate? */
static unsigned int gates_off;
module_param(gates_off, uint, 0644);
MODULE_PARM_DESC(gates_off, "TEST BUILD: bit N switches gate GN off, bit 7 the check of the reader");
MODULE_INFO(derived_test_build, "its gates can be switched off. Never install it.");

static bool gate_is_on(enum gate gate)
{
	return !(READ_ONCE(gates_off) & BIT(gate));
}
#else
static bool gate_is_on(enum gate gate)
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
 * The context gate (G0): a program asks, for itself. Closes P19 (kernel threads
 * and workers that use the mm of a user's process) and E3, E4 (a request-key
 * helper, which runs as root on behalf of a user, and whose keys go into that
 * user's keyring).
 */
static int gate_context(void)
{
	if (!gate_is_on(GATE_CONTEXT))
		return current->mm ? 0 : -EPERM;
	if ((current->flags & (PF_KTHREAD | PF_USER_WORKER)) || !current->mm)
		return derived_refuse(DERIVED_CAUSE_CONTEXT, -EPERM,
				      "not a program (G0)");
	if (current_cred()->request_key_auth)
		return derived_refuse(DERIVED_CAUSE_CONTEXT, -EPERM,
				      "acts for another process's request_key() (G0)");
	return 0;
}

/*
 * The user namespace gate (G1): the process is in the initial user namespace.
 * Closes P1, P11, P18, and P9 from within: in a user namespace of their own,
 * users can mount any file over the program and its libraries. The exec gate
 * would catch most of that, but not P18b: there, an interpreter that the
 * administrator registered with binfmt_misc's flag F has the administrator's
 * credentials, and runs the user's loader.
 */
static int gate_user_ns(void)
{
	if (gate_is_on(GATE_USER_NS) && current_user_ns() != &init_user_ns)
		return derived_refuse(DERIVED_CAUSE_USER_NS, -EPERM,
				      "in a user namespace (G1)");
	return 0;
}

/*
 * The exec gate (G2): execve(2) set exe_file, in a task of the initial user
 * namespace. execve(2) opens the file with __FMODE_EXEC; open(2) and fcntl(2)
 * cannot set that flag. Closes P11, P11b, P12 (prctl(2) sets exe_file to a file
 * that was merely opened) and P11c, P13, P14 (binfmt_misc in a user namespace
 * hands out files with the flag, but with that namespace's credentials).
 *
 * There are other ways to a descriptor with the flag. mq_open(2) and
 * TIOCGPTPEER accept any flags, but a message queue or a terminal cannot be an
 * executable (P12b, P12c). XFS_IOC_OPEN_BY_HANDLE accepts any flags too, but is
 * for root alone (P21b). The administrator's binfmt_misc hands out files whose
 * name matches an entry (P11d, P13b): derived_exec.c takes the flag from those.
 *
 * A program that CRIU restored is refused, because CRIU uses prctl(2).
 */
static int gate_exec(const struct file *exe)
{
	if (!gate_is_on(GATE_EXEC))
		return exe ? 0 : -EPERM;
	if (!exe || !(exe->f_flags & __FMODE_EXEC) ||
	    exe->f_cred->user_ns != &init_user_ns)
		return derived_refuse(DERIVED_CAUSE_EXEC, -EPERM,
				      "its executable was not put there by execve() in the initial user namespace (G2)");
	return 0;
}

/* Whether csum_fs= lists this file system. */
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
 * Whether a file system returns what was written to it: it is on a block
 * device, or in memory. A server is not trusted: it can send one content to be
 * hashed and another one to be run, and no flag tells that (C6). File systems
 * are compared by magic number and not by name, because a module may register a
 * file system under any name.
 *
 * A type that requires a device does not always have one: erofs can be mounted
 * from a file, which may be on any file system. btrfs has several devices, and
 * leaves s_bdev unset.
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
				      "csum: nothing guarantees the contents on %s (G3, see csum_fs=)",
				      sb->s_type->name);
	return 0;
}

/*
 * The file system gate (G3): no user controls the file system of the
 * executable. Closes C2 to C6, and P9: a user who mounts an overlay in a user
 * namespace can change files that run, and a FUSE server can return any
 * content, or never answer while we hold key_types_sem (C3). So this gate comes
 * before any I/O. For an overlay, the layer that has the file is checked too
 * (C5).
 */
static int gate_fs(const struct file *exe, unsigned int options)
{
	int err;

	if (!gate_is_on(GATE_FS))
		return 0;
	err = gate_sb(file_inode(exe)->i_sb, options);
	if (err)
		return err;
	return gate_sb(d_real_inode(file_dentry(exe))->i_sb, options);
}

/*
 * The file gate (G4): the executable is a regular file, and still has the name
 * it was run by. Closes P6 (the kernel prints "NAME (deleted)" for a deleted
 * file, and any user may give a file that name), P10 (a memfd, whose creator
 * chooses its name) and P21 (a file without a name, opened by handle). The
 * dentry of a memfd or of a file without a name is the root of a tree of its
 * own, and d_unlinked() says that a root is not unlinked.
 */
static int gate_file(const struct file *exe)
{
	if (!gate_is_on(GATE_FILE))
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

/* The kernel's credentials: the caller may not be allowed to look up a path. */
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
 * Whether privileged processes made all the mounts in the path of an
 * executable. In the initial user namespace, which the user namespace gate
 * requires, an unprivileged process has no mount namespace and no root
 * directory of its own. But it may run a file that is mounted in the mount
 * namespace of another process of its user (P2), or that is not mounted
 * anywhere (P3). Such a file is neither under this process's root nor under the
 * first process's. The latter counts because the executable of a program that
 * has moved to a new mount namespace is still on the mount where it was
 * started.
 */
static bool mounted_by_privilege(const struct file *exe)
{
	return is_under_root(exe, current->fs) ||
	       is_under_root(exe, userspace_init_fs);
}

/*
 * Looks up the path of an executable from the root of the first process. With
 * @cached, only in memory.
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
	 * The open executable keeps all of its path in the dcache, so mostly
	 * this lookup succeeds without asking a file system. A path that an
	 * attacker made gets no other lookup: it could lead to an automount, or
	 * to a file server that does not answer, while we hold key_types_sem.
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
 * The anchor gate (G5): for the first process, the path leads to the same file.
 * Closes P2 to P5, P9, P10 and P21: another mount namespace, a detached mount,
 * another root directory. d_path() does not tell from which root a path starts.
 * So the path is only a hint, and the file that is found there is the proof.
 * Inodes are compared by address, which is exact while both are held.
 *
 * Another way to the same file is allowed on purpose, like the private mounts
 * of a systemd service. A mount with nosuid or noexec in the first process's
 * own namespace is refused: it may be a user's USB stick (C7).
 *
 * There is one message and one errno for all failures, so that they do not tell
 * which paths exist.
 *
 * The path of a reader is looked up in memory only (@cached), because the key's
 * lock is held. Some file systems, like NFS, never answer from memory. And any
 * file system may fail to answer from memory while a directory is renamed or
 * something is mounted, and the reader's user can do that at will. Then it is
 * enough that privileged processes made the mounts: the caller also compares
 * inode and path with those of the program that derived the key.
 */
static int gate_anchor(const struct derived_identity *id, bool cached)
{
	struct path found;
	bool same = false;
	int err;

	if (!gate_is_on(GATE_ANCHOR))
		return 0;
	err = lookup(id, cached, &found);
	/* Neither of the next two tells which paths exist. */
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
 * The container gate (G6): the process is in the initial PID namespace, and has
 * the root directory of the first process, unless containers=1. Closes P5b: a
 * container without a user namespace, in which the host's own files are
 * mounted. If that container shares the PID namespace, its root directory gives
 * it away.
 *
 * Mount namespaces are not compared: hardened services have one of their own.
 * Their root is another mount of the same directory, so only the dentries are
 * compared.
 */
static int gate_container(void)
{
	if (!gate_is_on(GATE_CONTAINER) || containers)
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

/* Finds the path as the program sees it. gate_anchor() checks it afterwards. */
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
	 * If the file was deleted meanwhile, the path may end in " (deleted)".
	 * The second look, after the path was made, leaves no gap.
	 */
	return gate_file(id->exe);
}

/*
 * Whether a file system answers stat(2) from memory. Others (9p, gfs2) ask a
 * server or another node in spite of AT_STATX_DONT_SYNC, while we hold
 * key_types_sem or the key's lock.
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
 * A derived key keeps a hash of the path. The path itself may have 4 KiB. The
 * hash is keyed with this, which is drawn at random when the module is loaded:
 * without it, an attacker cannot search for another path with the same hash.
 * SHA-256 would need no key, but takes ten times as long.
 */
static siphash_key_t path_key;

/*
 * Fills in what tells this program from others when a key is read. No I/O.
 *
 * For an overlay, it describes the file in the layer: the overlay's inode has
 * no generation, and its stat(2) may ask other layers, which may be on a
 * server.
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
		/* Processes that wait for the same key get this errno, too. */
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

/* The gates that look at the process alone, for a caller and for a reader. */
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
 * The gates that look at the executable and its path. gate_fs() comes before:
 * it decides whether they may be looked at. With @cached, only in memory.
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
 * derived_identify() - identify the process that asks
 * @options:	with DERIVED_OPT_CSUM, the contents are hashed, too
 * @id:		the result; give it to derived_identity_put() in any case
 *
 * The identity is that of current. All gates apply, whatever the key is bound
 * to: csum says which program it is, but only the path shows that it is the
 * host's.
 *
 * Context: process context, with key_types_sem held for reading; with
 * DERIVED_OPT_CSUM it reads the whole executable.
 * Return: 0; -EPERM if a gate refuses, if stat(2) of the executable fails, or,
 * with csum, if it may be written while it runs; -EFBIG if the executable is
 * too large to hash; -EAGAIN if too much is being hashed for this user;
 * -EOPNOTSUPP if its contents cannot be read; -EINTR if the process is killed
 * meanwhile; -ENOMEM
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
 * Compares the program that derived a key with the one that reads it. It
 * compares field by field, because struct derived_reader may have padding.
 *
 * On ext4, the owner of an inode can set its generation (EXT2_IOC_SETVERSION),
 * but not its birth time (E8b). The path is compared because of hard links
 * (E9): a program that finds its libraries relative to its own path finds other
 * libraries beside a hard link.
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
 * derived_check_reader() - check whether this process may read a key
 * @reader:	the program that derived the key
 *
 * Several processes may possess one key: a set-user-ID program inherits the
 * session keyring, for example. Only the program that derived the key may read
 * it (E5, E6). This check is about reading and not about use: dm-crypt takes
 * any key that its caller possesses.
 *
 * Context: process context, of the process that reads, with the key's semaphore
 * held for reading; may sleep, does no I/O.
 * Return: 0; -EPERM if a gate refuses; -EACCES if it is another program or
 * user; -EINTR if the process is killed meanwhile; -ENOMEM
 */
int derived_check_reader(const struct derived_reader *reader)
{
	struct derived_identity id = {};
	int err;

	if (!gate_is_on(CHECK_READER))
		return 0;
	err = identify_process(&id);
	/*
	 * E8: the device number of an unmounted file system is given to the next
	 * one. A user who mounts a copy of that file system, in a namespace of
	 * the user's own, gets the same inode number, too, and with FUSE any
	 * generation.
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
 * @id:		of derived_identify(), which may have failed
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
	pr_alert("TEST BUILD: root can switch off each check of the caller\n");
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
