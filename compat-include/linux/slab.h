/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For kernels without kzalloc_obj(), which takes the size of an allocation from
 * its type.
 */
#ifndef _COMPAT_LINUX_SLAB_H
#define _COMPAT_LINUX_SLAB_H

#include_next <linux/slab.h>

#ifndef kzalloc_obj
#define kzalloc_obj(obj) kzalloc(sizeof(obj), GFP_KERNEL)
#endif

#endif /* _COMPAT_LINUX_SLAB_H */
