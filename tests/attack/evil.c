// SPDX-License-Identifier: GPL-2.0
/*
 * evil: the attacker's program, which is run in the place of x. It is the same
 * program with other bytes, and it prints "evil" instead of "x".
 */
#define WHO "evil"
#include "x.c"
