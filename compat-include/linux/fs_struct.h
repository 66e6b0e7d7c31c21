/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernels in which init_task shares the root directory of the first process. In
 * newer ones it has a private, empty one, and userspace_init_fs is the other.
 */
#ifndef _COMPAT_LINUX_FS_STRUCT_H
#define _COMPAT_LINUX_FS_STRUCT_H

#include_next <linux/fs_struct.h>

#ifdef COMPAT_LACKS_USERSPACE_INIT_FS
#include <linux/sched/task.h>
#define userspace_init_fs (init_task.fs)
#endif

#endif /* _COMPAT_LINUX_FS_STRUCT_H */
