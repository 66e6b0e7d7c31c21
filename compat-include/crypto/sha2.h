/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For kernels whose SHA-256 library has no HMAC. This is RFC 2104 over the
 * library's SHA-256. The names and the contract are those of the newer
 * <crypto/sha2.h>: the caller wipes the prepared key, and hmac_sha256_final()
 * wipes the context.
 */
#ifndef _COMPAT_CRYPTO_SHA2_H
#define _COMPAT_CRYPTO_SHA2_H

#include_next <crypto/sha2.h>

#ifdef COMPAT_LACKS_HMAC_SHA256
#include <linux/string.h>

/* The SHA-256 states after one block, of key ^ ipad and of key ^ opad. */
struct compat_hmac_sha256_key {
	struct sha256_state inner;
	struct sha256_state outer;
};

struct compat_hmac_sha256_ctx {
	struct sha256_state inner;
	struct sha256_state outer;
};

static inline void
compat_hmac_sha256_preparekey(struct compat_hmac_sha256_key *key,
			      const u8 *raw_key, size_t raw_key_len)
{
	u8 block[SHA256_BLOCK_SIZE] = {};
	size_t i;

	if (raw_key_len > sizeof(block))
		sha256(raw_key, raw_key_len, block);
	else
		memcpy(block, raw_key, raw_key_len);

	for (i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	sha256_init(&key->inner);
	sha256_update(&key->inner, block, sizeof(block));

	for (i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	sha256_init(&key->outer);
	sha256_update(&key->outer, block, sizeof(block));

	memzero_explicit(block, sizeof(block));
}

static inline void
compat_hmac_sha256_init(struct compat_hmac_sha256_ctx *ctx,
			const struct compat_hmac_sha256_key *key)
{
	ctx->inner = key->inner;
	ctx->outer = key->outer;
}

static inline void
compat_hmac_sha256_update(struct compat_hmac_sha256_ctx *ctx,
			  const u8 *data, size_t data_len)
{
	sha256_update(&ctx->inner, data, data_len);
}

static inline void
compat_hmac_sha256_final(struct compat_hmac_sha256_ctx *ctx,
			 u8 out[SHA256_DIGEST_SIZE])
{
	u8 inner[SHA256_DIGEST_SIZE];

	sha256_final(&ctx->inner, inner);
	sha256_update(&ctx->outer, inner, sizeof(inner));
	sha256_final(&ctx->outer, out);
	memzero_explicit(inner, sizeof(inner));
	memzero_explicit(ctx, sizeof(*ctx));
}

#define sha256_ctx		sha256_state
#define hmac_sha256_key		compat_hmac_sha256_key
#define hmac_sha256_ctx		compat_hmac_sha256_ctx
#define hmac_sha256_preparekey	compat_hmac_sha256_preparekey
#define hmac_sha256_init	compat_hmac_sha256_init
#define hmac_sha256_update	compat_hmac_sha256_update
#define hmac_sha256_final	compat_hmac_sha256_final

#endif /* COMPAT_LACKS_HMAC_SHA256 */

#endif /* _COMPAT_CRYPTO_SHA2_H */
