// SPDX-License-Identifier: GPL-2.0
/*
 * Files that execve(2) hands to an interpreter.
 *
 * The exec gate (derived_identity.c) relies on __FMODE_EXEC: execve(2) opened
 * the file, so a program runs from it. But execve(2) also gives such a file
 * away. With the flags O and C of binfmt_misc, the interpreter gets a
 * descriptor of the file that it is to interpret. An entry by extension matches
 * a name, and the attacker chooses the name: a symbolic link to program X. The
 * attacker takes the descriptor from the interpreter, and prctl(2) makes it the
 * executable of the attacker's own program (P11d). With the flag T of Linux
 * 7.3, X becomes the interpreter's executable without further steps (P13b).
 *
 * Afterwards nothing tells such a process from X. It controls its memory map,
 * its auxiliary vector and its name, and its file and credentials are those
 * that X would have. So this file watches execve(2) itself, which asks each
 * binary format about a program, and then about its interpreter. The binary
 * format here loads nothing. It clears the flag of a file that an interpreter
 * is going to get.
 */

#include <linux/binfmts.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "derived_exec.h"

/*
 * If there is an executable beside the file, the question is about an
 * interpreter. So far only this execve(2) has the executable, so the flag can
 * be changed. The rest of the kernel does not look at the flag once a file is
 * open.
 */
static int watch_execve(struct linux_binprm *bprm)
{
	struct file *exe = bprm->executable;

	if (exe) {
		spin_lock(&exe->f_lock);
		exe->f_flags &= ~__FMODE_EXEC;
		spin_unlock(&exe->f_lock);
	}
	return -ENOEXEC;
}

static struct linux_binfmt watching_format = {
	.module		= THIS_MODULE,
	.load_binary	= watch_execve,
};

/**
 * derived_exec_init() - watch execve(2) from now on
 *
 * The files that interpreters got before keep the flag: load the module before
 * users can log in.
 *
 * insert_binfmt() puts this format before all formats that load a program. A
 * format that is inserted later comes before this one. Such formats are like
 * binfmt_misc: they only name an interpreter.
 *
 * Context: process context, as the last step of loading the module. If a later
 * step failed, the module would be freed without waiting for an execve(2) that
 * is in watch_execve().
 */
void derived_exec_init(void)
{
	insert_binfmt(&watching_format);
}

/**
 * derived_exec_exit() - stop watching execve(2)
 *
 * Context: process context, while the module is unloaded. An execve(2) that is
 * in watch_execve() holds a reference to the module, so unloading cannot begin
 * before it has left.
 */
void derived_exec_exit(void)
{
	unregister_binfmt(&watching_format);
}
