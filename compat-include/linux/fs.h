/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For kernels without FMODE_FSNOTIFY_HSM(). In newer kernels, it recognizes the
 * files that may be written while they run: a listener of fanotify is asked
 * before their contents are accessed. Older kernels have no such files.
 */
#ifndef _COMPAT_LINUX_FS_H
#define _COMPAT_LINUX_FS_H

#include_next <linux/fs.h>

#ifndef FMODE_FSNOTIFY_HSM
#define FMODE_FSNOTIFY_HSM(mode) 0
#endif

#endif /* _COMPAT_LINUX_FS_H */
