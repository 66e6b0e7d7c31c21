/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Identity: the program that asks, and the program that may read.
 */
#ifndef _DERIVED_IDENTITY_H
#define _DERIVED_IDENTITY_H

#include <linux/types.h>
#include <crypto/sha2.h>

struct file;

/**
 * struct derived_reader - the program that derived a key, and so may read it
 * @dev:	of its executable (for an overlay: of the file in the layer), as
 *		stat(2) says. On btrfs that is the subvolume's: a snapshot's files
 *		have the same inode numbers and generations
 * @ino:	inode number of its executable, as stat(2) says
 * @generation:	of that inode number
 * @btime:	birth time of that inode in ns since 1970, as statx(2) says; 0 if
 *		the file system has none, or would have to ask a server for it
 * @path_hash:	of the executable's path, with a random key: only to be compared
 * @euid:	its effective user id in the initial user namespace
 *
 * All by value: a key holds no reference to a file.
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
 * @has_sha256:	whether @sha256 is there
 * @sha256:	of its executable's contents
 * @reader:	what is compared when the key is read
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
