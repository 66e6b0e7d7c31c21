// SPDX-License-Identifier: GPL-2.0
/*
 * evil-loader: the attacker's code in the place of a loader or an interpreter.
 * It can be run as a program, as the PT_INTERP of another program, and in a
 * root directory without libraries.
 *
 *	evil-loader [... WHAT]	WHAT is the last argument, because binfmt_misc
 *				inserts arguments before it
 *
 * gcc: -static -nostdlib -ffreestanding -fno-stack-protector
 * -fno-tree-loop-distribute-patterns
 */
#include "ask.h"

/* @stack: the program's first stack, as the kernel made it: argc, argv, ... */
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
