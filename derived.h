/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the "derived" key type share.
 */
#ifndef _DERIVED_H
#define _DERIVED_H

#include <linux/bits.h>
#include <linux/types.h>
#include <crypto/sha2.h>

struct file;

#define DERIVED_LENGTH_MIN	16	/* bytes of key */
#define DERIVED_LENGTH_MAX	1024
#define DERIVED_MIXIN_MAX	256	/* bytes */

/* derived_request.c */

/* The words of a request: what to bind to, and how. */
#define DERIVED_PATH	BIT(0)	/* bind to the executable's path */
#define DERIVED_CSUM	BIT(1)	/* bind to the executable's contents */
#define DERIVED_NOREAD	BIT(2)	/* user space may not read the key */
#define DERIVED_KCV	BIT(3)	/* refuse unless the check value is .kcv */
#define DERIVED_LOGON	BIT(4)	/* also make a key of type logon */

/**
 * struct derived_request - a request, parsed
 * @length:	bytes of key, DERIVED_LENGTH_MIN to DERIVED_LENGTH_MAX
 * @words:	DERIVED_* above; DERIVED_PATH or DERIVED_CSUM at least
 * @kcv:	the check value that the caller expects, with DERIVED_KCV
 * @mixin:	in the request's own bytes, or NULL
 * @mixin_len:	bytes of @mixin, up to DERIVED_MIXIN_MAX
 */
struct derived_request {
	u32 length;
	unsigned int words;
	u64 kcv;
	const u8 *mixin;
	size_t mixin_len;
};

int derived_parse(const void *data, size_t len, struct derived_request *req);
int derived_parse_check_value(const char *s, size_t len, u64 *value);
const char *derived_word_name(unsigned int word);

/* derived_kdf.c */

/* What HMAC gives, and so K_root, and a block of the KDF. */
#define DERIVED_ROOT_SIZE	SHA256_DIGEST_SIZE

/* be32(1) || "derived-keys v1 root" || 0x00 || be32(256) */
#define DERIVED_ROOT_INPUT_SIZE	(4 + 20 + 1 + 4)

extern const u8 derived_root_input[DERIVED_ROOT_INPUT_SIZE];

/**
 * enum derived_use - what a derivation from K_root is for
 *
 * Each has its label in derived_kdf.c: two uses never give the same bytes.
 *
 * @DERIVED_USE_KEY:		the key
 * @DERIVED_USE_KCV:		the key's check value, public
 * @DERIVED_USE_ROOT_CHECK:	the root check value, public
 */
enum derived_use {
	DERIVED_USE_KEY,
	DERIVED_USE_KCV,
	DERIVED_USE_ROOT_CHECK,
};

/**
 * struct derived_context - what a key depends on, besides K_root
 * @length:	bytes of key
 * @euid:	effective user id in the initial user namespace
 * @path:	of the executable, or NULL: not bound to it
 * @path_len:	bytes of @path, without NUL
 * @sha256:	of the executable's contents, or NULL: not bound to it
 * @noread:	whether user space may not read the key
 * @mixin:	the caller's own bytes, or NULL
 * @mixin_len:	bytes of @mixin
 */
struct derived_context {
	u32 length;
	u32 euid;
	const char *path;
	size_t path_len;
	const u8 *sha256;
	bool noread;
	const u8 *mixin;
	size_t mixin_len;
};

size_t derived_context_size(const struct derived_context *context);
void derived_context_encode(const struct derived_context *context, u8 *out);
void derived_kdf(const struct hmac_sha256_key *root, enum derived_use use,
		 const u8 *context, size_t context_len, u8 *out, u32 out_len);
u64 derived_check_value(const struct hmac_sha256_key *root,
			enum derived_use use,
			const u8 *context, size_t context_len);
void derived_wipe_stack(void);

/* derived_root.c */

struct derived_root;

int derived_root_get(struct derived_root *root);
int derived_root_init(void);
void derived_root_exit(void);

/* derived_identity.c */

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

int derived_identify(unsigned int words, struct derived_identity *id);
void derived_identity_put(struct derived_identity *id);
int derived_check_reader(const struct derived_reader *reader);
int derived_identity_init(void);
void derived_identity_exit(void);

void derived_exec_init(void);
void derived_exec_exit(void);

#endif /* _DERIVED_H */
