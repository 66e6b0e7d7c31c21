// SPDX-License-Identifier: GPL-2.0
/* A fixture for scripts/check-static: a compiler warning. */
void derived_bad_warning(void);

void derived_bad_warning(void)
{
	int unused;
}
