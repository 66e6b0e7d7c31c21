// SPDX-License-Identifier: GPL-2.0
/*
 * two-faces: a FUSE file system with one program in it, "x". Its reads return
 * one program when it is executed, and another program when it is hashed.
 *
 *	two-faces DIRECTORY OPTIONS FIRST SECOND
 *
 * "x" has the bytes of the file FIRST until a file named "swap" is looked up,
 * and the bytes of the file SECOND from then on. After a file named "silence"
 * was looked up, the file system never answers again. OPTIONS are options of
 * FUSE. The file system is served by user 1000, also if another user mounts it.
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

/* There is one thread only, so no other request is answered either. */
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

/*
 * direct_io: each read(2) reaches this server, also of a file that is mapped.
 * The mapped pages keep their old contents.
 */
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
