// SPDX-License-Identifier: GPL-2.0
/*
 * request_fuzz: the module's parser of requests and its encoder of contexts, as
 * a program for libFuzzer. In addition to the checks of the sanitizers, it
 * checks that
 *
 *	- an accepted request can be written in one way only (except for the
 *	  order of its options), and then parses to the same result;
 *	- an encoding has the predicted length, and another decoder gets exactly
 *	  the encoded values from it: so no two contexts have the same encoding.
 */

#include <stdio.h>
#include <stdlib.h>

#include "derived.h"
#include "derived_kdf.h"

#define DIE(what)	do { fprintf(stderr, "request_fuzz: %s\n", what); abort(); } while (0)
#define EXPECT(cond)	do { if (!(cond)) DIE("not so: " #cond); } while (0)

/* Write the request in its plain form. */
static size_t write_request(const struct derived_request *req, char *out, size_t size)
{
	const char *separator = " ";
	const char *name;
	unsigned int option;
	int n = snprintf(out, size, "%u", req->length);

	for (option = 1; (name = derived_option_name(option)); option <<= 1) {
		if (!(req->options & option))
			continue;
		n += snprintf(out + n, size - n, "%s%s", separator, name);
		if (option == DERIVED_OPT_KCV)
			n += snprintf(out + n, size - n, "%016llx", (unsigned long long)req->kcv);
		separator = ",";
	}
	if (req->mixin) {
		out[n++] = ' ';
		memcpy(out + n, req->mixin, req->mixin_len);
		n += req->mixin_len;
	}
	return n;
}

static void check_request(const u8 *data, size_t len)
{
	struct derived_request req, again;
	char text[512];
	u8 *copy = malloc(len ? len : 1);	/* exact, for AddressSanitizer */
	size_t n;
	int err;

	memcpy(copy, data, len);
	err = derived_parse(copy, len, &req);
	EXPECT(err == 0 || err == -EINVAL || err == -ERANGE || err == -E2BIG);
	EXPECT(err != -E2BIG || len > DERIVED_MIXIN_MAX);
	if (!err) {
		EXPECT(req.length >= DERIVED_LENGTH_MIN && req.length <= DERIVED_LENGTH_MAX);
		EXPECT(req.options & (DERIVED_OPT_PATH | DERIVED_OPT_CSUM));
		EXPECT(!(req.options & ~(DERIVED_OPT_PATH | DERIVED_OPT_CSUM | DERIVED_OPT_NOREAD | DERIVED_OPT_KCV |
				       DERIVED_OPT_LOGON | DERIVED_OPT_CAPPED)));
		EXPECT(!req.mixin == !req.mixin_len && req.mixin_len <= DERIVED_MIXIN_MAX);
		EXPECT(!req.mixin || (req.mixin >= copy && req.mixin + req.mixin_len == copy + len));

		n = write_request(&req, text, sizeof(text));
		/*
		 * The plain form may differ in the order of the options only.
		 */
		EXPECT(n == len);
		EXPECT(!derived_parse(text, n, &again));
		EXPECT(again.length == req.length && again.options == req.options && again.kcv == req.kcv &&
		       again.mixin_len == req.mixin_len &&
		       !memcmp(again.mixin ? again.mixin : (u8 *)"", req.mixin ? req.mixin : (u8 *)"",
			       req.mixin_len));
	}
	free(copy);
}

/* Reads the next record, if it has this tag. */
static bool take_record(const u8 **p, const u8 *end, u8 tag, const u8 **value, size_t *len)
{
	if (*p == end || (*p)[0] != tag)
		return false;
	EXPECT(end - *p >= 3);
	*len = (*p)[1] << 8 | (*p)[2];
	*value = *p + 3;
	EXPECT((size_t)(end - *value) >= *len);
	*p = *value + *len;
	return true;
}

static u32 be32(const u8 *p)
{
	return (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void check_context(const u8 *data, size_t len)
{
	struct hmac_sha256_key key = { 1 };
	struct derived_context context = {};
	u8 sha256[SHA256_DIGEST_SIZE] = {};
	const u8 *p, *end, *value;
	size_t size, n;
	u8 *encoded, *out;

	if (len < 8)
		return;
	context.length = DERIVED_LENGTH_MIN + (data[0] << 8 | data[1]) %
			 (DERIVED_LENGTH_MAX - DERIVED_LENGTH_MIN + 1);
	context.euid = be32(data + 2);
	context.noread = data[6] & 1;
	context.capped = data[6] & 4;
	if (data[6] & 2) {
		memset(sha256, data[6], sizeof(sha256));
		context.sha256 = sha256;
	}
	n = data[7];
	data += 8;
	len -= 8;
	if (n > len)
		n = len;
	if (n) {
		context.path = (const char *)data;
		context.path_len = n;
	}
	len -= n;
	if (len && len <= DERIVED_MIXIN_MAX) {
		context.mixin = data + n;
		context.mixin_len = len;
	}

	size = derived_context_size(&context);
	encoded = malloc(size);
	memset(encoded, 0xa5, size);
	derived_context_encode(&context, encoded);

	p = encoded;
	end = encoded + size;
	EXPECT(take_record(&p, end, 1, &value, &n) && n == 4 && be32(value) == context.length);
	EXPECT(take_record(&p, end, 2, &value, &n) && n == 4 && be32(value) == context.euid);
	EXPECT(take_record(&p, end, 3, &value, &n) == !!context.path);
	EXPECT(!context.path || (n == context.path_len && !memcmp(value, context.path, n)));
	EXPECT(take_record(&p, end, 4, &value, &n) == !!context.sha256);
	EXPECT(!context.sha256 || (n == 34 && value[0] == 0x00 && value[1] == 0x0b &&
				   !memcmp(value + 2, sha256, 32)));
	EXPECT(take_record(&p, end, 6, &value, &n) == context.noread);
	EXPECT(!context.noread || (n == 1 && value[0] == 1));
	EXPECT(take_record(&p, end, 7, &value, &n) == !!context.mixin);
	EXPECT(!context.mixin || (n == context.mixin_len && !memcmp(value, context.mixin, n)));
	EXPECT(take_record(&p, end, 8, &value, &n) == context.capped);
	EXPECT(!context.capped || (n == 1 && value[0] == 1));
	EXPECT(p == end);

	out = malloc(context.length);
	derived_kdf(&key, DERIVED_USE_KEY, encoded, size, out, context.length);
	free(out);
	free(encoded);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	check_request(data, len);
	check_context(data, len);
	return 0;
}
