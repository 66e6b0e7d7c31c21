/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who is asking, and who may read.
 */
#ifndef _DERIVED_IDENTITY_H
#define _DERIVED_IDENTITY_H

#include <linux/types.h>
#include <crypto/sha2.h>

struct file;

/**
 * struct derived_reader - who may read a key: the program that derived it
 * @dev:	of its executable (of an overlay: of the file in the layer), as
 *		stat(2) says: of the subvolume, not only of
 *		the file system. btrfs gives a snapshot's files the same inode
 *		numbers and generations
 * @ino:	inode number of its executable, as stat(2) says
 * @generation:	of that inode number
 * @btime:	when that inode was made, as statx(2) says, in ns since 1970; 0 where
 *		the file system does not know, or would have to ask somewhere
 * @path_hash:	of the executable's path, keyed at random: to be compared only
 * @euid:	its effective user id in the initial user namespace
 *
 * By value: a key pins nothing.
 */
struct derived_reader {
	u64 ino;
	u64 path_hash;
	u64 btime;
	dev_t dev;
	u32 generation;
	u32 euid;
};

/**
 * struct derived_identity - the program that asks
 * @euid:	its effective user id in the initial user namespace
 * @path:	of its executable
 * @path_len:	bytes of @path, without NUL
 * @has_sha256:	whether @sha256 was asked for
 * @sha256:	of its executable's contents
 * @reader:	what to ask for when the key is read
 * @exe:	its executable; internal
 * @path_buf:	what @path points into; internal
 */
struct derived_identity {
	u32 euid;
	const char *path;
	size_t path_len;
	bool has_sha256;
	u8 sha256[SHA256_DIGEST_SIZE];
	struct derived_reader reader;

	struct file *exe;
	char *path_buf;
};

int derived_identify(unsigned int options, struct derived_identity *id);
void derived_identity_put(struct derived_identity *id);
int derived_check_reader(const struct derived_reader *reader);
int derived_identity_init(void);
void derived_identity_exit(void);

#endif /* _DERIVED_IDENTITY_H */
