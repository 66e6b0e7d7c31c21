// SPDX-License-Identifier: GPL-2.0
/**
 * derived_bad_doc() - a fixture for tests/checks/static: kernel-doc without "Return:"
 * @a: a number
 */
int derived_bad_doc(int a)
{
	return a;
}
