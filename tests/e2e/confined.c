// SPDX-License-Identifier: GPL-2.0
/*
 * confined: request derived keys under an AppArmor profile, and show that the
 * profile is in force.
 *
 *	confined PROFILE|- REQUEST...
 *
 * It first changes to PROFILE, unless that is "-". It then prints whether it
 * may read its executable and /etc/shadow, and a line for each REQUEST as x.c
 * does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../attack/ask.h"

static void try_to_read(const char *name)
{
	int fd = open(name, O_RDONLY);

	printf("%s %s\n", name, fd < 0 ? ask_errno(errno) : "can be read");
	fflush(stdout);
	if (fd >= 0)
		close(fd);
}

static int change_profile(const char *name)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "changeprofile %s", name);
	int fd = open("/proc/self/attr/current", O_WRONLY);

	return fd < 0 || write(fd, line, len) != len;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "-") && change_profile(argv[1])) {
		perror(argv[1]);
		return 1;
	}
	try_to_read("/proc/self/exe");
	try_to_read("/etc/shadow");
	for (i = 2; i < argc; i++)
		ask("x", argv[i], ASK_PROCESS_KEYRING);
	return 0;
}
