// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/static: a compiler warning. */
void derived_bad_warning(void);

void derived_bad_warning(void)
{
	int unused;
}
