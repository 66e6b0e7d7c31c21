// SPDX-License-Identifier: GPL-2.0
/*
 * evil-library: the attacker's code in a library, for LD_PRELOAD (P22). It
 * makes its request before main() of the program that it was loaded into runs,
 * and then ends the process.
 *
 * gcc: -shared -fPIC
 */
#include <unistd.h>

#include "ask.h"

__attribute__((constructor))
static void ask_first(int argc, char **argv)
{
	ask("evil", argc > 1 ? argv[1] : "32 path", ASK_PROCESS_KEYRING);
	_exit(0);
}
