/* SPDX-License-Identifier: GPL-2.0 */
/*
 * No cryptography: the fuzzer tests the input of the hash only. derived_kdf.c
 * gets a function that reads each byte, so that the sanitizers check these
 * reads.
 */
#ifndef FUZZ_SHA2_H
#define FUZZ_SHA2_H

#include "kernel.h"

#define SHA256_DIGEST_SIZE	32
#define SHA512_DIGEST_SIZE	64

struct hmac_sha256_key {
	u8 state;
};

struct hmac_sha256_ctx {
	u8 state;
};

static inline void hmac_sha256_preparekey(struct hmac_sha256_key *key, const u8 *raw,
					  size_t len)
{
	key->state = 0;
	while (len--)
		key->state = 31 * key->state + *raw++;
}

static inline void hmac_sha256_init(struct hmac_sha256_ctx *ctx,
				    const struct hmac_sha256_key *key)
{
	ctx->state = key->state;
}

static inline void hmac_sha256_update(struct hmac_sha256_ctx *ctx, const u8 *data,
				      size_t len)
{
	while (len--)
		ctx->state = 31 * ctx->state + *data++;
}

static inline void hmac_sha256_final(struct hmac_sha256_ctx *ctx,
				     u8 out[SHA256_DIGEST_SIZE])
{
	memset(out, ctx->state, SHA256_DIGEST_SIZE);
}

#endif /* FUZZ_SHA2_H */
