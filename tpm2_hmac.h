/* SPDX-License-Identifier: GPL-2.0 */
/*
 * K_root, the secret from which every key is derived, and the TPM it is from.
 */
#ifndef _DERIVED_TPM2_HMAC_H
#define _DERIVED_TPM2_HMAC_H

#include <linux/types.h>
#include <crypto/sha2.h>

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
 * struct derived_tpm - the TPM that answered, for the administrator
 * @session:	how the answer was protected on its way, in words
 * @vendor:	TPM_PT_MANUFACTURER, or empty
 * @firmware:	TPM_PT_FIRMWARE_VERSION_1 and _2
 */
struct derived_tpm {
	const char *session;
	char vendor[5];
	u32 firmware[2];
};

/* tpm2_hmac.c */

int derived_tpm_fetch(struct derived_root *root, struct derived_tpm *tpm,
		      bool *asked);

/* derived_root.c */

int derived_root_get(struct derived_root *root);
int derived_root_init(void);
void derived_root_exit(void);

#endif /* _DERIVED_TPM2_HMAC_H */
