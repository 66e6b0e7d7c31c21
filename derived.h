/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A request: its limits, its options, and its parsed form.
 */
#ifndef _DERIVED_H
#define _DERIVED_H

#include <linux/bits.h>
#include <linux/types.h>

#define DERIVED_LENGTH_MIN	16	/* bytes of key */
#define DERIVED_LENGTH_MAX	1024
#define DERIVED_MIXIN_MAX	256	/* bytes */

/* The options of a request: what to bind to, and how. */
#define DERIVED_OPT_PATH	BIT(0)	/* bind to the executable's path */
#define DERIVED_OPT_CSUM	BIT(1)	/* bind to the executable's contents */
#define DERIVED_OPT_NOREAD	BIT(2)	/* user space may not read the key */
#define DERIVED_OPT_KCV	BIT(3)	/* refuse unless the check value is .kcv */
#define DERIVED_OPT_LOGON	BIT(4)	/* also make a key of type logon */
#define DERIVED_OPT_CAPPED	BIT(5)	/* derive it from the capped root */

/**
 * struct derived_request - a parsed request
 * @length:	bytes of key, DERIVED_LENGTH_MIN to DERIVED_LENGTH_MAX
 * @options:	DERIVED_OPT_* above; DERIVED_OPT_PATH or DERIVED_OPT_CSUM at least
 * @kcv:	the check value that the caller expects, with DERIVED_OPT_KCV
 * @mixin:	in the request's own bytes, or NULL
 * @mixin_len:	bytes of @mixin, up to DERIVED_MIXIN_MAX
 */
struct derived_request {
	u32 length;
	unsigned int options;
	u64 kcv;
	const u8 *mixin;
	size_t mixin_len;
};

int derived_parse(const void *data, size_t len, struct derived_request *req);
int derived_parse_check_value(const char *s, size_t len, u64 *value);
const char *derived_option_name(unsigned int option);

#endif /* _DERIVED_H */
