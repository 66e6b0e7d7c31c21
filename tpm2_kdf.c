// SPDX-License-Identifier: GPL-2.0
/*
 * The key derivation functions of the TPM 2.0 Library specification, with
 * SHA-256. "Part 1" is its Architecture.
 */

#include <linux/minmax.h>
#include <linux/string.h>
#include <asm/byteorder.h>

#include "tpm2_kdf.h"

/**
 * derived_tpm_kdfa() - KDFa: SP 800-108 in counter mode, with HMAC
 * @key:	the key, prepared; secret
 * @label:	the purpose; its terminating NUL is a part of it
 * @u:		contextU, commonly the newer nonce
 * @u_len:	bytes of @u
 * @v:		contextV, commonly the older nonce
 * @v_len:	bytes of @v
 * @out:	the result; the caller wipes it
 * @len:	bytes of @out. This number is a part of the hashed input
 *
 * Part 1, 11.4.10.2. Cannot fail.
 *
 * Context: any.
 */
void derived_tpm_kdfa(const struct hmac_sha256_key *key, const char *label,
		      const u8 *u, size_t u_len, const u8 *v, size_t v_len,
		      u8 *out, size_t len)
{
	const __be32 bits = cpu_to_be32(8 * len);
	u8 block[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx hmac;
	size_t done, n;
	u32 i = 1;

	for (done = 0; done < len; done += n, i++) {
		const __be32 counter = cpu_to_be32(i);

		hmac_sha256_init(&hmac, key);
		hmac_sha256_update(&hmac, (const u8 *)&counter, sizeof(counter));
		hmac_sha256_update(&hmac, (const u8 *)label, strlen(label) + 1);
		hmac_sha256_update(&hmac, u, u_len);
		hmac_sha256_update(&hmac, v, v_len);
		hmac_sha256_update(&hmac, (const u8 *)&bits, sizeof(bits));
		hmac_sha256_final(&hmac, block);

		n = min(len - done, sizeof(block));
		memcpy(out + done, block, n);
	}
	memzero_explicit(block, sizeof(block));
}

/**
 * derived_tpm_kdfe() - KDFe: SP 800-56A's concatenation KDF, for ECDH
 * @z:		the x-coordinate of the shared point; secret
 * @z_len:	bytes of @z
 * @label:	the purpose; its terminating NUL is a part of it
 * @u:		PartyUInfo, the x-coordinate of the ephemeral public key
 * @u_len:	bytes of @u
 * @v:		PartyVInfo, the x-coordinate of the other public key
 * @v_len:	bytes of @v
 * @out:	the result; the caller wipes it
 * @len:	bytes of @out. A shorter result is the beginning of a longer one
 *
 * Part 1, 11.4.10.3. Cannot fail.
 *
 * Context: any.
 */
void derived_tpm_kdfe(const u8 *z, size_t z_len, const char *label,
		      const u8 *u, size_t u_len, const u8 *v, size_t v_len,
		      u8 *out, size_t len)
{
	u8 block[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;
	size_t done, n;
	u32 i = 1;

	for (done = 0; done < len; done += n, i++) {
		const __be32 counter = cpu_to_be32(i);

		sha256_init(&hash);
		sha256_update(&hash, (const u8 *)&counter, sizeof(counter));
		sha256_update(&hash, z, z_len);
		sha256_update(&hash, (const u8 *)label, strlen(label) + 1);
		sha256_update(&hash, u, u_len);
		sha256_update(&hash, v, v_len);
		sha256_final(&hash, block);

		n = min(len - done, sizeof(block));
		memcpy(out + done, block, n);
	}
	memzero_explicit(block, sizeof(block));
}
