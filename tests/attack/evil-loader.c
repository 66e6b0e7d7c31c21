// SPDX-License-Identifier: GPL-2.0
/*
 * evil-loader: the attacker's code where a loader or an interpreter stands: it can be run as a
 * program, as another program's PT_INTERP, and in a directory where no library is.
 *
 *	evil-loader [... WHAT]	the last word counts: binfmt_misc puts others before it
 *
 * gcc: -static -nostdlib -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns
 */
#include "ask.h"

/* What the kernel leaves on the stack: argc, argv, ... */
__attribute__((used, noreturn))
static void start(const long *stack)
{
	const char *const *argv = (const char *const *)(stack + 1);

	ask("evil", stack[0] > 1 ? argv[stack[0] - 1] : "32 path", ASK_PROCESS_KEYRING);
	for (;;)
		ask_syscall(231, 0, 0, 0, 0, 0);	/* exit_group */
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");
