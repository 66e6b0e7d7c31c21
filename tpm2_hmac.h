/* SPDX-License-Identifier: GPL-2.0 */
/*
 * K_root, the secret from which every key is derived, and the TPM it is from.
 */
#ifndef _DERIVED_TPM2_HMAC_H
#define _DERIVED_TPM2_HMAC_H

#include <linux/types.h>
#include <crypto/sha2.h>

#include "derived_kdf.h"
#include "derived_log.h"

/* TPM2B_NAME of an object whose nameAlg is SHA-256: TPM_ALG_ID, digest. */
#define DERIVED_TPM_NAME_SIZE	(2 + SHA256_DIGEST_SIZE)

/**
 * struct derived_root - K_root, ready to derive from
 * @key:	K_root as a prepared HMAC key: as secret as K_root itself. Who has
 *		a copy wipes it with memzero_explicit()
 * @check:	the root check value, public
 */
struct derived_root {
	struct hmac_sha256_key key;
	u64 check;
};

/**
 * struct derived_tpm - what there is to say about a fetch
 * @asked:	there was a TPM to ask, whatever came of it
 * @session:	how the answer was protected on its way, in words
 * @null_name:	name of the null primary key that salted a session of our own;
 *		all zero: there was none
 * @vendor:	TPM_PT_MANUFACTURER, or empty
 * @firmware:	TPM_PT_FIRMWARE_VERSION_1 and _2
 * @cause:	of a failure
 * @why:	it failed, in words
 * @unencrypted: why no session protects the answer, in words, or empty
 * @left:	handle of an object that could not be removed from the TPM, or 0
 */
struct derived_tpm {
	bool asked;
	const char *session;
	u8 null_name[DERIVED_TPM_NAME_SIZE];
	char vendor[5];
	u32 firmware[2];
	enum derived_cause cause;
	char why[320];
	char unencrypted[96];
	u32 left;
};

int derived_tpm_fetch(struct derived_root *root, struct derived_tpm *tpm);

#endif /* _DERIVED_TPM2_HMAC_H */
