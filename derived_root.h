/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of the root secret: it is fetched once or for each key, kept in
 * memory or not, and wiped.
 */
#ifndef _DERIVED_ROOT_H
#define _DERIVED_ROOT_H

#include "derived_kdf.h"

int derived_root_get(struct derived_root *root);
int derived_root_init(void);
void derived_root_exit(void);

#endif /* _DERIVED_ROOT_H */
