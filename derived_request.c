// SPDX-License-Identifier: GPL-2.0
/*
 * The parser of requests: "<length> <option>[,<option>...] [<mixin>]".
 *
 * This file needs no kernel around it. tests/fuzz/ compiles it and
 * derived_kdf.c into a program, and feeds that with input that no administrator
 * would type.
 */

#include <linux/array_size.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/hex.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "derived.h"

#define CHECK_VALUE_DIGITS	16

/* The options, which stand between the length and the mixin. */
static const struct {
	const char *name;
	unsigned int option;
} options[] = {
	{ "path",	DERIVED_OPT_PATH },
	{ "csum",	DERIVED_OPT_CSUM },
	{ "noread",	DERIVED_OPT_NOREAD },
	{ "kcv=",	DERIVED_OPT_KCV },
	{ "logon",	DERIVED_OPT_LOGON },
	{ "capped",	DERIVED_OPT_CAPPED },
};

/* No mixin begins with these words: they are options, or will be. */
static const char * const reserved[] = {
	"path", "csum", "verity", "noread", "logon", "kcv", "pcrs", "capped",
};

static bool is_string(const u8 *s, size_t len, const char *string)
{
	return len == strlen(string) && !memcmp(s, string, len);
}

/* Returns how many bytes of @s come before the first byte that is in @stops. */
static size_t span_until(const u8 *s, size_t len, const char *stops)
{
	size_t n = 0;

	/* strchr() finds a NUL in any string, but derived_parse() refuses NUL. */
	while (n < len && !strchr(stops, s[n]))
		n++;
	return n;
}

/**
 * derived_parse_check_value() - parse a check value
 * @s:		16 lower-case hexadecimal digits, and nothing else
 * @len:	bytes of @s
 * @value:	the result
 *
 * Stricter than kstrtou64(): each value has exactly one spelling.
 *
 * Return: 0 or -EINVAL
 */
int derived_parse_check_value(const char *s, size_t len, u64 *value)
{
	u64 v = 0;
	size_t i;

	if (len != CHECK_VALUE_DIGITS)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		if (!isxdigit(s[i]) || isupper(s[i]))
			return -EINVAL;
		v = v << 4 | hex_to_bin(s[i]);
	}
	*value = v;
	return 0;
}

static int parse_length(const u8 *s, size_t len, u32 *length)
{
	u32 value = 0;
	size_t i;

	if (!len)
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (!isdigit(s[i]))
			return -EINVAL;
	if (s[0] == '0' && len > 1)
		return -EINVAL;

	for (i = 0; i < len; i++) {
		value = 10 * value + (s[i] - '0');
		/* Before the next digit: the value cannot overflow. */
		if (value > DERIVED_LENGTH_MAX)
			return -ERANGE;
	}
	if (value < DERIVED_LENGTH_MIN)
		return -ERANGE;
	*length = value;
	return 0;
}

static int parse_option(const u8 *s, size_t len, struct derived_request *req)
{
	const size_t kcv_len = strlen("kcv=");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].option == DERIVED_OPT_KCV) {
			if (len < kcv_len ||
			    !is_string(s, kcv_len, options[i].name))
				continue;
			if (derived_parse_check_value((const char *)s + kcv_len,
						      len - kcv_len, &req->kcv))
				return -EINVAL;
		} else if (!is_string(s, len, options[i].name)) {
			continue;
		}
		if (req->options & options[i].option)
			return -EINVAL;
		req->options |= options[i].option;
		return 0;
	}
	return -EINVAL;
}

static int parse_options(const u8 *s, size_t len, struct derived_request *req)
{
	size_t n;
	int err;

	for (;;) {
		n = span_until(s, len, ",");
		err = parse_option(s, n, req);
		if (err)
			return err;
		if (n == len)
			break;
		s += n + 1;
		len -= n + 1;
	}
	return req->options & (DERIVED_OPT_PATH | DERIVED_OPT_CSUM) ? 0 : -EINVAL;
}

static int check_mixin(const u8 *s, size_t len)
{
	size_t i, n;

	if (len > DERIVED_MIXIN_MAX)
		return -E2BIG;
	if (!len || s[0] == ' ' || s[len - 1] == ' ')
		return -EINVAL;

	n = span_until(s, len, " ,=");
	for (i = 0; i < ARRAY_SIZE(reserved); i++)
		if (is_string(s, n, reserved[i]))
			return -EINVAL;

	/* [a-z][a-z0-9_]*= */
	if (!islower(s[0]) || !isascii(s[0]))
		return 0;
	for (i = 1; i < len; i++)
		if (!isascii(s[i]) ||
		    !(islower(s[i]) || isdigit(s[i]) || s[i] == '_'))
			break;
	return i < len && s[i] == '=' ? -EINVAL : 0;
}

/**
 * derived_parse() - parse a request
 * @data:	the request, "<length> <option>[,<option>...] [<mixin>]", without NUL
 * @len:	bytes of @data
 * @req:	the result; its mixin points into @data
 *
 * Refuses everything that is not exactly of this form. Above all it refuses
 * what is easy to overlook: a newline at the end, two spaces, an option in the
 * place of the mixin.
 *
 * Context: any.
 * Return: 0; -EINVAL if it is not of this form; -ERANGE if the length is a
 * number out of range, whatever follows; -E2BIG if the request is longer than a
 * page or its mixin longer than DERIVED_MIXIN_MAX
 */
int derived_parse(const void *data, size_t len, struct derived_request *req)
{
	const u8 *s = data;
	size_t i, n;
	int err;

	memset(req, 0, sizeof(*req));
	if (!len)
		return -EINVAL;
	if (len > PAGE_SIZE)
		return -E2BIG;
	for (i = 0; i < len; i++)
		if (s[i] < 0x20 || s[i] == 0x7f)
			return -EINVAL;

	n = span_until(s, len, " ");
	err = parse_length(s, n, &req->length);
	if (err)
		return err;
	if (n == len)
		return -EINVAL;
	s += n + 1;
	len -= n + 1;

	n = span_until(s, len, " ");
	err = parse_options(s, n, req);
	if (err || n == len)
		return err;
	s += n + 1;
	len -= n + 1;

	req->mixin = s;
	req->mixin_len = len;
	return check_mixin(s, len);
}

/**
 * derived_option_name() - what an option of a request is called
 * @option:	one of DERIVED_OPT_PATH to DERIVED_OPT_CAPPED
 *
 * Context: any.
 * Return: its name, static, or NULL if there is no such option
 */
const char *derived_option_name(unsigned int option)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].option == option)
			return options[i].name;
	return NULL;
}
