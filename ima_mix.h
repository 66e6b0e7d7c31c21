/* SPDX-License-Identifier: GPL-2.0 */
/*
 * csum: the contents of the executable, as a part of the key.
 */
#ifndef _DERIVED_IMA_MIX_H
#define _DERIVED_IMA_MIX_H

#include <linux/types.h>
#include <crypto/sha2.h>

struct file;

int derived_hash_exe(struct file *exe, u32 euid, u8 sha256[SHA256_DIGEST_SIZE]);

#endif /* _DERIVED_IMA_MIX_H */
