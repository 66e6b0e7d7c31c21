/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For kernels in which init_task shares the root directory of the first process.
 * In newer kernels, init_task has a private, empty root directory, and
 * userspace_init_fs has the root directory of the first process.
 */
#ifndef _COMPAT_LINUX_FS_STRUCT_H
#define _COMPAT_LINUX_FS_STRUCT_H

#include_next <linux/fs_struct.h>

#ifdef COMPAT_LACKS_USERSPACE_INIT_FS
#include <linux/sched/task.h>
#define userspace_init_fs (init_task.fs)
#endif

#endif /* _COMPAT_LINUX_FS_STRUCT_H */
