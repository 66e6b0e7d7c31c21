// SPDX-License-Identifier: GPL-2.0
/*
 * The root secrets, from the TPM: the fetch.
 *
 * The TPM makes an HMAC key out of its owner seed (TPM2_CreatePrimary with a
 * fixed template) and computes one HMAC with it (TPM2_HMAC). That HMAC is the
 * root secret, K_root. Nothing is stored, and nothing stays in the TPM.
 *
 * The capped root secret, K_capped, comes from another key, which the TPM lets
 * nobody use after the fetch: the key's policy demands that a PCR, the cap PCR,
 * is zero, and the fetch extends that PCR. The TPM makes it zero again only when
 * it is reset.
 *
 * The kernel does not trust the TPM, nor a device on its bus: no byte behind
 * the end of a response is read, and every field that repeats a part of the
 * command is compared with it. The TPM is trusted with the secret, of course.
 * The HMAC crosses the bus encrypted (tpm2_session.c). If that is not possible,
 * the fetch fails, unless require_encryption=0. All this does not stop another
 * program that may open the TPM device: it can create the same primary key, and
 * use it. Only the capped root's key cannot be used any more.
 *
 * Nothing here looks at current: a worker makes the fetch, because no signal
 * can interrupt a worker (derived_root.c). Messages go into the report, and the
 * process that asked logs them.
 *
 * "Part" is a part of the TCG's TPM 2.0 Library specification.
 */

#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/unaligned.h>

#include "tpm2_hmac.h"
#include "tpm2_policy.h"
#include "tpm2_primary.h"
#include "tpm2_session.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_ST_HASHCHECK	0x8024
#define TPM_CC_HMAC		0x00000155
#define TPM_CC_HMAC_START	0x0000015B
#define TPM_PT_MANUFACTURER	0x00000105
#define TPM_PT_FIRMWARE_VERSION_1 0x0000010B
#define TPM_PT_FIRMWARE_VERSION_2 0x0000010C
#define TPM_RC_P_OR_S		0x800	/* 6.6.2: the number is a session's, */
#define TPM_RC_1		0x100	/* the first one's */
#define TPM_RC_WARN		0x900

/*
 * The primary keys.
 */

#define PRIMARY_UNIQUE_SIZE	SHA256_DIGEST_SIZE

/* TPMT_PUBLIC up to the bytes of unique, which the TPM replaces. */
static const u8 primary_public[] = {
	0x00, 0x08,		/* type: TPM_ALG_KEYEDHASH */
	0x00, 0x0b,		/* nameAlg: TPM_ALG_SHA256 */
	0x00, 0x04, 0x04, 0x72,	/* objectAttributes: fixedTPM, fixedParent,
				 * sensitiveDataOrigin, userWithAuth, noDA, sign
				 */
	0x00, 0x00,		/* authPolicy: empty */
	0x00, 0x05, 0x00, 0x0b,	/* parameters: TPM_ALG_HMAC, TPM_ALG_SHA256 */
	0x00, PRIMARY_UNIQUE_SIZE,
};

#define CAPPED_POLICY_AT	10

/* The same for the capped root: the policy alone authorizes, in all roles. */
static const u8 capped_public[] = {
	0x00, 0x08,		/* type: TPM_ALG_KEYEDHASH */
	0x00, 0x0b,		/* nameAlg: TPM_ALG_SHA256 */
	0x00, 0x04, 0x04, 0xb2,	/* objectAttributes: fixedTPM, fixedParent,
				 * sensitiveDataOrigin, adminWithPolicy, noDA,
				 * sign; and not userWithAuth
				 */
	0x00, SHA256_DIGEST_SIZE,	/* authPolicy */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0x00, 0x05, 0x00, 0x0b,	/* parameters: TPM_ALG_HMAC, TPM_ALG_SHA256 */
	0x00, PRIMARY_UNIQUE_SIZE,
};

/*
 * Creates a primary key: the capped root's if there is a @policy. Returns 0 or a
 * negative errno. In both cases the caller flushes primary->handle.
 */
static int create_primary(struct derived_session *session, struct tpm_buf *buf,
			  const u8 *policy, struct derived_primary *primary,
			  struct tpm2_report *report)
{
	const char *unique = policy ? "derived-keys v1 capped" : "derived-keys v1";
	const size_t fixed = policy ? sizeof(capped_public) : sizeof(primary_public);
	u8 public[sizeof(capped_public) + PRIMARY_UNIQUE_SIZE];
	int rc;

	memcpy(public, policy ? capped_public : primary_public, fixed);
	if (policy)
		memcpy(public + CAPPED_POLICY_AT, policy, SHA256_DIGEST_SIZE);
	sha256((const u8 *)unique, strlen(unique), public + fixed);

	rc = derived_primary_create(session, buf, TPM_RH_OWNER, public,
				    fixed + PRIMARY_UNIQUE_SIZE, primary);
	/* unique is a digest of a secret of the TPM's: it cannot be checked. */
	if (!rc && (primary->public_len != fixed + PRIMARY_UNIQUE_SIZE ||
		    memcmp(primary->public, public, fixed)))
		rc = -EBADMSG;
	return rc ? derived_tpm_fail_rc(report, "TPM2_CreatePrimary", rc) : 0;
}

/*
 * The HMAC.
 */

/**
 * struct hmac_key - a key in the TPM, to compute HMACs with
 * @primary:	the key
 * @has_hmac:	whether the TPM has TPM2_HMAC; if not, it computes a sequence
 * @attrs:	DERIVED_SESSION_CONTINUE if the session is used afterwards, or 0
 * @command:	the last command that was sent, for the report
 */
struct hmac_key {
	struct derived_primary primary;
	bool has_hmac;
	u8 attrs;
	const char *command;
};

/*
 * Takes the HMAC out of the parameters of a response: a TPM2B_DIGEST. In the
 * response to TPM2_SequenceComplete, a ticket follows it.
 *
 * Returns 0 or -EBADMSG.
 */
static int take_digest(struct tpm2_reader *params, bool has_ticket,
		       u8 out[DERIVED_ROOT_SIZE])
{
	struct tpm2_reader digest = tpm2_take_sized(params);

	/* For an HMAC it is a null ticket. */
	if (has_ticket && (tpm2_take_u16(params) != TPM_ST_HASHCHECK ||
			   tpm2_take_u32(params) != TPM2_RH_NULL ||
			   tpm2_take_sized(params).left))
		return -EBADMSG;
	/* A bus without a TPM may read as all zero. */
	if (!tpm2_consumed(params) || digest.left != DERIVED_ROOT_SIZE ||
	    !memchr_inv(digest.data, 0, DERIVED_ROOT_SIZE))
		return -EBADMSG;
	memcpy(out, digest.data, DERIVED_ROOT_SIZE);
	return 0;
}

/*
 * Begins a sequence (TPM2_HMAC_Start: Part 3, 17.2). *@sequence is the handle to
 * flush, or 0, also after an error.
 */
static int start_sequence(struct derived_session *session, struct tpm_buf *buf,
			  struct hmac_key *key, const u8 *auth, u16 auth_len,
			  u32 *sequence)
{
	struct tpm2_reader params;
	int rc;

	*sequence = 0;
	key->command = "TPM2_HMAC_Start";
	rc = derived_auth_begin(session, buf, TPM_CC_HMAC_START,
				key->primary.handle, key->primary.name,
				sizeof(key->primary.name),
				DERIVED_SESSION_CONTINUE);
	if (rc)
		return rc;
	tpm_buf_append_u16(buf, auth_len);
	tpm_buf_append(buf, auth, auth_len);
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	rc = derived_auth_send(session, buf, sequence, &params);
	if (!rc && !tpm2_consumed(&params))
		rc = -EBADMSG;
	return rc;
}

/*
 * Computes the HMAC as a sequence, for a TPM without TPM2_HMAC (Part 3, 17.2
 * and 17.6).
 *
 * A sequence that begins before the cap PCR is closed can be completed
 * afterwards. So the capped root's sequence has a random password: if it cannot
 * be removed from the TPM, it is of no use to another program.
 */
static int hmac_sequence(struct derived_session *session, struct tpm_buf *buf,
			 struct hmac_key *key, const u8 *input, u16 input_len,
			 u8 out[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	const u16 auth_len = session->is_policy ? SHA256_DIGEST_SIZE : 0;
	const u8 attrs = key->attrs | DERIVED_SESSION_ENCRYPT;
	u8 auth[SHA256_DIGEST_SIZE];
	struct tpm2_reader params;
	u32 sequence;
	int rc;

	get_random_bytes(auth, auth_len);
	rc = start_sequence(session, buf, key, auth, auth_len, &sequence);
	if (rc)
		goto out_flush;

	key->command = "TPM2_SequenceComplete";
	if (session->is_policy)
		derived_auth_begin_by_password(session, buf,
					       TPM2_CC_SEQUENCE_COMPLETE,
					       sequence, (const u8 *)"", 0,
					       auth, auth_len, attrs);
	else
		rc = derived_auth_begin(session, buf, TPM2_CC_SEQUENCE_COMPLETE,
					sequence, (const u8 *)"", 0, attrs);
	if (!rc) {
		tpm_buf_append_u16(buf, input_len);
		tpm_buf_append(buf, input, input_len);
		tpm_buf_append_u32(buf, TPM2_RH_NULL);
		rc = derived_auth_send(session, buf, NULL, &params);
	}
	if (!rc)
		rc = take_digest(&params, true, out);
	if (!rc)
		sequence = 0;	/* The TPM has removed it. */
out_flush:
	memzero_explicit(auth, sizeof(auth));
	derived_tpm_flush(session->chip, buf, sequence, report);
	return rc;
}

/*
 * Computes the HMAC with the primary key by TPM2_HMAC (Part 3, 15.5).
 *
 * Returns 0; a negative errno, -EBADMSG for nonsense; or a TPM return code.
 */
static int hmac_by_command(struct derived_session *session, struct tpm_buf *buf,
			   struct hmac_key *key, const u8 *input,
			   u16 input_len, u8 out[DERIVED_ROOT_SIZE])
{
	struct tpm2_reader params;
	int rc;

	key->command = "TPM2_HMAC";
	rc = derived_auth_begin(session, buf, TPM_CC_HMAC, key->primary.handle,
				key->primary.name, sizeof(key->primary.name),
				key->attrs | DERIVED_SESSION_ENCRYPT);
	if (rc)
		return rc;
	tpm_buf_append_u16(buf, input_len);
	tpm_buf_append(buf, input, input_len);
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);

	rc = derived_auth_send(session, buf, NULL, &params);
	return rc ? rc : take_digest(&params, false, out);
}

/* Computes the HMAC with the primary key. Returns as hmac_by_command(). */
static int hmac(struct derived_session *session, struct tpm_buf *buf,
		struct hmac_key *key, const u8 *input, u16 input_len,
		u8 out[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	int rc;

	if (key->has_hmac) {
		rc = hmac_by_command(session, buf, key, input, input_len, out);
		/*
		 * An error is not authenticated. A forged one gains the attacker
		 * nothing here: the sequence uses the same session. But the
		 * kernel's session cannot express a sequence.
		 */
		if (rc != TPM_RC_COMMAND_CODE ||
		    session->kind == DERIVED_SESSION_KERNEL)
			return rc;
		key->has_hmac = false;
	}
	return hmac_sequence(session, buf, key, input, input_len, out, report);
}

/*
 * Asks for the TPM's vendor and firmware (TPM2_GetCapability), for the
 * administrator. The answer is only shown.
 *
 * This is also the last command of each fetch that succeeds, for another
 * reason. Some interfaces of a TPM, like the CRB, keep the last response. The
 * 83 bytes of this answer overwrite the root secret there; the answer to
 * TPM2_FlushContext is too short for that.
 */
static void identify_tpm(struct tpm_chip *chip, struct tpm_buf *buf,
			 struct tpm2_report *report)
{
	const u32 wanted = TPM_PT_FIRMWARE_VERSION_2 - TPM_PT_MANUFACTURER + 1;
	u32 count, property, value;
	struct tpm2_reader r;
	int i;

	if (derived_tpm_get_capability(chip, buf, TPM2_CAP_TPM_PROPERTIES,
				       TPM_PT_MANUFACTURER, wanted, &r))
		return;
	for (count = min(tpm2_take_u32(&r), wanted); count && !r.bad; count--) {
		property = tpm2_take_u32(&r);
		value = tpm2_take_u32(&r);
		if (property == TPM_PT_MANUFACTURER)
			put_unaligned_be32(value, report->vendor);
		else if (property == TPM_PT_FIRMWARE_VERSION_1)
			report->firmware[0] = value;
		else if (property == TPM_PT_FIRMWARE_VERSION_2)
			report->firmware[1] = value;
	}
	/* Short names end in NUL or a space. Other odd bytes must not be logged. */
	for (i = 0; i < 4; i++)
		if (report->vendor[i] &&
		    (!isascii(report->vendor[i]) || !isprint(report->vendor[i])))
			report->vendor[i] = '?';
	strim(report->vendor);
}

/* Whether the TPM is one that a fetch can use. Returns 0 or a negative errno. */
static int check_tpm(struct tpm_chip *chip, bool *has_hmac,
		     struct tpm2_report *report)
{
	int rc;

	if (!(chip->flags & TPM_CHIP_FLAG_TPM2) || tpm_is_firmware_upgrade(chip))
		return derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO,
					"the TPM is not a TPM 2.0 that works");

	if (derived_tpm_has_command(chip, TPM2_CC_CREATE_PRIMARY, 1, 1) <= 0)
		return derived_tpm_fail_rc(report, "TPM2_CreatePrimary", -EBADMSG);
	rc = derived_tpm_has_command(chip, TPM_CC_HMAC, 1, 0);
	if (rc < 0)
		return derived_tpm_fail_rc(report, "TPM2_HMAC", rc);
	*has_hmac = rc;
	return 0;
}

/*
 * Fetches the root secret. @kernel_can says whether the kernel's session can
 * express the commands.
 */
static int fetch_by(struct tpm_chip *chip, struct tpm_buf *buf, bool has_hmac,
		    bool kernel_can, u8 root[DERIVED_ROOT_SIZE],
		    struct tpm2_report *report)
{
	struct hmac_key key = { .has_hmac = has_hmac };
	struct derived_session session;
	int err, rc;

	err = derived_session_start(&session, chip, buf, kernel_can, report);
	if (!err) {
		err = create_primary(&session, buf, NULL, &key.primary, report);
		if (!err) {
			rc = hmac(&session, buf, &key, derived_root_input,
				  sizeof(derived_root_input), root, report);
			if (rc)
				err = derived_tpm_fail_rc(report, key.command, rc);
		}
		derived_tpm_flush(chip, buf, key.primary.handle, report);
	}
	derived_session_end(&session, buf, report);
	if (!err)
		identify_tpm(chip, buf, report);
	return err;
}

/* The whole fetch, under one tpm_try_get_ops(). */
static int fetch_from(struct tpm_chip *chip, struct tpm_buf *buf,
		      u8 root[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	bool has_hmac = false;
	int err;

	err = check_tpm(chip, &has_hmac, report);
	/* A sequence's name is empty. The kernel's session cannot express that. */
	return err ? err : fetch_by(chip, buf, has_hmac, has_hmac, root, report);
}

/*
 * Gets the default TPM and a buffer, and locks the TPM. Returns 0, -ENXIO or
 * -ENOMEM.
 */
static int lock_tpm(struct tpm_chip **chip, struct tpm_buf **buf,
		    struct tpm2_report *report)
{
	int err;

	memset(report, 0, sizeof(*report));
	*chip = tpm_default_chip();
	if (!*chip) {
		derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO, "no TPM");
		return -ENXIO;
	}

	*buf = kzalloc(TPM_BUFSIZE, GFP_KERNEL);
	if (!*buf) {
		derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -ENOMEM,
				 "no memory");
		put_device(&(*chip)->dev);
		return -ENOMEM;
	}
	tpm_buf_init(*buf, TPM_BUFSIZE);

	/*
	 * A session needs random numbers, which may not be there yet early at
	 * boot. Wait before locking the TPM, because the random number generator
	 * may need entropy from it.
	 */
	wait_for_random_bytes();

	report->asked = true;
	err = tpm_try_get_ops(*chip);
	if (err) {
		derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO,
				 "the TPM is disabled, suspended or gone (errno %d)",
				 -err);
		kfree_sensitive(*buf);
		put_device(&(*chip)->dev);
		return -ENXIO;
	}
	return 0;
}

/* Undoes lock_tpm(), and wipes the buffer. */
static void unlock_tpm(struct tpm_chip *chip, struct tpm_buf *buf)
{
	tpm_put_ops(chip);
	kfree_sensitive(buf);
	put_device(&chip->dev);
}

/**
 * derived_tpm_fetch() - fetch the root secret from the TPM
 * @secret:	the result; the caller wipes it
 * @report:	the result for the administrator, also after an error
 *
 * The chip is looked up each time and not kept: a TPM may come and go. All
 * commands are sent under one tpm_try_get_ops(), because the kernel's session
 * lives in the chip, and so that no other commands come in between.
 *
 * Documentation/format.rst, "The primary key" and "K_root".
 *
 * Context: a worker. The TPM driver stops waiting when any signal is pending,
 * and would leave the primary key in the TPM. Sleeps until the TPM answers.
 * Return: 0; -ENXIO without a TPM 2.0 that works; -EACCES if the TPM refuses;
 * -EAGAIN if it is busy or out of slots; -EIO if it fails or answers nonsense;
 * -ETIME if it does not answer; -EOPNOTSUPP if its answer would cross the bus
 * unencrypted (require_encryption=); -ENOMEM
 */
int derived_tpm_fetch(u8 secret[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	struct tpm_chip *chip;
	struct tpm_buf *buf;
	int err;

	err = lock_tpm(&chip, &buf, report);
	if (err)
		return err;
	err = fetch_from(chip, buf, secret, report);
	unlock_tpm(chip, buf);
	return err;
}

/*
 * The capped root.
 */

/* How often the fetch begins again if PCRs change while it runs. */
#define PCR_TRIES	4

/* How often a command after the HMAC is tried, if the TPM fails. */
#define CLOSE_TRIES	3

/* The TPM's answer if the policy of the first session is not satisfied. */
#define POLICY_FAILED	(TPM_RC_POLICY_FAIL | TPM_RC_P_OR_S | TPM_RC_1)

static int capped_unfit(struct derived_capped *capped,
			struct tpm2_report *report, const char *why,
			unsigned int pcr)
{
	capped->state = DERIVED_CAP_UNFIT;
	return derived_tpm_fail(report, DERIVED_CAUSE_CAPPED, -EOPNOTSUPP, why, pcr);
}

static int capped_late(struct derived_capped *capped,
		       struct tpm2_report *report, const char *why,
		       unsigned int pcr)
{
	capped->state = DERIVED_CAP_LATE;
	return derived_tpm_fail(report, DERIVED_CAUSE_CAPPED, -EACCES, why, pcr);
}

/*
 * Looks whether this boot can have a capped root: whether the cap PCR is zero
 * and stays closed once it is closed, and what the further PCRs are.
 *
 * Returns 0; -EACCES (late) or -EOPNOTSUPP (unfit), and then @capped->state says
 * so; or a negative errno of a failure.
 */
static int look_at_pcrs(struct tpm_chip *chip, struct tpm_buf *buf,
			struct derived_capped *capped, struct tpm2_report *report)
{
	const struct derived_pcrs *pcrs = &capped->pcrs;
	unsigned int i;
	bool can;
	int rc;

	rc = derived_pcr_can_close(chip, buf, capped->cap, &can);
	if (rc)
		return derived_tpm_fail_rc(report, "TPM2_GetCapability", rc);
	if (!can)
		return capped_unfit(capped, report,
				    "the TPM can reset PCR %u, does not save it over suspend, or does not count its changes",
				    capped->cap);

	rc = derived_pcr_read(chip, buf, DERIVED_PCRS_ZERO | capped->further,
			      &capped->pcrs);
	if (rc)
		return derived_tpm_fail_rc(report, "TPM2_PCR_Read", rc);

	capped->no_bank = !(pcrs->present & BIT(capped->cap));
	if (capped->no_bank)
		return capped_unfit(capped, report,
				    "the TPM has no PCR %u in its SHA-256 bank",
				    capped->cap);
	if (derived_pcr_is_closed(pcrs, capped->cap)) {
		capped->closed = true;
		if (capped->extended) {
			capped->state = DERIVED_CAP_MISSED;
			return derived_tpm_fail(report, DERIVED_CAUSE_CAPPED, -EACCES,
						"PCR %u was closed, but the TPM failed before that was known",
						capped->cap);
		}
		return capped_late(capped, report,
				   "PCR %u was closed earlier in this boot", capped->cap);
	}
	if (!derived_pcr_is_zero(pcrs, capped->cap))
		return capped_late(capped, report,
				   "PCR %u is used by something else: it was not zero",
				   capped->cap);
	/* Before, root could have loaded the module with cap= of that PCR. */
	for (i = 0; i < DERIVED_PCRS; i++)
		if (derived_pcr_is_closed(pcrs, i))
			return capped_late(capped, report,
					   "another cap PCR, %u, was closed earlier in this boot",
					   i);

	for (i = 0; i < DERIVED_PCRS; i++) {
		if (!(capped->further & BIT(i)))
			continue;
		if (!(pcrs->present & BIT(i)))
			return capped_unfit(capped, report,
					    "the TPM has no PCR %u in its SHA-256 bank",
					    i);
		/* Firmware that does not measure: CVE-2021-42299. */
		if (!memchr_inv(pcrs->value[i], 0x00, SHA256_DIGEST_SIZE) ||
		    !memchr_inv(pcrs->value[i], 0xff, SHA256_DIGEST_SIZE))
			return capped_unfit(capped, report,
					    "PCR %u says nothing about this boot: it is all zeros or all ones",
					    i);
	}
	return 0;
}

/*
 * Computes K_capped, with the PCRs as look_at_pcrs() read them. The caller
 * flushes the key.
 *
 * Returns 0; 1 if a PCR changed meanwhile; or a negative errno.
 */
static int compute_capped(struct derived_session *session, struct tpm_buf *buf,
			  struct hmac_key *key, struct derived_capped *capped,
			  u8 secret[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	const u32 selected = capped->further | BIT(capped->cap);
	u8 input[DERIVED_CAPPED_INPUT_SIZE];
	int rc, err;

	derived_policy_digest(&capped->pcrs, selected, capped->cap, capped->policy);
	rc = create_primary(session, buf, capped->policy, &key->primary, report);
	if (rc)
		return rc;
	rc = derived_policy_pcr(session, buf, selected);
	if (rc)
		return derived_tpm_fail_rc(report, "TPM2_PolicyPCR", rc);

	derived_capped_input(capped->policy, input);
	rc = hmac(session, buf, key, input, sizeof(input), secret, report);
	if (derived_tpm_rc_value(rc) == TPM_RC_POLICY_FAIL ||
	    rc == TPM_RC_PCR_CHANGED)
		return 1;
	if (!rc)
		return 0;
	err = derived_tpm_fail_rc(report, key->command, rc);
	/* It is not about the owner hierarchy, as for TPM2_CreatePrimary. */
	if (err == -EACCES)
		derived_tpm_fail(report, DERIVED_CAUSE_TPM_REFUSED, err,
				 "the TPM refuses the policy session (%s: TPM_RC 0x%03x)",
				 key->command, rc);
	return err;
}

/*
 * Fetches K_capped while the cap PCR is zero. @session and @key are left for
 * prove_closed(); the caller ends and flushes them, also after an error.
 */
static int fetch_while_zero(struct derived_session *session,
			    struct tpm_chip *chip, struct tpm_buf *buf,
			    struct hmac_key *key, struct derived_capped *capped,
			    u8 secret[DERIVED_ROOT_SIZE],
			    struct tpm2_report *report)
{
	int tries, err;

	err = check_tpm(chip, &key->has_hmac, report);
	capped->is_tpm2 = err != -ENXIO;
	if (!err)
		err = look_at_pcrs(chip, buf, capped, report);
	if (!err)
		err = derived_session_start_policy(session, chip, buf, report);
	for (tries = PCR_TRIES; !err && tries; tries--) {
		err = compute_capped(session, buf, key, capped, secret, report);
		if (err <= 0)
			return err;
		derived_tpm_flush(chip, buf, key->primary.handle, report);
		key->primary.handle = 0;
		err = derived_policy_restart(session, buf);
		if (err)
			return derived_tpm_fail_rc(report, "TPM2_PolicyRestart", err);
		err = look_at_pcrs(chip, buf, capped, report);
	}
	return err ? err : derived_tpm_fail(report, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
					    "the PCRs change all the time");
}

/*
 * Closes the cap PCR, and reads it back. It is extended only while it is known
 * to be zero: two cap events would give another value. An error of the TPM does
 * not say that it is still zero: errors are not authenticated. If the TPM does
 * not extend all banks, then SHA-256 alone, because the policy is about that
 * bank.
 */
static void close_cap(struct tpm_chip *chip, struct tpm_buf *buf,
		      struct derived_capped *capped)
{
	struct derived_pcrs *pcrs = &capped->pcrs;
	bool all_banks = true;
	int tries, rc;
	bool zero;

	if (capped->no_bank) {
		/* The other banks. Nothing can be read back. */
		derived_pcr_close(chip, buf, capped->cap, true);
		return;
	}
	zero = derived_pcr_is_zero(pcrs, capped->cap);
	for (tries = CLOSE_TRIES; tries && !capped->closed; tries--) {
		if (zero) {
			capped->extended = true;
			if (derived_pcr_close(chip, buf, capped->cap, all_banks) > 0)
				all_banks = false;
		}
		rc = derived_pcr_read(chip, buf, BIT(capped->cap), pcrs);
		capped->closed = !rc && derived_pcr_is_closed(pcrs, capped->cap);
		zero = !rc && derived_pcr_is_zero(pcrs, capped->cap);
		/* A TPM that does not answer takes minutes for each command. */
		if ((!rc && !zero) || (rc == -ETIME && tries < CLOSE_TRIES))
			break;
	}
}

/*
 * Tries to use the key, by the command that gave K_capped. Not with the input of
 * K_capped: if the TPM does not refuse, its answer could be read on the bus.
 *
 * Returns 0; a negative errno, -EBADMSG for nonsense; or a TPM return code.
 */
static int try_key(struct derived_session *session, struct tpm_buf *buf,
		   struct hmac_key *key, struct tpm2_report *report)
{
	static const u8 input[] = "derived-keys v1 cap test";
	u8 ignored[DERIVED_ROOT_SIZE];
	u32 sequence;
	int rc;

	if (key->has_hmac)
		return hmac_by_command(session, buf, key, input, sizeof(input),
				       ignored);
	rc = start_sequence(session, buf, key, input, 0, &sequence);
	derived_tpm_flush(session->chip, buf, sequence, report);
	return rc;
}

/*
 * Tries to use the key in one way, which must be refused with @expected. That
 * error to another command proves nothing.
 *
 * Returns 0; -EOPNOTSUPP (unfit); or a negative errno of a failure.
 */
static int must_refuse(struct derived_session *session, struct tpm_buf *buf,
		       struct hmac_key *key, int expected,
		       struct derived_capped *capped, struct tpm2_report *report)
{
	int tries, rc;

	for (tries = CLOSE_TRIES; tries; tries--) {
		rc = 0;
		/* The session is fresh until the first try. */
		if (session->is_policy && tries < CLOSE_TRIES) {
			key->command = "TPM2_PolicyRestart";
			rc = derived_policy_restart(session, buf);
		}
		if (session->is_policy && !rc) {
			key->command = "TPM2_PolicyPCR";
			rc = derived_policy_pcr(session, buf, capped->further |
						BIT(capped->cap));
		}
		if (!rc) {
			rc = try_key(session, buf, key, report);
			if (rc == expected)
				return 0;
		}
		/* A failure of the TPM proves nothing: try again. */
		if (rc >= 0 && (rc & ~0x7f) != TPM_RC_WARN)
			break;
	}
	if (rc < 0 || (rc & ~0x7f) == TPM_RC_WARN)
		return derived_tpm_fail_rc(report, key->command, rc);
	capped->state = DERIVED_CAP_UNFIT;
	return derived_tpm_fail(report, DERIVED_CAUSE_CAPPED, -EOPNOTSUPP,
				"the TPM does not enforce the policy: after PCR %u was closed, %s gave TPM_RC 0x%03x, not 0x%03x",
				capped->cap, key->command, rc, expected);
}

/* Tests that the TPM does not let the key be used any more. */
static int prove_closed(struct derived_session *session, struct tpm_buf *buf,
			struct hmac_key *key, struct derived_capped *capped,
			struct tpm2_report *report)
{
	struct derived_session password = {
		.chip = session->chip, .kind = DERIVED_SESSION_PASSWORD,
	};
	int err;

	err = must_refuse(session, buf, key, POLICY_FAILED, capped, report);
	if (!err)
		err = must_refuse(&password, buf, key, TPM_RC_AUTH_UNAVAILABLE,
				  capped, report);
	return err;
}

/* Whether the same fetch may succeed a moment later. */
static bool is_transient(int err)
{
	return err == -EAGAIN || err == -EIO || err == -ETIME || err == -ENOMEM;
}

/* Why the cap PCR is not closed, after close_cap(). */
static int report_open(const struct derived_capped *capped,
		       struct tpm2_report *report)
{
	const bool zero = derived_pcr_is_zero(&capped->pcrs, capped->cap);

	return derived_tpm_fail(report, DERIVED_CAUSE_CAPPED, -EIO, zero ?
				"the TPM does not extend PCR %u" :
				"PCR %u could not be read back as closed",
				capped->cap);
}

/* Reads the TPM's counters. If that fails, the last ones stay. */
static void read_resets(struct tpm_chip *chip, struct tpm_buf *buf,
			struct derived_capped *capped)
{
	struct derived_resets resets;

	if (derived_clock_read(chip, buf, &resets))
		return;
	capped->resets = resets;
	capped->has_resets = true;
}

/* The whole fetch of the capped root, under one tpm_try_get_ops(). */
static int fetch_capped_from(struct tpm_chip *chip, struct tpm_buf *buf,
			     struct derived_capped *capped,
			     u8 secret[DERIVED_ROOT_SIZE],
			     struct tpm2_report *report)
{
	struct derived_session session = { .chip = chip };
	struct hmac_key key = { .attrs = DERIVED_SESSION_CONTINUE };
	int err;

	err = fetch_while_zero(&session, chip, buf, &key, capped, secret, report);
	/*
	 * The cap PCR is closed even if the fetch failed: else another program
	 * could fetch K_capped.
	 */
	if (capped->is_tpm2 &&
	    (capped->last || (err != -ENXIO && !is_transient(err))))
		close_cap(chip, buf, capped);
	if (!err && !capped->closed)
		err = report_open(capped, report);
	if (!err)
		err = prove_closed(&session, buf, &key, capped, report);
	derived_tpm_flush(chip, buf, key.primary.handle, report);
	derived_session_end(&session, buf, report);

	/* Late and unfit stay so, but not while the cap PCR may be open. */
	if (!err)
		capped->state = DERIVED_CAP_HELD;
	else if (capped->state == DERIVED_CAP_OPEN && capped->closed)
		capped->state = DERIVED_CAP_MISSED;
	else if (!capped->closed && !capped->no_bank &&
		 (!(capped->pcrs.present & BIT(capped->cap)) ||
		  derived_pcr_is_zero(&capped->pcrs, capped->cap)))
		capped->state = DERIVED_CAP_OPEN;

	if (capped->closed)
		read_resets(chip, buf, capped);
	if (!err)
		identify_tpm(chip, buf, report);
	return err;
}

/**
 * derived_tpm_fetch_capped() - fetch the capped root secret, and close its PCR
 * @capped:	which PCRs; and the result, also after an error
 * @secret:	the result; the caller wipes it
 * @report:	the result for the administrator, also after an error
 *
 * On success the cap PCR is closed, and the TPM has refused, in two ways, to use
 * the key again. After an error that may pass, the cap PCR is left as it is
 * unless @capped->last is set: so the caller may try again.
 *
 * Documentation/format.rst, "The capped root".
 *
 * Context: a worker, as for derived_tpm_fetch(). Sleeps until the TPM answers.
 * Return: 0 (DERIVED_CAP_HELD); -ENXIO without a TPM 2.0 that works
 * (DERIVED_CAP_WAIT); -EACCES if the cap PCR was not zero, or if the TPM refuses;
 * -EOPNOTSUPP if the TPM cannot do it, or no session encrypts; -EAGAIN, -EIO,
 * -ETIME or -ENOMEM after an error that may pass. Then @secret is all zero
 */
int derived_tpm_fetch_capped(struct derived_capped *capped,
			     u8 secret[DERIVED_ROOT_SIZE],
			     struct tpm2_report *report)
{
	struct tpm_chip *chip;
	struct tpm_buf *buf;
	int err;

	capped->closed = false;
	capped->no_bank = false;
	capped->pcrs.present = 0;
	capped->tpm = NULL;
	memset(secret, 0, DERIVED_ROOT_SIZE);
	err = lock_tpm(&chip, &buf, report);
	capped->state = err == -ENXIO ? DERIVED_CAP_WAIT : DERIVED_CAP_OPEN;
	capped->is_tpm2 = report->asked;
	if (err)
		return err;
	err = fetch_capped_from(chip, buf, capped, secret, report);
	if (err == -ENXIO && !capped->closed)
		capped->state = DERIVED_CAP_WAIT;
	if (err)
		memzero_explicit(secret, DERIVED_ROOT_SIZE);
	capped->tpm = get_device(chip->dev.parent);
	unlock_tpm(chip, buf);
	return err;
}

/* Closes the cap PCR again, if the TPM has lost its PCRs. */
static int watch_from(struct tpm_chip *chip, struct tpm_buf *buf,
		      struct derived_capped *capped, struct tpm2_report *report)
{
	int rc;

	rc = derived_pcr_read(chip, buf, BIT(capped->cap), &capped->pcrs);
	if (rc == TPM2_RC_INITIALIZE) {
		/* Firmware that did not start the TPM on resume. */
		if (derived_tpm_startup(chip, buf, TPM2_SU_STATE))
			derived_tpm_startup(chip, buf, TPM2_SU_CLEAR);
		rc = derived_pcr_read(chip, buf, BIT(capped->cap), &capped->pcrs);
	}
	if (rc)
		return derived_tpm_fail_rc(report, "TPM2_PCR_Read", rc);

	capped->was_open = derived_pcr_is_zero(&capped->pcrs, capped->cap);
	capped->closed = derived_pcr_is_closed(&capped->pcrs, capped->cap);
	if (capped->was_open)
		close_cap(chip, buf, capped);
	read_resets(chip, buf, capped);
	return capped->was_open && !capped->closed ? report_open(capped, report) : 0;
}

/**
 * derived_tpm_watch_capped() - look whether the cap PCR is still closed
 * @capped:	what derived_tpm_fetch_capped() left; .closed, .was_open and .resets
 *		are the result
 * @report:	the result for the administrator, after an error
 *
 * If the TPM was reset and the cap PCR is open, it is closed again. A TPM that
 * waits for TPM2_Startup gets it.
 *
 * Context: a worker; also while the system resumes, with user space frozen.
 * Sleeps until the TPM answers.
 * Return: 0; -ENXIO if there is no TPM that works; -ENODEV if it is another TPM;
 * or another errno of a failure, as of derived_tpm_fetch()
 */
int derived_tpm_watch_capped(struct derived_capped *capped,
			     struct tpm2_report *report)
{
	struct tpm_chip *chip;
	struct tpm_buf *buf;
	int err;

	capped->was_open = false;
	err = lock_tpm(&chip, &buf, report);
	if (err)
		return err;
	if (chip->dev.parent == capped->tpm)
		err = watch_from(chip, buf, capped, report);
	else
		err = derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENODEV,
				       "the TPM that gave the capped root is gone");
	unlock_tpm(chip, buf);
	return err;
}

#if IS_ENABLED(CONFIG_DERIVED_KEYS_KUNIT_TEST)
#include "tests/kunit/tpm2_hmac_kunit.c"
#include "tests/kunit/capped_kunit.c"
#endif
