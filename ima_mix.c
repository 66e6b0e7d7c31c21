// SPDX-License-Identifier: GPL-2.0
/*
 * Who is asking: the gates that a program must pass before a key is derived for
 * it, and the path and the checksum (IMA) that go into the key.
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
#include <linux/hash_info.h>
#include <linux/ima.h>
#include <linux/moduleparam.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <crypto/hash_info.h>

#include "derived.h"

/* A path in the log may be long enough to tell, and not to flood. */
#define LOG_PATH_MAX	256

/* Returns the executable of this process, to be given to fput(), or NULL. */
static struct file *current_exe(void)
{
	struct file *exe;

	if (!current->mm)
		return NULL;

	rcu_read_lock();
	exe = get_file_rcu(&current->mm->exe_file);
	rcu_read_unlock();
	return exe;
}

static u32 current_init_euid(void)
{
	return from_kuid(&init_user_ns, current_euid());
}

/**
 * derived_may_log() - whether a line may go into the kernel log now
 * @cause:	what it is about: at most one line for each and minute, so that
 *		nobody can fill the log
 *
 * Context: any.
 * Return: true if it may, which counts as done
 */
bool derived_may_log(enum derived_cause cause)
{
	/* RATELIMIT_MSG_ON_RELEASE: "callbacks suppressed" would be a second line. */
	static struct ratelimit_state limits[] = {
		[0 ... DERIVED_CAUSES - 1] =
			RATELIMIT_STATE_INIT_FLAGS(limits, 60 * HZ, 1,
						   RATELIMIT_MSG_ON_RELEASE),
	};

	return __ratelimit(&limits[cause]);
}

/**
 * derived_log() - tell the administrator, in the kernel log
 * @cause:	what about: at most one line for each and minute
 * @fmt:	what; never bytes of a key or a digest. Check values are public
 *
 * The line names the asking user and program. The path is what the program
 * looks like to itself: it is chosen by whoever runs it, hence escaped and cut.
 *
 * Context: process context, of the one who asks; may sleep.
 */
void derived_log(enum derived_cause cause, const char *fmt, ...)
{
	static const char unknown[] = "(unknown)";
	const char *shown = unknown;
	char *path_buf, *line;
	struct va_format vaf;
	struct file *exe;
	va_list args;
	char *path;
	int len;

	if (!derived_may_log(cause))
		return;

	exe = current_exe();
	path_buf = kmalloc(PATH_MAX, GFP_KERNEL);
	line = kmalloc(LOG_PATH_MAX, GFP_KERNEL);
	if (exe && path_buf && line) {
		path = file_path(exe, path_buf, PATH_MAX);
		if (!IS_ERR(path)) {
			len = string_escape_mem(path, strlen(path), line,
						LOG_PATH_MAX - 1,
						ESCAPE_HEX | ESCAPE_NAP |
						ESCAPE_APPEND, "\"\\");
			line[min(len, LOG_PATH_MAX - 1)] = '\0';
			shown = line;
		}
	}

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_notice("uid %u, \"%s\": %pV\n", current_init_euid(), shown, &vaf);
	va_end(args);

	kfree(line);
	kfree(path_buf);
	if (exe)
		fput(exe);
}

/*
 * G0: a program asks, for itself. Closes P19 (kernel threads and workers that
 * borrowed somebody's mm) and E3, E4 (a request-key helper, which runs as root
 * on behalf of a user and puts what it makes into the user's keyring).
 */
static int gate_context(void)
{
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
 * libraries.
 */
static int gate_user_ns(void)
{
	if (current_user_ns() != &init_user_ns)
		return derived_refuse(DERIVED_CAUSE_USER_NS, -EPERM,
				      "in a user namespace (G1)");
	return 0;
}

/*
 * G2: exe_file was put there by execve(2), by a task of the initial user
 * namespace. Closes P11, P11b, P12 (prctl(2) puts a file there that was merely
 * opened: only do_open_execat() sets __FMODE_EXEC, and neither open(2) nor
 * fcntl(2) can) and P11c, P13, P14 (binfmt_misc in a user namespace hands out
 * files that do have it, but with that namespace's credentials).
 *
 * A program restored by CRIU is refused: prctl(2) is how CRIU does it.
 */
static int gate_exec(const struct file *exe)
{
	if (!exe || !(exe->f_flags & __FMODE_EXEC) ||
	    exe->f_cred->user_ns != &init_user_ns)
		return derived_refuse(DERIVED_CAUSE_EXEC, -EPERM,
				      "its executable was not put there by execve() in the initial user namespace (G2)");
	return 0;
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

/*
 * The path as the program sees it. It is a hint at best: d_path() neither tells
 * nor minds whether the path starts at the program's own root (P2, P3).
 */
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

/* Hashing takes its time, with key_types_sem held and no signal heard. */
static unsigned long csum_max = 256UL << 20;
module_param(csum_max, ulong, 0444);
MODULE_PARM_DESC(csum_max, "largest executable, in bytes, that csum is for (default: 256 MiB)");

/*
 * IMA hashes the file if its policy did not, and answers with whatever it has:
 * another algorithm (ima_hash=, or security.ima of the file), or the fs-verity
 * digest, which is not a digest of the contents. Only a SHA-256 of the contents
 * gives the same key under every policy, so nothing else is taken: a key that
 * changes with the boot command line is lost data.
 */
static int identify_csum(struct derived_identity *id)
{
	u8 digest[SHA512_DIGEST_SIZE];	/* the longest that IMA knows */
	int algo;

	/* C12: a sparse file of a terabyte costs nothing to make. */
	if (i_size_read(file_inode(id->exe)) > csum_max)
		return derived_refuse(DERIVED_CAUSE_SIZE, -EFBIG,
				      "csum: its executable is larger than csum_max=%lu bytes",
				      csum_max);

	/* Not negative is an enum hash_algo, and 0 is one of them. */
	algo = ima_file_hash(id->exe, digest, sizeof(digest));
	if (algo < 0)
		return derived_refuse(DERIVED_CAUSE_CSUM, -EOPNOTSUPP,
				      "csum: IMA is off or cannot hash its executable");
	if (algo != HASH_ALGO_SHA256)
		return derived_refuse(DERIVED_CAUSE_CSUM, -EOPNOTSUPP,
				      "csum: IMA answers with %s, not sha256",
				      hash_algo_name[algo]);
	/* Looked at last: who has it, keeps it, so it had none before either. */
	if (IS_VERITY(file_inode(id->exe)) ||
	    IS_VERITY(d_real_inode(file_dentry(id->exe))))
		return derived_refuse(DERIVED_CAUSE_CSUM, -EOPNOTSUPP,
				      "csum: its executable has fs-verity, for which IMA may answer with another digest");

	memcpy(id->sha256, digest, sizeof(id->sha256));
	id->has_sha256 = true;
	return 0;
}

/**
 * derived_identify() - find out who is asking
 * @words:	DERIVED_PATH and DERIVED_CSUM say what is wanted
 * @id:		the result; give it to derived_identity_put() in any case
 *
 * Identity is taken from current, in the context of the one who asks.
 *
 * Context: process context; with DERIVED_CSUM it reads the whole executable.
 * Return: 0; -EPERM if a gate refuses; -EFBIG if the executable is too large to
 * hash; -EOPNOTSUPP if there is no SHA-256 of its contents; -ENOMEM
 */
int derived_identify(unsigned int words, struct derived_identity *id)
{
	int err;

	memset(id, 0, sizeof(*id));

	err = gate_context();
	if (err)
		return err;
	err = gate_user_ns();
	if (err)
		return err;

	id->exe = current_exe();
	err = gate_exec(id->exe);
	if (err)
		return err;
	err = gate_file(id->exe);
	if (err)
		return err;

	id->euid = current_init_euid();
	if (words & DERIVED_PATH) {
		err = identify_path(id);
		if (err)
			return err;
	}
	if (words & DERIVED_CSUM) {
		err = identify_csum(id);
		if (err)
			return err;
	}
	return 0;
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
