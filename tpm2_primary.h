/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Primary objects: the TPM makes them out of its own seed and a template.
 */
#ifndef _DERIVED_TPM2_PRIMARY_H
#define _DERIVED_TPM2_PRIMARY_H

#include <linux/tpm.h>
#include <linux/types.h>

#include "tpm2_auth.h"

#define DERIVED_PRIMARY_PUBLIC_MAX	128

/**
 * struct derived_primary - a primary object in the TPM
 * @handle:	the handle to flush, or 0
 * @name:	its name
 * @public:	its TPMT_PUBLIC
 * @public_len:	bytes of @public
 */
struct derived_primary {
	u32 handle;
	u8 name[DERIVED_TPM_NAME_SIZE];
	u8 public[DERIVED_PRIMARY_PUBLIC_MAX];
	size_t public_len;
};

int derived_primary_create(struct derived_session *session, struct tpm_buf *buf,
			   u32 hierarchy, const u8 *public, size_t public_len,
			   struct derived_primary *primary);

#endif /* _DERIVED_TPM2_PRIMARY_H */
