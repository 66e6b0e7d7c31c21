/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The key derivation functions of the TPM 2.0 Library specification, with
 * SHA-256. Sessions with the TPM use them. Key format 1 has its own KDF
 * (derived_kdf.c).
 */
#ifndef _DERIVED_TPM2_KDF_H
#define _DERIVED_TPM2_KDF_H

#include <linux/types.h>
#include <crypto/sha2.h>

void derived_tpm_kdfa(const struct hmac_sha256_key *key, const char *label,
		      const u8 *u, size_t u_len, const u8 *v, size_t v_len,
		      u8 *out, size_t len);
void derived_tpm_kdfe(const u8 *z, size_t z_len, const char *label,
		      const u8 *u, size_t u_len, const u8 *v, size_t v_len,
		      u8 *out, size_t len);

#endif /* _DERIVED_TPM2_KDF_H */
