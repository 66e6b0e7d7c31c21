// SPDX-License-Identifier: GPL-2.0
/*
 * Key format 1: from K_root and a context to a key and its check value.
 *
 * The format is frozen. If a byte changed here, users would lose the data that
 * they encrypted with a key of the old format. So a new format gets new labels
 * ("... v2 ..."), beside these. Documentation/format.rst is the specification,
 * tools/derived-keys-recover is a second implementation, and tests/vectors/ has
 * the results that both must compute.
 *
 * The KDF is SP 800-108r1 in counter mode with HMAC-SHA256 and r = 32:
 *
 *	T(i) = HMAC(K, be32(i) || label || 0x00 || context || be32(bits))
 *
 * crypto_kdf108_ctr_generate() computes the same. It is not used, because it
 * needs a tfm: either an allocation and an error path for each key, or a keyed
 * tfm that lives as long as the module. Also, not every kernel has it. The
 * library's HMAC allocates nothing and cannot fail.
 */

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "derived_kdf.h"

/*
 * The input of the TPM's HMAC, whose output is K_root: the first and only block
 * of KDF(primary, "derived-keys v1 root", "", 32).
 */
#define ROOT_INPUT "\000\000\000\001derived-keys v1 root\000\000\000\001\000"
const u8 derived_root_input[DERIVED_ROOT_INPUT_SIZE] __nonstring = ROOT_INPUT;
static_assert(sizeof(ROOT_INPUT) - 1 == DERIVED_ROOT_INPUT_SIZE);

#define CAPPED_INPUT_HEAD "\000\000\000\001derived-keys v1 capped root"
static_assert(sizeof(CAPPED_INPUT_HEAD) + SHA256_DIGEST_SIZE + 4 ==
	      DERIVED_CAPPED_INPUT_SIZE);

/**
 * derived_capped_input() - the input of the TPM's HMAC whose output is K_capped
 * @policy:	the policy of the primary key
 * @input:	the result: the first and only block of
 *		KDF(primary, "derived-keys v1 capped root", policy, 32)
 *
 * Documentation/format.rst, "The capped root". It is longer than a digest, so
 * the TPM computes it by TPM2_HMAC alone: TPM2_VerifySignature, which needs no
 * authorization, takes a digest, and so cannot be used to test guesses.
 *
 * Context: any.
 */
void derived_capped_input(const u8 policy[SHA256_DIGEST_SIZE],
			  u8 input[DERIVED_CAPPED_INPUT_SIZE])
{
	/* With the 0x00 that ends the label. */
	memcpy(input, CAPPED_INPUT_HEAD, sizeof(CAPPED_INPUT_HEAD));
	input += sizeof(CAPPED_INPUT_HEAD);
	memcpy(input, policy, SHA256_DIGEST_SIZE);
	put_unaligned_be32(8 * DERIVED_ROOT_SIZE, input + SHA256_DIGEST_SIZE);
}

/*
 * One label for each use of K_root; the comment says which context goes with
 * it. No label followed by 0x00 is a prefix of another one, so no two uses
 * collide.
 */
static const char * const labels[] = {
	[DERIVED_USE_KEY]	 = "derived-keys v1 key",	 /* the key's */
	[DERIVED_USE_KCV]	 = "derived-keys v1 check",	 /* the key's */
	[DERIVED_USE_ROOT_CHECK] = "derived-keys v1 root check", /* empty */
};

/* Tags of the context's records, ascending; 0x05 and 0x09 up are reserved. */
#define TAG_LENGTH	0x01	/* be32, bytes of key */
#define TAG_EUID	0x02	/* be32 */
#define TAG_PATH	0x03	/* no NUL */
#define TAG_CSUM	0x04	/* be16 TPM_ALG_ID, digest */
#define TAG_FLAGS	0x06	/* u8; left out when 0 */
#define TAG_MIXIN	0x07
#define TAG_CAPPED	0x08	/* u8 1; left out for a key of the plain root */

#define RECORD_HEADER	3	/* u8 tag, be16 length of the value */
#define CSUM_ALG_SHA256	0x000B	/* TPM_ALG_SHA256, TCG Algorithm Registry */
#define FLAG_NOREAD	BIT(0)

/**
 * derived_context_size() - how long an encoded context is
 * @context:	what the key depends on. Path and mixin are shorter than 64 KiB:
 *		PATH_MAX and DERIVED_MIXIN_MAX limit them
 *
 * Return: bytes that derived_context_encode() writes
 */
size_t derived_context_size(const struct derived_context *context)
{
	size_t size = 2 * (RECORD_HEADER + sizeof(__be32));

	if (context->path)
		size += RECORD_HEADER + context->path_len;
	if (context->sha256)
		size += RECORD_HEADER + sizeof(__be16) + SHA256_DIGEST_SIZE;
	if (context->noread)
		size += RECORD_HEADER + sizeof(u8);
	if (context->mixin)
		size += RECORD_HEADER + context->mixin_len;
	if (context->capped)
		size += RECORD_HEADER + sizeof(u8);
	return size;
}

static u8 *put_header(u8 *p, u8 tag, u16 len)
{
	*p = tag;
	put_unaligned_be16(len, p + 1);
	return p + RECORD_HEADER;
}

static u8 *put_be32(u8 *p, u8 tag, u32 value)
{
	p = put_header(p, tag, sizeof(value));
	put_unaligned_be32(value, p);
	return p + sizeof(value);
}

static u8 *put_bytes(u8 *p, u8 tag, const void *value, u16 len)
{
	p = put_header(p, tag, len);
	memcpy(p, value, len);
	return p + len;
}

/**
 * derived_context_encode() - encode what a key depends on
 * @context:	what the key depends on
 * @out:	derived_context_size() bytes
 *
 * Every value carries its length, so no two contexts have the same encoding.
 * The 2024 RFC joined strings with separators, which cannot promise that.
 *
 * Documentation/format.rst, "Context".
 */
void derived_context_encode(const struct derived_context *context, u8 *out)
{
	u8 *p = out;

	p = put_be32(p, TAG_LENGTH, context->length);
	p = put_be32(p, TAG_EUID, context->euid);
	if (context->path)
		p = put_bytes(p, TAG_PATH, context->path, context->path_len);
	if (context->sha256) {
		p = put_header(p, TAG_CSUM,
			       sizeof(__be16) + SHA256_DIGEST_SIZE);
		put_unaligned_be16(CSUM_ALG_SHA256, p);
		p += sizeof(__be16);
		memcpy(p, context->sha256, SHA256_DIGEST_SIZE);
		p += SHA256_DIGEST_SIZE;
	}
	if (context->noread) {
		p = put_header(p, TAG_FLAGS, sizeof(u8));
		*p++ = FLAG_NOREAD;
	}
	if (context->mixin)
		p = put_bytes(p, TAG_MIXIN, context->mixin, context->mixin_len);
	if (context->capped) {
		p = put_header(p, TAG_CAPPED, sizeof(u8));
		*p = 1;
	}
}

/**
 * derived_kdf() - derive from K_root
 * @root:	K_root, prepared
 * @use:	the purpose: it selects the label
 * @context:	an encoded context, or NULL
 * @context_len: bytes of @context
 * @out:	the result; @use says whether it is secret
 * @out_len:	bytes of @out. The length goes into each block, so a shorter key
 *		is not the beginning of a longer one
 *
 * SP 800-108r1, section 4.1. Cannot fail. hmac_sha256_final() wipes the HMAC's
 * state. derived_wipe_stack() wipes the rest that the library leaves on the
 * stack.
 *
 * Context: any.
 */
void derived_kdf(const struct hmac_sha256_key *root, enum derived_use use,
		 const u8 *context, size_t context_len, u8 *out, u32 out_len)
{
	const char *label = labels[use];
	const size_t label_len = strlen(label) + 1; /* with the 0x00 */
	const __be32 bits = cpu_to_be32(8 * out_len);
	u8 block[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx hmac;
	u32 done, n, i = 1;

	for (done = 0; done < out_len; done += n, i++) {
		const __be32 counter = cpu_to_be32(i);

		hmac_sha256_init(&hmac, root);
		hmac_sha256_update(&hmac, (const u8 *)&counter, sizeof(counter));
		hmac_sha256_update(&hmac, (const u8 *)label, label_len);
		if (context_len)
			hmac_sha256_update(&hmac, context, context_len);
		hmac_sha256_update(&hmac, (const u8 *)&bits, sizeof(bits));
		hmac_sha256_final(&hmac, block);

		n = min_t(u32, out_len - done, sizeof(block));
		memcpy(out + done, block, n);
	}
	memzero_explicit(block, sizeof(block));
}

/**
 * derived_check_value() - derive a public value that changes with the secret
 * @root:	K_root, prepared
 * @use:	DERIVED_USE_KCV or DERIVED_USE_ROOT_CHECK
 * @context:	an encoded context, or NULL
 * @context_len: bytes of @context
 *
 * Its label is another one than that of the keys. So it may be public: it tells
 * nothing about the key. It is no proof of who computed it.
 *
 * Return: the first 8 of the 32 bytes derived, the first one highest
 */
u64 derived_check_value(const struct hmac_sha256_key *root,
			enum derived_use use,
			const u8 *context, size_t context_len)
{
	u8 value[SHA256_DIGEST_SIZE];

	derived_kdf(root, use, context, context_len, value, sizeof(value));
	return get_unaligned_be64(value);
}

/**
 * derived_root_prepare() - make a root secret ready to derive from
 * @root:	the result; the caller wipes it
 * @secret:	K_root or K_capped; the caller wipes it
 *
 * The caller also calls derived_wipe_stack().
 *
 * Context: any.
 */
void derived_root_prepare(struct derived_root *root,
			  const u8 secret[DERIVED_ROOT_SIZE])
{
	hmac_sha256_preparekey(&root->key, secret, DERIVED_ROOT_SIZE);
	root->check = derived_check_value(&root->key, DERIVED_USE_ROOT_CHECK,
					  NULL, 0);
}

#define STACK_WIPED	4096
#define STACK_FRAME	512

static noinline void wipe_stack(unsigned int size)
{
	u8 frame[STACK_FRAME];

	if (size > sizeof(frame))
		wipe_stack(size - sizeof(frame));
	/* After the call: a tail call would use the same frame again. */
	memzero_explicit(frame, sizeof(frame));
}

/**
 * derived_wipe_stack() - wipe the stack below the caller's frame
 *
 * The crypto library's SHA-256 and ECDH keep intermediate values in registers
 * and, if there are too few registers, on the stack. They do not wipe the
 * stack: half of K_root's HMAC state would stay there until a later call goes
 * as deep. So a caller of these functions calls this one afterwards, from the
 * same depth of the stack or a lesser one.
 *
 * The stack is wiped in steps, because the compiler warns of a large frame.
 * tests/e2e/ram.sh searches the memory for leftovers, and so shows that
 * STACK_WIPED is enough.
 *
 * Context: any, with STACK_WIPED bytes of stack left.
 */
void derived_wipe_stack(void)
{
	wipe_stack(STACK_WIPED);
}
