/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Key format 1: from K_root and a context to a key and its check value.
 */
#ifndef _DERIVED_KDF_H
#define _DERIVED_KDF_H

#include <linux/types.h>
#include <crypto/sha2.h>

/* Bytes of an HMAC-SHA256: of K_root, and of a block of the KDF. */
#define DERIVED_ROOT_SIZE	SHA256_DIGEST_SIZE

/* be32(1) || "derived-keys v1 root" || 0x00 || be32(256) */
#define DERIVED_ROOT_INPUT_SIZE	(4 + 20 + 1 + 4)

/* be32(1) || "derived-keys v1 capped root" || 0x00 || policy || be32(256) */
#define DERIVED_CAPPED_INPUT_SIZE (4 + 27 + 1 + SHA256_DIGEST_SIZE + 4)

extern const u8 derived_root_input[DERIVED_ROOT_INPUT_SIZE];

/**
 * struct derived_root - a root secret, ready to derive from
 * @key:	K_root or K_capped as a prepared HMAC key: as secret as that itself.
 *		Every copy is to be wiped with memzero_explicit()
 * @check:	the root check value, public
 */
struct derived_root {
	struct hmac_sha256_key key;
	u64 check;
};

/**
 * enum derived_use - the purpose of a derivation from K_root
 *
 * Each use has its own label in derived_kdf.c, so two uses never give the same
 * bytes.
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
 * struct derived_context - what a key depends on, besides the root secret
 * @length:	bytes of key
 * @euid:	effective user id in the initial user namespace
 * @path:	of the executable, or NULL: the key is not bound to it
 * @path_len:	bytes of @path, without NUL
 * @sha256:	of the executable's contents, or NULL: the key is not bound to them
 * @noread:	whether user space may not read the key
 * @mixin:	the purpose that the caller chose, or NULL
 * @mixin_len:	bytes of @mixin
 * @capped:	whether it is derived from K_capped
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
	bool capped;
};

void derived_capped_input(const u8 policy[SHA256_DIGEST_SIZE],
			  u8 input[DERIVED_CAPPED_INPUT_SIZE]);
void derived_root_prepare(struct derived_root *root,
			  const u8 secret[DERIVED_ROOT_SIZE]);
size_t derived_context_size(const struct derived_context *context);
void derived_context_encode(const struct derived_context *context, u8 *out);
void derived_kdf(const struct hmac_sha256_key *root, enum derived_use use,
		 const u8 *context, size_t context_len, u8 *out, u32 out_len);
u64 derived_check_value(const struct hmac_sha256_key *root,
			enum derived_use use,
			const u8 *context, size_t context_len);
void derived_wipe_stack(void);

#endif /* _DERIVED_KDF_H */
