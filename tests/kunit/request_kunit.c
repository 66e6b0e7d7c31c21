// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the parser of requests, derived_request.c.
 */

#include <kunit/test.h>
#include <linux/string.h>

#include "../../derived.h"

#define PATH	DERIVED_OPT_PATH
#define CSUM	DERIVED_OPT_CSUM
#define NOREAD	DERIVED_OPT_NOREAD
#define LOGON	DERIVED_OPT_LOGON
#define KCV	DERIVED_OPT_KCV
#define CAPPED	DERIVED_OPT_CAPPED

struct request {
	const char *text;
	size_t len;
	u32 length;		/* the result, if the request is good */
	unsigned int options;
	u64 kcv;
	const char *mixin;
	int err;
};

/* Bytes and their length, because some requests contain a NUL. */
#define TEXT(s)			.text = (s), .len = sizeof(s) - 1
#define GOOD(s, l, o, ...)	{ TEXT(s), .length = (l), .options = (o), ##__VA_ARGS__ }
#define BAD(s, e)		{ TEXT(s), .err = (e) }

static const struct request requests[] = {
	GOOD("16 path", 16, PATH),
	GOOD("1024 path", 1024, PATH),
	GOOD("64 csum", 64, CSUM),
	GOOD("64 path,csum", 64, PATH | CSUM),
	GOOD("64 csum,path", 64, PATH | CSUM),
	GOOD("64 noread,path", 64, PATH | NOREAD),
	GOOD("64 logon,noread,csum,path", 64, PATH | CSUM | NOREAD | LOGON),
	GOOD("64 path,kcv=0123456789abcdef", 64, PATH | KCV,
	     .kcv = 0x0123456789abcdefull),
	GOOD("64 kcv=ffffffffffffffff,path x", 64, PATH | KCV, .kcv = U64_MAX,
	     .mixin = "x"),
	GOOD("64 path,capped", 64, PATH | CAPPED),
	GOOD("64 capped,csum,kcv=0123456789abcdef x", 64, CSUM | CAPPED | KCV,
	     .kcv = 0x0123456789abcdefull, .mixin = "x"),
	GOOD("64 path nas-disk v1", 64, PATH, .mixin = "nas-disk v1"),
	GOOD("64 path a  b", 64, PATH, .mixin = "a  b"),
	GOOD("64 path paths", 64, PATH, .mixin = "paths"),
	GOOD("64 path Path", 64, PATH, .mixin = "Path"),
	GOOD("64 path v1 path", 64, PATH, .mixin = "v1 path"),
	GOOD("64 path V1=x", 64, PATH, .mixin = "V1=x"),
	GOOD("64 path 1v=x", 64, PATH, .mixin = "1v=x"),
	GOOD("64 path a b=c", 64, PATH, .mixin = "a b=c"),
	GOOD("64 path \xc3\xa9=x", 64, PATH, .mixin = "\xc3\xa9=x"),
	GOOD("64 path \x80\xff", 64, PATH, .mixin = "\x80\xff"),
	GOOD("64 path =", 64, PATH, .mixin = "="),
	GOOD("64 path ,", 64, PATH, .mixin = ","),

	BAD("", -EINVAL),
	BAD(" ", -EINVAL),
	BAD("64", -EINVAL),
	BAD("64 ", -EINVAL),
	BAD("path", -EINVAL),
	BAD("path 64", -EINVAL),
	BAD(" 64 path", -EINVAL),
	BAD("64  path", -EINVAL),
	BAD("64 path ", -EINVAL),
	BAD("64 path  x", -EINVAL),
	BAD("64 path x ", -EINVAL),
	BAD("64\tpath", -EINVAL),
	BAD("64 path\n", -EINVAL),
	BAD("64 path x\n", -EINVAL),
	BAD("64 path x\0", -EINVAL),
	BAD("64 path\0", -EINVAL),
	BAD("64\0path", -EINVAL),
	BAD("\0" "64 path", -EINVAL),
	BAD("64 path \x7f", -EINVAL),
	BAD("64 path a\x1f", -EINVAL),

	BAD("15 path", -ERANGE),
	BAD("0 path", -ERANGE),
	BAD("1025 path", -ERANGE),
	BAD("4294967312 path", -ERANGE),	/* 2^32 + 16 */
	BAD("18446744073709551632 path", -ERANGE),
	BAD("99999999999999999999999999999999999999 path", -ERANGE),
	BAD("1025", -ERANGE),
	BAD("15 nonsense", -ERANGE),
	BAD("064 path", -EINVAL),
	BAD("+64 path", -EINVAL),
	BAD("-64 path", -EINVAL),
	BAD("0x40 path", -EINVAL),
	BAD("64k path", -EINVAL),
	BAD("6,4 path", -EINVAL),
	BAD("\xd9\xa3\xd9\xa2 path", -EINVAL),	/* Arabic-Indic digits */

	BAD("64 noread", -EINVAL),
	BAD("64 kcv=0123456789abcdef", -EINVAL),
	BAD("64 path,path", -EINVAL),
	BAD("64 path,noread,noread", -EINVAL),
	BAD("64 path,kcv=0123456789abcdef,kcv=0123456789abcdef", -EINVAL),
	BAD("64 path,", -EINVAL),
	BAD("64 ,path", -EINVAL),
	BAD("64 path,,csum", -EINVAL),
	BAD("64 path csum", -EINVAL),
	BAD("64 Path", -EINVAL),
	BAD("64 pat", -EINVAL),
	BAD("64 paths", -EINVAL),
	BAD("64 path=", -EINVAL),
	BAD("64 path,kcv", -EINVAL),
	BAD("64 path,kcv=", -EINVAL),
	BAD("64 path,kcv=0123456789abcde", -EINVAL),
	BAD("64 path,kcv=0123456789abcdef0", -EINVAL),
	BAD("64 path,kcv=0123456789ABCDEF", -EINVAL),
	BAD("64 path,kcv=0x23456789abcdef", -EINVAL),
	BAD("64 path,kcv=0123456789abcdeg", -EINVAL),
	BAD("64 path,verity", -EINVAL),
	BAD("64 capped", -EINVAL),
	BAD("64 path,capped,capped", -EINVAL),
	BAD("64 path,capped=", -EINVAL),
	BAD("64 path,capped=13", -EINVAL),

	BAD("64 path path", -EINVAL),
	BAD("64 path noread v1", -EINVAL),
	BAD("64 path noread,v1", -EINVAL),
	BAD("64 path logon", -EINVAL),
	BAD("64 path capped=1", -EINVAL),
	BAD("64 path pcrs=7", -EINVAL),
	BAD("64 path verity", -EINVAL),
	BAD("64 path kcv=0123456789abcdef", -EINVAL),
	BAD("64 path a=b", -EINVAL),
	BAD("64 path purpose=disk", -EINVAL),
	BAD("64 path a_1=", -EINVAL),
};

static void request_test(struct kunit *test)
{
	struct derived_request got;
	const struct request *r;
	u8 *exact;

	for (r = requests; r < requests + ARRAY_SIZE(requests); r++) {
		/* Exactly the bytes: KASAN detects a read too many. */
		exact = kunit_kmalloc(test, r->len, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, exact);
		memcpy(exact, r->text, r->len);
		KUNIT_EXPECT_EQ_MSG(test, derived_parse(exact, r->len, &got),
				    r->err, "'%s'", r->text);
		if (!r->err) {
			KUNIT_EXPECT_EQ_MSG(test, got.length, r->length, "'%s'", r->text);
			KUNIT_EXPECT_EQ_MSG(test, got.options, r->options, "'%s'", r->text);
			KUNIT_EXPECT_EQ_MSG(test, got.kcv, r->kcv, "'%s'", r->text);
			KUNIT_EXPECT_EQ_MSG(test, !got.mixin, !r->mixin, "'%s'", r->text);
			if (got.mixin && r->mixin) {
				KUNIT_ASSERT_EQ(test, got.mixin_len, strlen(r->mixin));
				KUNIT_EXPECT_MEMEQ(test, got.mixin, r->mixin,
						   got.mixin_len);
			}
		}
		kunit_kfree(test, exact);
	}
}

/* Parses a request of this many bytes: "16 path " and a mixin. */
static int parse_long(struct kunit *test, size_t len)
{
	struct derived_request got;
	u8 *exact = kunit_kmalloc(test, len, GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, exact);
	memset(exact, 'x', len);
	memcpy(exact, "16 path ", 8);
	err = derived_parse(exact, len, &got);
	kunit_kfree(test, exact);
	return err;
}

static void long_request_test(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, parse_long(test, 8 + 1), 0);
	KUNIT_EXPECT_EQ(test, parse_long(test, 8 + DERIVED_MIXIN_MAX), 0);
	KUNIT_EXPECT_EQ(test, parse_long(test, 8 + DERIVED_MIXIN_MAX + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, parse_long(test, PAGE_SIZE), -E2BIG);
	KUNIT_EXPECT_EQ(test, parse_long(test, PAGE_SIZE + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, parse_long(test, 1024 * 1024 - 1), -E2BIG);
}

/* Each control character, in each place of a request. */
static void control_character_test(struct kunit *test)
{
	static const char good[] = "64 path,noread a mixin";
	const size_t len = sizeof(good) - 1;
	struct derived_request got;
	char bad[sizeof(good)];
	size_t i;
	int c;

	KUNIT_ASSERT_EQ(test, derived_parse(good, len, &got), 0);
	for (i = 0; i < len; i++) {
		for (c = 0; c <= 0x7f; c = c == 0x1f ? 0x7f : c + 1) {
			memcpy(bad, good, sizeof(good));
			bad[i] = c;
			KUNIT_EXPECT_EQ_MSG(test, derived_parse(bad, len, &got),
					    -EINVAL, "0x%02x at %zu", c, i);
		}
	}
}

/*
 * Each prefix of a good request is good or refused, and not read beyond its
 * end.
 */
static void cut_request_test(struct kunit *test)
{
	static const char good[] = "64 path,kcv=0123456789abcdef,noread a mixin";
	struct derived_request got;
	size_t len;
	u8 *exact;
	int err;

	for (len = 1; len < sizeof(good); len++) {
		exact = kunit_kmalloc(test, len, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, exact);
		memcpy(exact, good, len);
		err = derived_parse(exact, len, &got);
		/*
		 * Good: at the end of an option, or in the mixin but not after
		 * a space.
		 */
		KUNIT_EXPECT_EQ_MSG(test, err,
				    len == 1 ? -ERANGE :
				    len == 7 || len == 28 || len == 35 ||
				    len == 37 || len > 38 ? 0 : -EINVAL,
				    "%zu bytes", len);
		kunit_kfree(test, exact);
	}
}

static struct kunit_case request_cases[] = {
	KUNIT_CASE(request_test),
	KUNIT_CASE(long_request_test),
	KUNIT_CASE(control_character_test),
	KUNIT_CASE(cut_request_test),
	{}
};

static struct kunit_suite request_suite = {
	.name = "derived-keys-request",
	.test_cases = request_cases,
};

kunit_test_suite(request_suite);
