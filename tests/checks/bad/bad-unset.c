// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/static: what clang must catch, and gcc does not. */
#include <linux/types.h>

int derived_bad_unset(int which);

int derived_bad_unset(int which)
{
	int value;

	if (which)
		value = 1;
	return value;
}
