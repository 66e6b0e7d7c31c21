// SPDX-License-Identifier: GPL-2.0
/*
 * evil: the attacker's program, to be run in the place of x: the same, but other bytes, and it
 * says who it is.
 */
#define WHO "evil"
#include "x.c"
