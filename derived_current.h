/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that runs this code: its executable and its user.
 */
#ifndef _DERIVED_CURRENT_H
#define _DERIVED_CURRENT_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

/*
 * Returns the executable of this process, to be given to fput(), or NULL.
 * get_task_exe_file() is not exported to modules. Unlike that function, this
 * one also returns the executable of an mm that a kernel thread uses.
 */
static inline struct file *derived_current_exe(void)
{
	struct file *exe;

	if (!current->mm)
		return NULL;

	rcu_read_lock();
	exe = get_file_rcu(&current->mm->exe_file);
	rcu_read_unlock();
	return exe;
}

/* Returns the process's effective user id in the initial user namespace. */
static inline u32 derived_current_euid(void)
{
	return from_kuid(&init_user_ns, current_euid());
}

#endif /* _DERIVED_CURRENT_H */
