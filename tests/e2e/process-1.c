// SPDX-License-Identifier: GPL-2.0
/*
 * process-1: make process 1 call system calls, by ptrace(2), while it waits in
 * a system call of its own.
 *
 *	process-1 NUMBER:ARGUMENT...
 *
 * An ARGUMENT that begins with a digit is a number; any other is a string.
 * Prints the return value of each call.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static void wait_for_stop(void)
{
	int status;

	if (waitpid(1, &status, __WALL) != 1 || !WIFSTOPPED(status))
		errx(1, "process 1 did not stop");
}

static void copy(void *to, unsigned long from_remote, size_t len)
{
	const struct iovec local = { to, len }, remote = { (void *)from_remote, len };

	if (process_vm_readv(1, &local, 1, &remote, 1, 0) != (ssize_t)len)
		err(1, "process_vm_readv");
}

/*
 * Make the call with the system call instruction that process 1 is waiting in.
 */
static long call(const struct user_regs_struct *at, const char *what)
{
	struct user_regs_struct regs = *at;
	struct iovec local, remote;
	unsigned char code[2];
	char *argument;

	regs.rip -= sizeof(code);
	copy(code, regs.rip, sizeof(code));
	if (memcmp(code, "\x0f\x05", sizeof(code)))
		errx(1, "process 1 is not in a system call");
	regs.rax = strtol(what, &argument, 10);
	regs.orig_rax = -1;			/* not to be restarted */
	argument++;
	if (isdigit(*argument)) {
		regs.rdi = strtol(argument, NULL, 0);
	} else {
		/* Below the red zone. */
		regs.rdi = regs.rsp - 8192;
		local = (struct iovec){ argument, strlen(argument) + 1 };
		remote = (struct iovec){ (void *)regs.rdi, local.iov_len };
		if (process_vm_writev(1, &local, 1, &remote, 1, 0) != (ssize_t)local.iov_len)
			err(1, "process_vm_writev");
	}
	if (ptrace(PTRACE_SETREGS, 1, 0, &regs) || ptrace(PTRACE_SINGLESTEP, 1, 0, 0))
		err(1, "ptrace");
	wait_for_stop();
	if (ptrace(PTRACE_GETREGS, 1, 0, &regs))
		err(1, "ptrace");
	return regs.rax;
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	int i;

	if (ptrace(PTRACE_SEIZE, 1, 0, 0) || ptrace(PTRACE_INTERRUPT, 1, 0, 0))
		err(1, "ptrace");
	wait_for_stop();
	if (ptrace(PTRACE_GETREGS, 1, 0, &regs))
		err(1, "ptrace");
	for (i = 1; i < argc; i++)
		printf("%ld\n", call(&regs, argv[i]));
	if (ptrace(PTRACE_SETREGS, 1, 0, &regs) || ptrace(PTRACE_DETACH, 1, 0, 0))
		err(1, "ptrace");
	return 0;
}
