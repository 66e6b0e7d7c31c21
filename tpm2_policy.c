// SPDX-License-Identifier: GPL-2.0
/*
 * PCRs, the policy that binds to them, and the TPM's clock.
 *
 * The policy is computed here and not by the TPM. A policy that a TPM computes
 * in a trial session is satisfied for ever if the TPM has no SHA-256 bank: then
 * it selects nothing.
 *
 * The answers to TPM2_PCR_Read, TPM2_GetCapability and TPM2_ReadClock are not
 * authenticated: an attacker on the TPM's bus can forge them. Such an attacker
 * can also drop TPM2_PCR_Extend, so authenticating them would gain nothing.
 *
 * "Part" is a part of the TCG's TPM 2.0 Library specification.
 */

#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/unaligned.h>
#include <crypto/sha2.h>

#include "tpm2_policy.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_CC_POLICY_PCR	0x0000017F
#define TPM_CC_POLICY_RESTART	0x00000180
#define TPM_CC_READ_CLOCK	0x00000181
#define TPM_CAP_PCR_PROPERTIES	0x00000007
#define TPM_PT_PCR_SAVE		0x00000000
#define TPM_PT_PCR_RESET_L0	0x00000002
#define TPM_PT_PCR_RESET_L1	0x00000004
#define TPM_PT_PCR_RESET_L2	0x00000006
#define TPM_PT_PCR_RESET_L3	0x00000008
#define TPM_PT_PCR_RESET_L4	0x0000000A
#define TPM_PT_PCR_NO_INCREMENT	0x00000011
#define TPM_PT_PCR_DRTM_RESET	0x00000012
#define TPM_RC_HASH		0x083
#define TPM_ALG_SHA3_256	0x0027
#define TPM_ALG_SHA3_384	0x0028
#define TPM_ALG_SHA3_512	0x0029

/* Bytes of a PCR bitmap: PCR 0 to 23, which each TPM of a PC has. */
#define PCR_SELECT_SIZE		3

/* More properties of PCRs than there are (21), so that the list is whole. */
#define PCR_PROPERTIES		64

/*
 * The cap event: the hash of "derived-keys v1 cap", in each bank that bank's own
 * hash. Constants, because the crypto API may load a module for a hash, and no
 * module can be loaded while this one holds the TPM: IMA would wait for the TPM.
 */
static const struct {
	u16 alg;
	u8 size;
	u8 digest[SHA512_DIGEST_SIZE];
} cap_events[] = {
	{
		.alg = TPM_ALG_SHA1,
		.size = 20,
		.digest = {
			0x69, 0x87, 0xe7, 0xa9, 0xb2, 0xe0, 0x93, 0x2a,
			0xe6, 0x5a, 0x4b, 0xba, 0x45, 0x87, 0x6f, 0x4b,
			0xd4, 0x4c, 0x4b, 0x10,
		},
	},
	{
		.alg = TPM_ALG_SHA256,
		.size = 32,
		.digest = {
			0xf3, 0x75, 0x35, 0x04, 0x26, 0x16, 0xa2, 0x65,
			0x6b, 0x3f, 0xa5, 0xef, 0x91, 0x2f, 0x35, 0x3d,
			0xfb, 0x0a, 0x8d, 0x99, 0xb3, 0x58, 0x3e, 0x36,
			0xcd, 0x2d, 0xb1, 0xb1, 0xbd, 0x3a, 0x3b, 0xff,
		},
	},
	{
		.alg = TPM_ALG_SHA384,
		.size = 48,
		.digest = {
			0x09, 0xa5, 0x2d, 0x96, 0xff, 0xc3, 0x85, 0x2e,
			0x89, 0xca, 0x0e, 0x62, 0xa4, 0xbf, 0xa4, 0x7d,
			0x9a, 0xdb, 0xc7, 0xa7, 0xc2, 0xc6, 0xb0, 0xb4,
			0x3b, 0x59, 0x38, 0xc8, 0xec, 0xc0, 0x34, 0x2d,
			0x57, 0x2b, 0x1a, 0x6b, 0x7a, 0x7e, 0x5a, 0xea,
			0x33, 0x11, 0xda, 0x35, 0x36, 0xf6, 0x4c, 0xfe,
		},
	},
	{
		.alg = TPM_ALG_SHA512,
		.size = 64,
		.digest = {
			0x80, 0xdb, 0xd8, 0xab, 0x64, 0x9c, 0x46, 0x83,
			0x7f, 0x16, 0x60, 0x68, 0x55, 0x6d, 0x0e, 0x32,
			0xb5, 0x78, 0x6d, 0x9e, 0x2a, 0x9a, 0x68, 0x6d,
			0x4e, 0xda, 0x9f, 0x03, 0xfb, 0xfc, 0xd3, 0xc6,
			0x33, 0x8d, 0x2c, 0xbe, 0x4e, 0x64, 0x05, 0x59,
			0xf0, 0xf7, 0xa2, 0xd3, 0x69, 0xce, 0xd0, 0x01,
			0x0b, 0x59, 0xe8, 0x52, 0x9b, 0x19, 0x2c, 0xc2,
			0x36, 0xa1, 0x96, 0xfb, 0xe2, 0x81, 0x60, 0x08,
		},
	},
	{
		.alg = TPM_ALG_SM3_256,
		.size = 32,
		.digest = {
			0x2c, 0x49, 0xbf, 0xc3, 0x0c, 0xc4, 0x2e, 0x7d,
			0x73, 0x18, 0xc1, 0x89, 0x08, 0xe2, 0x12, 0xb4,
			0xe1, 0x71, 0x95, 0x0e, 0xf0, 0x1a, 0xf6, 0x59,
			0x83, 0x9d, 0xaf, 0xb1, 0x73, 0x7f, 0xa0, 0xc0,
		},
	},
	{
		.alg = TPM_ALG_SHA3_256,
		.size = 32,
		.digest = {
			0xe9, 0xc9, 0x97, 0xb7, 0x05, 0xb2, 0x50, 0x26,
			0x20, 0x18, 0xa7, 0x33, 0xb5, 0x50, 0x01, 0x56,
			0x9e, 0xda, 0xae, 0x56, 0x24, 0x28, 0xe2, 0x20,
			0x99, 0x26, 0x0c, 0x64, 0x93, 0xdd, 0x33, 0x05,
		},
	},
	{
		.alg = TPM_ALG_SHA3_384,
		.size = 48,
		.digest = {
			0xe7, 0x9a, 0x22, 0x37, 0xc3, 0xe3, 0x9c, 0x41,
			0x4d, 0xd4, 0x5b, 0x65, 0x1e, 0x69, 0xca, 0x2a,
			0x7f, 0x0e, 0x9d, 0x41, 0xc7, 0xa8, 0x4b, 0x4d,
			0xcb, 0xd7, 0x14, 0x2f, 0x41, 0xff, 0xc1, 0x4b,
			0x70, 0x73, 0x02, 0x11, 0x07, 0xea, 0x9c, 0xbe,
			0xfb, 0x02, 0xc2, 0xfc, 0x50, 0x69, 0xea, 0x4c,
		},
	},
	{
		.alg = TPM_ALG_SHA3_512,
		.size = 64,
		.digest = {
			0x61, 0xe0, 0x19, 0x30, 0x3a, 0x13, 0x6e, 0xf6,
			0xfd, 0x45, 0xbf, 0x3e, 0x88, 0x5d, 0x6a, 0xdd,
			0xc2, 0xd2, 0x5f, 0x74, 0xc1, 0xd1, 0xd8, 0xef,
			0x92, 0xbc, 0xcd, 0x61, 0xa5, 0x8e, 0xb6, 0xea,
			0x16, 0xf2, 0xef, 0xf2, 0x24, 0xe6, 0x36, 0xeb,
			0xa1, 0x08, 0xea, 0xc3, 0x16, 0x81, 0xfb, 0x6e,
			0x63, 0x4c, 0x48, 0x4e, 0x47, 0xb9, 0x01, 0x5f,
			0x7f, 0xff, 0xd2, 0x44, 0x58, 0x4c, 0x59, 0x86,
		},
	},
};

/* A PCR of the SHA-256 bank that was zero, after the cap event. */
static const u8 cap_closed[SHA256_DIGEST_SIZE] = {
	0xab, 0x9f, 0xe8, 0x0c, 0x78, 0x6e, 0xd0, 0x59,
	0x9e, 0x83, 0x63, 0x6c, 0x9e, 0xb5, 0x90, 0xd0,
	0x3e, 0x7b, 0xa3, 0x9b, 0xb1, 0x3c, 0x32, 0x79,
	0x35, 0x71, 0x22, 0x4f, 0x91, 0x90, 0x82, 0x1b,
};

/* Appends a TPML_PCR_SELECTION: PCRs of the SHA-256 bank. */
static void append_selection(struct tpm_buf *buf, u32 selected)
{
	u8 select[4];

	put_unaligned_le32(selected, select);
	tpm_buf_append_u32(buf, 1);
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	tpm_buf_append_u8(buf, PCR_SELECT_SIZE);
	tpm_buf_append(buf, select, PCR_SELECT_SIZE);
}

/* Takes a bitmap of PCRs with its u8 size. More than PCR 31 is left out. */
static u32 take_select(struct tpm2_reader *r)
{
	const u8 size = tpm2_take_u8(r);
	const u8 *select = tpm2_take(r, size);
	u32 selected = 0;
	int i;

	for (i = 0; select && i < size && i < 4; i++)
		selected |= (u32)select[i] << (8 * i);
	return selected;
}

/*
 * Takes the response to TPM2_PCR_Read (Part 3, 22.4).
 *
 * Returns 0 or -EBADMSG. *@read has the PCRs whose values were read.
 */
static int take_values(struct tpm2_reader *r, u32 wanted,
		       struct derived_pcrs *pcrs, u32 *read)
{
	struct tpm2_reader digest;
	u32 count, i;

	*read = 0;
	tpm2_take_u32(r);			/* pcrUpdateCounter */
	for (count = tpm2_take_u32(r); count && !r->bad; count--) {
		if (tpm2_take_u16(r) != TPM_ALG_SHA256)
			return -EBADMSG;
		*read |= take_select(r);
	}
	if (r->bad || (*read & ~wanted) ||
	    tpm2_take_u32(r) != hweight32(*read))
		return -EBADMSG;

	for (i = 0; i < DERIVED_PCRS; i++) {
		if (!(*read & BIT(i)))
			continue;
		digest = tpm2_take_sized(r);
		if (digest.left != SHA256_DIGEST_SIZE)
			return -EBADMSG;
		memcpy(pcrs->value[i], digest.data, SHA256_DIGEST_SIZE);
	}
	return tpm2_consumed(r) ? 0 : -EBADMSG;
}

/**
 * derived_pcr_read() - read PCRs of the SHA-256 bank (TPM2_PCR_Read)
 * @chip:	the TPM
 * @buf:	buffer for commands and responses
 * @wanted:	bit N: read PCR N; of 0 to DERIVED_PCRS - 1
 * @pcrs:	the result. A PCR that the bank does not have is not in .present
 *
 * Part 3, 22.4. A TPM may give fewer values than asked for, so it is asked
 * again for the rest.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_pcr_read(struct tpm_chip *chip, struct tpm_buf *buf, u32 wanted,
		     struct derived_pcrs *pcrs)
{
	struct tpm2_reader r;
	u32 read;
	u16 tag;
	int rc;

	pcrs->present = 0;
	while (wanted) {
		tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_PCR_READ);
		append_selection(buf, wanted);
		rc = derived_tpm_send(chip, buf);
		if (derived_tpm_rc_value(rc) == TPM_RC_HASH)
			break;		/* no such bank */
		if (rc)
			return rc;
		r = derived_tpm_response(buf, &tag);
		rc = take_values(&r, wanted, pcrs, &read);
		if (rc)
			return rc;
		if (!read)
			break;
		pcrs->present |= read;
		wanted &= ~read;
	}
	return 0;
}

/**
 * derived_pcr_can_close() - whether an extended PCR stays so until a TPM Reset
 * @chip:	the TPM
 * @buf:	buffer for the command and its response
 * @pcr:	the PCR
 * @can:	the result
 *
 * Part 2, 6.14 (TPM_PT_PCR). The PCR must be saved over suspend, nothing may
 * reset it, and each extend must be counted: TPM2_PolicyPCR relies on this
 * counter.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_pcr_can_close(struct tpm_chip *chip, struct tpm_buf *buf,
			  unsigned int pcr, bool *can)
{
	bool saved = false, loses = false;
	u32 count, property, selected;
	struct tpm2_reader r;
	int rc;

	rc = derived_tpm_get_capability(chip, buf, TPM_CAP_PCR_PROPERTIES,
					TPM_PT_PCR_SAVE, PCR_PROPERTIES, &r);
	if (rc)
		return rc;
	/* A list that is cut short could lack the reason why it cannot. */
	if (r.more)
		return -EBADMSG;
	for (count = tpm2_take_u32(&r); count && !r.bad; count--) {
		property = tpm2_take_u32(&r);
		selected = take_select(&r);
		if (!(selected & BIT(pcr)))
			continue;
		switch (property) {
		case TPM_PT_PCR_SAVE:
			saved = true;
			break;
		case TPM_PT_PCR_RESET_L0:
		case TPM_PT_PCR_RESET_L1:
		case TPM_PT_PCR_RESET_L2:
		case TPM_PT_PCR_RESET_L3:
		case TPM_PT_PCR_RESET_L4:
		case TPM_PT_PCR_DRTM_RESET:
		case TPM_PT_PCR_NO_INCREMENT:
			loses = true;
			break;
		}
	}
	if (!tpm2_consumed(&r))
		return -EBADMSG;
	*can = saved && !loses;
	return 0;
}

/**
 * derived_pcr_close() - extend a PCR by the cap event (TPM2_PCR_Extend)
 * @chip:	the TPM
 * @buf:	buffer for the command and its response
 * @pcr:	the PCR
 * @all_banks:	whether to extend it in all banks that the TPM has, or in SHA-256
 *		alone
 *
 * Part 3, 22.2. Not by tpm_pcr_extend(), which takes the TPM's lock itself. If
 * the TPM refuses one of the banks, it extends none.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code. In
 * each case the PCR may have been extended or not: read it
 */
int derived_pcr_close(struct tpm_chip *chip, struct tpm_buf *buf,
		      unsigned int pcr, bool all_banks)
{
	struct derived_session session = {
		.chip = chip, .kind = DERIVED_SESSION_PASSWORD,
	};
	bool wanted[ARRAY_SIZE(cap_events)] = { };
	struct tpm2_reader params;
	u32 i, bank, count = 0;
	int rc;

	for (i = 0; i < ARRAY_SIZE(cap_events); i++) {
		wanted[i] = cap_events[i].alg == TPM_ALG_SHA256;
		for (bank = 0; all_banks && bank < chip->nr_allocated_banks; bank++)
			if (chip->allocated_banks[bank].alg_id == cap_events[i].alg)
				wanted[i] = true;
		count += wanted[i];
	}

	/* By an empty password. It cannot fail for this kind of session. */
	derived_auth_begin(&session, buf, TPM2_CC_PCR_EXTEND, pcr, NULL, 0, 0);
	tpm_buf_append_u32(buf, count);
	for (i = 0; i < ARRAY_SIZE(cap_events); i++) {
		if (!wanted[i])
			continue;
		tpm_buf_append_u16(buf, cap_events[i].alg);
		tpm_buf_append(buf, cap_events[i].digest, cap_events[i].size);
	}
	rc = derived_auth_send(&session, buf, NULL, &params);
	if (!rc && !tpm2_consumed(&params))
		rc = -EBADMSG;
	return rc;
}

/**
 * derived_pcr_is_closed() - whether the cap event closed a PCR that was zero
 * @pcrs:	values that were read
 * @pcr:	the PCR
 *
 * Return: true if its value is SHA-256(zero || cap event)
 */
bool derived_pcr_is_closed(const struct derived_pcrs *pcrs, unsigned int pcr)
{
	return (pcrs->present & BIT(pcr)) &&
	       !memcmp(pcrs->value[pcr], cap_closed, sizeof(cap_closed));
}

/**
 * derived_pcr_is_zero() - whether nothing has extended a PCR yet
 * @pcrs:	values that were read
 * @pcr:	the PCR
 *
 * Return: true if its value is all zero
 */
bool derived_pcr_is_zero(const struct derived_pcrs *pcrs, unsigned int pcr)
{
	return (pcrs->present & BIT(pcr)) &&
	       !memchr_inv(pcrs->value[pcr], 0, SHA256_DIGEST_SIZE);
}

/**
 * derived_policy_digest() - compute the policy of the capped root
 * @pcrs:	values of the PCRs in @selected; that of @cap is not looked at
 * @selected:	bit N: PCR N; with @cap's bit
 * @cap:	the cap PCR, whose value in the policy is zero
 * @policy:	the result: what one TPM2_PolicyPCR leaves in a fresh session
 *
 * Documentation/format.rst, "The capped root". Part 3, 23.7.
 *
 * Context: any.
 */
void derived_policy_digest(const struct derived_pcrs *pcrs, u32 selected,
			   unsigned int cap, u8 policy[SHA256_DIGEST_SIZE])
{
	static const u8 zero[SHA256_DIGEST_SIZE];
	u8 head[4 + 4 + 2 + 1 + 4];
	u8 values[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;
	unsigned int i;

	sha256_init(&hash);
	for (i = 0; i < DERIVED_PCRS; i++)
		if (selected & BIT(i))
			sha256_update(&hash, i == cap ? zero : pcrs->value[i],
				      SHA256_DIGEST_SIZE);
	sha256_final(&hash, values);

	put_unaligned_be32(TPM_CC_POLICY_PCR, head);
	put_unaligned_be32(1, head + 4);
	put_unaligned_be16(TPM_ALG_SHA256, head + 8);
	head[10] = PCR_SELECT_SIZE;
	put_unaligned_le32(selected, head + 11);

	sha256_init(&hash);
	sha256_update(&hash, zero, sizeof(zero));
	sha256_update(&hash, head, 11 + PCR_SELECT_SIZE);
	sha256_update(&hash, values, sizeof(values));
	sha256_final(&hash, policy);
}

/* Sends a command about a policy session, whose response has no parameters. */
static int send_policy(struct derived_session *session, struct tpm_buf *buf)
{
	struct tpm2_reader r;
	u16 tag;
	int rc;

	rc = derived_tpm_send(session->chip, buf);
	if (rc)
		return rc;
	r = derived_tpm_response(buf, &tag);
	return tpm2_consumed(&r) ? 0 : -EBADMSG;
}

/**
 * derived_policy_pcr() - bind a policy session to PCRs (TPM2_PolicyPCR)
 * @session:	the session
 * @buf:	buffer for the command and its response
 * @selected:	bit N: PCR N
 *
 * Part 3, 23.7. The TPM takes the values that the PCRs have now.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_policy_pcr(struct derived_session *session, struct tpm_buf *buf,
		       u32 selected)
{
	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM_CC_POLICY_PCR);
	tpm_buf_append_u32(buf, session->handle);
	tpm_buf_append_u16(buf, 0);		/* pcrDigest: none */
	append_selection(buf, selected);
	return send_policy(session, buf);
}

/**
 * derived_policy_restart() - make a policy session fresh (TPM2_PolicyRestart)
 * @session:	the session
 * @buf:	buffer for the command and its response
 *
 * Part 3, 11.2. The TPM does this itself after a command that the session
 * authorized, but not after a command that failed.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_policy_restart(struct derived_session *session,
			   struct tpm_buf *buf)
{
	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM_CC_POLICY_RESTART);
	tpm_buf_append_u32(buf, session->handle);
	return send_policy(session, buf);
}

/**
 * derived_clock_read() - read how often the TPM started (TPM2_ReadClock)
 * @chip:	the TPM
 * @buf:	buffer for the command and its response
 * @resets:	the result
 *
 * Part 3, 29.1.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_clock_read(struct tpm_chip *chip, struct tpm_buf *buf,
		       struct derived_resets *resets)
{
	struct tpm2_reader r;
	u16 tag;
	int rc;

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM_CC_READ_CLOCK);
	rc = derived_tpm_send(chip, buf);
	if (rc)
		return rc;
	r = derived_tpm_response(buf, &tag);
	tpm2_take(&r, 8 + 8);			/* time, clock */
	resets->reset = tpm2_take_u32(&r);
	resets->restart = tpm2_take_u32(&r);
	tpm2_take_u8(&r);			/* safe */
	return tpm2_consumed(&r) ? 0 : -EBADMSG;
}

/**
 * derived_tpm_startup() - start the TPM (TPM2_Startup)
 * @chip:	the TPM, which has answered TPM2_RC_INITIALIZE
 * @buf:	buffer for the command and its response
 * @type:	TPM2_SU_STATE, to restore what it saved; or TPM2_SU_CLEAR
 *
 * Part 3, 9.3.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno; or a TPM return code
 */
int derived_tpm_startup(struct tpm_chip *chip, struct tpm_buf *buf, u16 type)
{
	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_STARTUP);
	tpm_buf_append_u16(buf, type);
	return derived_tpm_send(chip, buf);
}
