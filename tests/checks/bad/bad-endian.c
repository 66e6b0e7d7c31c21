// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/static: what sparse must catch. */
#include <linux/types.h>

__be32 derived_bad_endian(u32 value);

__be32 derived_bad_endian(u32 value)
{
	return value;
}
