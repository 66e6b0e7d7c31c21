// SPDX-License-Identifier: GPL-2.0
/*
 * two-faces: a file system (FUSE) with one program in it, "x", that shows one thing to who runs it and
 * another one to who hashes it.
 *
 *	two-faces DIRECTORY OPTIONS FIRST SECOND
 *
 * It has the bytes of the file FIRST until somebody looks for a file "swap", and then those of the
 * file SECOND. Once somebody has looked for "silence", it never answers again. OPTIONS are those of
 * FUSE. Whoever mounts it, user 1000 serves it.
 *
 * gcc: -Wl,--no-as-needed -lfuse3
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 35
#include "attack.h"

#include <fuse3/fuse.h>

static struct face {
	char data[1 << 20];
	size_t size;
} faces[2];
static struct face *shown = faces;
static int silent;

/* In one thread, so nobody else is answered either. */
static void answer(void)
{
	while (silent)
		pause();
}

static int look(const char *path, struct stat *st, struct fuse_file_info *info)
{
	(void)info;
	answer();
	memset(st, 0, sizeof(*st));
	st->st_uid = 1000;
	st->st_nlink = 1;
	if (!strcmp(path, "/")) {
		st->st_mode = S_IFDIR | 0755;
		return 0;
	}
	if (!strcmp(path, "/x")) {
		st->st_mode = S_IFREG | 0755;
		st->st_size = shown->size;
		return 0;
	}
	if (!strcmp(path, "/swap"))
		shown = &faces[1];
	silent = !strcmp(path, "/silence");
	return -ENOENT;
}

/* direct_io: each read(2) comes here, whatever is mapped; what is mapped stays. */
static int open_x(const char *path, struct fuse_file_info *info)
{
	(void)path;
	answer();
	info->direct_io = 1;
	return 0;
}

static int read_x(const char *path, char *buf, size_t size, off_t from, struct fuse_file_info *info)
{
	(void)path;
	(void)info;
	answer();
	if ((size_t)from >= shown->size)
		return 0;
	if (size > shown->size - from)
		size = shown->size - from;
	memcpy(buf, shown->data + from, size);
	return size;
}

static const struct fuse_operations operations = {
	.getattr = look,
	.open = open_x,
	.read = read_x,
};

int main(int argc, char **argv)
{
	char *options[] = { argv[0], "-o", argv[2], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, options);
	struct fuse *fuse;
	int i, fd;

	if (argc != 5) {
		fprintf(stderr, "usage: two-faces DIRECTORY OPTIONS FIRST SECOND\n");
		return 2;
	}
	for (i = 0; i < 2; i++) {
		fd = check(argv[3 + i], open(argv[3 + i], O_RDONLY | O_CLOEXEC));
		faces[i].size = check("read", read(fd, faces[i].data, sizeof(faces[i].data)));
		close(fd);
	}
	fuse = fuse_new(&args, &operations, sizeof(operations), NULL);
	if (!fuse || fuse_mount(fuse, argv[1]))
		return 1;
	check("setresgid", setresgid(1000, 1000, 1000));
	check("setresuid", setresuid(1000, 1000, 1000));
	return fuse_loop(fuse) != 0;
}
