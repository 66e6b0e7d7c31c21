// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of derived_kdf.c: key format 1. The expected values were computed
 * independently (tests/kunit/generate).
 */

#include <kunit/test.h>
#include <linux/string.h>

#include "../../derived.h"
#include "../../derived_kdf.h"
#include "vectors.h"

/* The longest encoding in these tests. */
#define ENCODED_MAX	128

static void encode(struct kunit *test, const struct derived_context *context,
		   u8 *out, size_t *len)
{
	*len = derived_context_size(context);
	KUNIT_ASSERT_LE(test, *len, (size_t)ENCODED_MAX);
	/* Bytes after the encoding must stay as they are. */
	memset(out, 0xa5, ENCODED_MAX);
	derived_context_encode(context, out);
	if (*len < ENCODED_MAX)
		KUNIT_EXPECT_NULL(test, memchr_inv(out + *len, 0xa5,
						   ENCODED_MAX - *len));
}

static void expect_encoding(struct kunit *test,
			    const struct derived_context *context,
			    const u8 *want, size_t want_len)
{
	u8 got[ENCODED_MAX];
	size_t len;

	encode(test, context, got, &len);
	KUNIT_ASSERT_EQ(test, len, want_len);
	KUNIT_EXPECT_MEMEQ(test, got, want, want_len);
}

#define EXPECT_ENCODING(test, context, want) \
	expect_encoding(test, context, (const u8 *)(want), sizeof(want) - 1)

/* As in Documentation/format.rst. An absent record takes no bytes. */
static void context_test(struct kunit *test)
{
	static const u8 digest[SHA256_DIGEST_SIZE] = "0123456789abcdef0123456789abcdef";
	struct derived_context context = { .length = 1024, .euid = 0x01020304 };

	EXPECT_ENCODING(test, &context,
			"\x01\0\x04\0\0\x04\0\x02\0\x04\x01\x02\x03\x04");

	context.path = "/a/b and more";
	context.path_len = 4;
	EXPECT_ENCODING(test, &context,
			"\x01\0\x04\0\0\x04\0\x02\0\x04\x01\x02\x03\x04"
			"\x03\0\x04/a/b");

	context.sha256 = digest;
	context.noread = true;
	context.mixin = (const u8 *)"nas v1";
	context.mixin_len = 6;
	EXPECT_ENCODING(test, &context,
			"\x01\0\x04\0\0\x04\0\x02\0\x04\x01\x02\x03\x04"
			"\x03\0\x04/a/b"
			"\x04\0\x22\0\x0b" "0123456789abcdef0123456789abcdef"
			"\x06\0\x01\x01"
			"\x07\0\x06nas v1");

	context.path = NULL;
	EXPECT_ENCODING(test, &context,
			"\x01\0\x04\0\0\x04\0\x02\0\x04\x01\x02\x03\x04"
			"\x04\0\x22\0\x0b" "0123456789abcdef0123456789abcdef"
			"\x06\0\x01\x01"
			"\x07\0\x06nas v1");
}

/* No two of these contexts have the same encoding. */
static void ambiguity_test(struct kunit *test)
{
	static const u8 digest[2][SHA256_DIGEST_SIZE] = { "a", "b" };
	static const struct derived_context contexts[] = {
		{ .length = 32, .path = "/a", .path_len = 2,
		  .mixin = (const u8 *)"bc", .mixin_len = 2 },
		{ .length = 32, .path = "/ab", .path_len = 3,
		  .mixin = (const u8 *)"c", .mixin_len = 1 },
		/*
		 * The path ends in bytes that look like a record of the mixin.
		 */
		{ .length = 32, .path = "/a\x07\0\x02" "bc", .path_len = 7 },
		{ .length = 32, .path = "/a", .path_len = 2 },
		{ .length = 32, .mixin = (const u8 *)"/a", .mixin_len = 2 },
		{ .length = 32, .path = "", .path_len = 0 },
		{ .length = 32 },
		{ .length = 32, .noread = true },
		{ .length = 32, .mixin = (const u8 *)"\x01", .mixin_len = 1 },
		{ .length = 33 },
		{ .length = 32, .euid = 32 },
		{ .length = 0, .euid = 32 },
		{ .length = 32, .sha256 = digest[0] },
		{ .length = 32, .sha256 = digest[1] },
	};
	u8 one[ENCODED_MAX], other[ENCODED_MAX];
	size_t i, j, one_len, other_len;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		encode(test, &contexts[i], one, &one_len);
		for (j = 0; j < i; j++) {
			encode(test, &contexts[j], other, &other_len);
			KUNIT_EXPECT_FALSE_MSG(test, one_len == other_len &&
					       !memcmp(one, other, one_len),
					       "%zu and %zu", i, j);
		}
	}
}

/* The key and the context of vectors.h. */
static void prepare(struct hmac_sha256_key *key, u8 context[77])
{
	u8 raw[32];
	int i;

	for (i = 0; i < 32; i++)
		raw[i] = i;
	for (i = 0; i < 77; i++)
		context[i] = 64 + i;
	hmac_sha256_preparekey(key, raw, sizeof(raw));
}

static void kdf_test(struct kunit *test)
{
	/* 16 + 17 + ... + 1024 */
	const size_t total = (DERIVED_LENGTH_MIN + DERIVED_LENGTH_MAX) *
			     (DERIVED_LENGTH_MAX - DERIVED_LENGTH_MIN + 1) / 2;
	u8 context[77], digest[SHA256_DIGEST_SIZE];
	struct hmac_sha256_key key;
	u8 *out, *all, *p;
	u32 len;

	prepare(&key, context);
	out = kunit_kmalloc(test, sizeof(key_40), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, out);
	derived_kdf(&key, DERIVED_USE_KEY, context, sizeof(context), out,
		    sizeof(key_40));
	KUNIT_EXPECT_MEMEQ(test, out, key_40, sizeof(key_40));

	all = kunit_kmalloc(test, total, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, all);
	p = all;
	for (len = DERIVED_LENGTH_MIN; len <= DERIVED_LENGTH_MAX; len++) {
		/* Exactly as long as the key: KASAN detects a byte too many. */
		out = kunit_kmalloc(test, len, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, out);
		derived_kdf(&key, DERIVED_USE_KEY, context, sizeof(context),
			    out, len);
		memcpy(p, out, len);
		p += len;
		kunit_kfree(test, out);
	}
	KUNIT_ASSERT_EQ(test, p - all, total);
	sha256(all, total, digest);
	KUNIT_EXPECT_MEMEQ(test, digest, all_lengths, sizeof(digest));
}

static void check_value_test(struct kunit *test)
{
	struct hmac_sha256_key key;
	u8 context[77];

	prepare(&key, context);
	KUNIT_EXPECT_EQ(test, derived_check_value(&key, DERIVED_USE_KCV, context,
						  sizeof(context)), KEY_CHECK);
	KUNIT_EXPECT_EQ(test, derived_check_value(&key, DERIVED_USE_ROOT_CHECK,
						  NULL, 0), ROOT_CHECK);

	hmac_sha256_preparekey(&key, golden_root, sizeof(golden_root));
	KUNIT_EXPECT_EQ(test, derived_check_value(&key, DERIVED_USE_ROOT_CHECK,
						  NULL, 0), GOLDEN_ROOT_CHECK);
}

/* The input of the TPM's HMAC. */
static void root_input_test(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, sizeof(derived_root_input), 29);
	KUNIT_EXPECT_MEMEQ(test, derived_root_input,
			   (const u8 *)"\0\0\0\1derived-keys v1 root\0\0\0\1\0", 29);
}

static struct kunit_case kdf_cases[] = {
	KUNIT_CASE(context_test),
	KUNIT_CASE(ambiguity_test),
	KUNIT_CASE(kdf_test),
	KUNIT_CASE(check_value_test),
	KUNIT_CASE(root_input_test),
	{}
};

static struct kunit_suite kdf_suite = {
	.name = "derived-keys-kdf",
	.test_cases = kdf_cases,
};

kunit_test_suite(kdf_suite);
