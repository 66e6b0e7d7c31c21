/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The capped root: it is fetched once per boot, and then nobody can fetch it.
 */
#ifndef _DERIVED_CAP_H
#define _DERIVED_CAP_H

#include <linux/types.h>

#include "derived_kdf.h"

int derived_cap_get(struct derived_root *root, bool *pinned);
const char *derived_cap_pcrs(void);
bool derived_cap_is_on(void);
void derived_cap_forget(void);
void derived_cap_may_hold(bool may);
void derived_cap_watch(void);
int derived_cap_show(char *buffer, int at);
int derived_cap_init(void);
void derived_cap_stay(void);
void derived_cap_exit(void);

#endif /* _DERIVED_CAP_H */
