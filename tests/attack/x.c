// SPDX-License-Identifier: GPL-2.0
/*
 * x: the victim, "program X" of the attack table: asks for its key and prints it.
 *
 *	x [WHAT [KEYRING]]	ask.h says what WHAT is; KEYRING is a serial number
 */
#include <stdlib.h>

#include "ask.h"

#ifndef WHO
#define WHO "x"
#endif

int main(int argc, char **argv)
{
	ask(WHO, argc > 1 ? argv[1] : "32 path",
	    argc > 2 ? strtol(argv[2], NULL, 10) : ASK_PROCESS_KEYRING);
	return 0;
}
