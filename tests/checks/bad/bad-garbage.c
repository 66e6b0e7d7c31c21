// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/static: what clang's analyzer must catch. */
#include <linux/types.h>

int derived_bad_garbage(int which);

static void set(int *value, int which)
{
	if (which > 0)
		*value = which;
}

int derived_bad_garbage(int which)
{
	int value;

	set(&value, which);
	return 2 * value;
}
