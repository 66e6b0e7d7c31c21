// SPDX-License-Identifier: GPL-2.0
/* What belongs into compat-include/. */
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "too old"
#endif
