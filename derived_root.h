/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of the root secret: it is fetched once or for each key, kept in
 * memory or not, and wiped.
 */
#ifndef _DERIVED_ROOT_H
#define _DERIVED_ROOT_H

#include <linux/types.h>
#include <crypto/sha2.h>

/**
 * struct derived_root - the root secret (K_root), ready to derive from
 * @key:	K_root as a prepared HMAC key: as secret as K_root itself. Every copy
 *		is to be wiped with memzero_explicit()
 * @check:	the root check value, public
 */
struct derived_root {
	struct hmac_sha256_key key;
	u64 check;
};

int derived_root_get(struct derived_root *root);
int derived_root_init(void);
void derived_root_exit(void);

#endif /* _DERIVED_ROOT_H */
