// SPDX-License-Identifier: GPL-2.0
/*
 * x: the victim, "program X" of the attack table. It requests its key and
 * prints the key.
 *
 *	x [-d|-m] [WHAT [KEYRING]]
 *
 * WHAT is described in ask.h; KEYRING is a serial number.
 *
 * -d: it deletes its own file first
 * -m: it enters a new mount namespace first
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"

#ifndef WHO
#define WHO "x"
#endif

int main(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "-d") || !strcmp(argv[1], "-m"))) {
		if (argv[1][1] == 'd' ? unlink(argv[0]) : unshare(CLONE_NEWNS)) {
			perror(WHO);
			return 1;
		}
		argc--;
		argv++;
	}
	ask(WHO, argc > 1 ? argv[1] : "32 path",
	    argc > 2 ? strtol(argv[2], NULL, 10) : ASK_PROCESS_KEYRING);
	return 0;
}
