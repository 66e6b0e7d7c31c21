/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The root secret, from the TPM: 32 bytes, as the TPM computes them.
 */
#ifndef _DERIVED_TPM2_HMAC_H
#define _DERIVED_TPM2_HMAC_H

#include <linux/types.h>

#include "derived_kdf.h"
#include "tpm2_command.h"

int derived_tpm_fetch(u8 secret[DERIVED_ROOT_SIZE], struct tpm2_report *report);

#endif /* _DERIVED_TPM2_HMAC_H */
