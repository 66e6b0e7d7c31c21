// SPDX-License-Identifier: GPL-2.0
/*
 * Files that execve(2) opens and then hands to an interpreter.
 *
 * Gate G2 (derived_identity.c) takes a file with __FMODE_EXEC for one that a program was
 * run from. But execve(2) lets such a file out: by the flags O and C of
 * binfmt_misc, an interpreter gets a descriptor of what it is to interpret. An
 * entry by extension matches a name, and the attacker chooses that: a symbolic
 * link to program X. He takes the descriptor from the interpreter, and prctl(2)
 * makes it the executable of his own program (P11d). By the flag T of Linux 7.3,
 * X is the interpreter's executable without that (P13b).
 *
 * Nothing that is left afterwards tells such a process from X. Its memory map,
 * auxiliary vector and name are what it says, its file and credentials are what
 * X's would be. So this looks on while it happens: execve(2) asks each binary
 * format about a program, and then about its interpreter. This format loads
 * nothing. It takes the flag from a file that is on its way to an interpreter.
 */

#include <linux/binfmts.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "derived_exec.h"

/*
 * Asked about an interpreter, if there is an executable beside the file. Only
 * this execve(2) has it yet. Nothing else decides by the flag once a file is open.
 */
static int look_on(struct linux_binprm *bprm)
{
	struct file *exe = bprm->executable;

	if (exe) {
		spin_lock(&exe->f_lock);
		exe->f_flags &= ~__FMODE_EXEC;
		spin_unlock(&exe->f_lock);
	}
	return -ENOEXEC;
}

static struct linux_binfmt onlooker = {
	.module		= THIS_MODULE,
	.load_binary	= look_on,
};

/**
 * derived_exec_init() - look on from now on
 *
 * A file that an interpreter got before is not seen: load the module before users
 * can log in.
 *
 * insert_binfmt() puts this format before all that load something. A format that
 * is inserted later stands before this one, but is of binfmt_misc's kind: it only
 * names an interpreter.
 *
 * Context: process context, as the last thing that is done while the module is
 * loaded: if that failed, it would not wait for an execve(2) in look_on().
 */
void derived_exec_init(void)
{
	insert_binfmt(&onlooker);
}

/**
 * derived_exec_exit() - look on no longer
 *
 * Context: process context, while the module is unloaded: an execve(2) that is
 * in look_on() has a reference to it, and so prevents that.
 */
void derived_exec_exit(void)
{
	unregister_binfmt(&onlooker);
}
