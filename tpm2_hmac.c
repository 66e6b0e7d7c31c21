// SPDX-License-Identifier: GPL-2.0
/*
 * The root secret, from the TPM: the fetch.
 *
 * The TPM makes an HMAC key out of its owner seed (TPM2_CreatePrimary with a
 * fixed template) and computes one HMAC with it (TPM2_HMAC). That HMAC is the
 * root secret, K_root. Nothing is stored, and nothing stays in the TPM.
 *
 * The kernel does not trust the TPM, nor a device on its bus: no byte behind
 * the end of a response is read, and every field that repeats a part of the
 * command is compared with it. The TPM is trusted with the secret, of course.
 * The HMAC crosses the bus encrypted (tpm2_session.c). If that is not possible,
 * the fetch fails, unless require_encryption=0. All this does not stop another
 * program that may open the TPM device: it can create the same primary key.
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
#include "tpm2_primary.h"
#include "tpm2_session.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_ST_HASHCHECK	0x8024
#define TPM_CC_HMAC		0x00000155
#define TPM_CC_HMAC_START	0x0000015B
#define TPM_PT_MANUFACTURER	0x00000105
#define TPM_PT_FIRMWARE_VERSION_1 0x0000010B
#define TPM_PT_FIRMWARE_VERSION_2 0x0000010C

/*
 * The primary key.
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

/*
 * Creates the primary key. Returns 0 or a negative errno. In both cases the
 * caller flushes primary->handle.
 */
static int create_primary(struct derived_session *session, struct tpm_buf *buf,
			  struct derived_primary *primary,
			  struct tpm2_report *report)
{
	u8 public[sizeof(primary_public) + PRIMARY_UNIQUE_SIZE];
	int rc;

	memcpy(public, primary_public, sizeof(primary_public));
	sha256((const u8 *)"derived-keys v1", strlen("derived-keys v1"),
	       public + sizeof(primary_public));

	rc = derived_primary_create(session, buf, TPM_RH_OWNER, public,
				    sizeof(public), primary);
	/* unique is a digest of a secret of the TPM's: it cannot be checked. */
	if (!rc && (primary->public_len != sizeof(public) ||
		    memcmp(primary->public, primary_public,
			   sizeof(primary_public))))
		rc = -EBADMSG;
	return rc ? derived_tpm_fail_rc(report, "TPM2_CreatePrimary", rc) : 0;
}

/*
 * Takes the root secret out of the parameters of a response: a TPM2B_DIGEST. In
 * the response to TPM2_SequenceComplete, a ticket follows it.
 *
 * Returns 0 or -EBADMSG.
 */
static int take_root(struct tpm2_reader *params, bool has_ticket,
		     u8 root[DERIVED_ROOT_SIZE])
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
	memcpy(root, digest.data, DERIVED_ROOT_SIZE);
	return 0;
}

/*
 * Computes the HMAC as a sequence, for a TPM without TPM2_HMAC (Part 3, 17.2
 * and 17.6).
 */
static int hmac_sequence(struct derived_session *session, struct tpm_buf *buf,
			 const struct derived_primary *primary,
			 u8 root[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	struct tpm2_reader params;
	u32 sequence;
	int rc;

	rc = derived_auth_begin(session, buf, TPM_CC_HMAC_START,
				primary->handle, primary->name,
				sizeof(primary->name),
				DERIVED_SESSION_CONTINUE);
	if (rc)
		return derived_tpm_fail_rc(report, "TPM2_HMAC_Start", rc);
	tpm_buf_append_u16(buf, 0);		/* the sequence's auth value */
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	rc = derived_auth_send(session, buf, &sequence, &params);
	if (!rc && !tpm2_consumed(&params))
		rc = -EBADMSG;
	if (rc) {
		derived_tpm_flush(session->chip, buf, sequence, report);
		return derived_tpm_fail_rc(report, "TPM2_HMAC_Start", rc);
	}

	rc = derived_auth_begin(session, buf, TPM2_CC_SEQUENCE_COMPLETE,
				sequence, (const u8 *)"", 0,
				DERIVED_SESSION_ENCRYPT);
	if (!rc) {
		tpm_buf_append_u16(buf, sizeof(derived_root_input));
		tpm_buf_append(buf, derived_root_input,
			       sizeof(derived_root_input));
		tpm_buf_append_u32(buf, TPM2_RH_NULL);
		rc = derived_auth_send(session, buf, NULL, &params);
	}
	if (!rc)
		rc = take_root(&params, true, root);
	if (!rc)
		return 0;
	/* The TPM removes the sequence only if it has executed this command. */
	derived_tpm_flush(session->chip, buf, sequence, report);
	return derived_tpm_fail_rc(report, "TPM2_SequenceComplete", rc);
}

/* Computes the HMAC with the primary key (TPM2_HMAC: Part 3, 15.5). */
static int hmac(struct derived_session *session, struct tpm_buf *buf,
		const struct derived_primary *primary,
		u8 root[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	struct tpm2_reader params;
	int rc;

	rc = derived_auth_begin(session, buf, TPM_CC_HMAC, primary->handle,
				primary->name, sizeof(primary->name),
				DERIVED_SESSION_ENCRYPT);
	if (rc)
		return derived_tpm_fail_rc(report, "TPM2_HMAC", rc);
	tpm_buf_append_u16(buf, sizeof(derived_root_input));
	tpm_buf_append(buf, derived_root_input, sizeof(derived_root_input));
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);

	rc = derived_auth_send(session, buf, NULL, &params);
	/*
	 * An error is not authenticated. A forged one gains the attacker
	 * nothing here: the sequence uses the same session. But the
	 * kernel's session cannot express a sequence.
	 */
	if (rc == TPM_RC_COMMAND_CODE && session->kind != DERIVED_SESSION_KERNEL)
		return hmac_sequence(session, buf, primary, root, report);
	if (!rc)
		rc = take_root(&params, false, root);
	return rc ? derived_tpm_fail_rc(report, "TPM2_HMAC", rc) : 0;
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

/* The whole fetch, under one tpm_try_get_ops(). */
static int fetch_from(struct tpm_chip *chip, struct tpm_buf *buf,
		      u8 root[DERIVED_ROOT_SIZE], struct tpm2_report *report)
{
	struct derived_session session;
	struct derived_primary primary;
	int has_hmac, err;

	if (!(chip->flags & TPM_CHIP_FLAG_TPM2) || tpm_is_firmware_upgrade(chip))
		return derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO,
					"the TPM is not a TPM 2.0 that works");

	if (derived_tpm_has_command(chip, TPM2_CC_CREATE_PRIMARY, 1, 1) <= 0)
		return derived_tpm_fail_rc(report, "TPM2_CreatePrimary", -EBADMSG);
	has_hmac = derived_tpm_has_command(chip, TPM_CC_HMAC, 1, 0);
	if (has_hmac < 0)
		return derived_tpm_fail_rc(report, "TPM2_HMAC", has_hmac);

	/* A sequence's name is empty. The kernel's session cannot express that. */
	err = derived_session_start(&session, chip, buf, has_hmac, report);
	if (!err) {
		err = create_primary(&session, buf, &primary, report);
		if (!err && has_hmac)
			err = hmac(&session, buf, &primary, root, report);
		else if (!err)
			err = hmac_sequence(&session, buf, &primary, root, report);
		derived_tpm_flush(chip, buf, primary.handle, report);
	}
	derived_session_end(&session, buf, report);
	if (!err)
		identify_tpm(chip, buf, report);
	return err;
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

	memset(report, 0, sizeof(*report));
	chip = tpm_default_chip();
	if (!chip)
		return derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO,
					"no TPM");

	buf = kzalloc(TPM_BUFSIZE, GFP_KERNEL);
	if (!buf) {
		err = derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -ENOMEM,
				       "no memory");
		goto out_put_chip;
	}
	tpm_buf_init(buf, TPM_BUFSIZE);

	/*
	 * A session needs random numbers, which may not be there yet early at
	 * boot. Wait before locking the TPM, because the random number generator
	 * may need entropy from it.
	 */
	wait_for_random_bytes();

	report->asked = true;
	err = tpm_try_get_ops(chip);
	if (err) {
		err = derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO,
				       "the TPM is disabled, suspended or gone (errno %d)",
				       -err);
		goto out_wipe_buf;
	}
	err = fetch_from(chip, buf, secret, report);
	tpm_put_ops(chip);
out_wipe_buf:
	kfree_sensitive(buf);
out_put_chip:
	put_device(&chip->dev);
	return err;
}

#if IS_ENABLED(CONFIG_DERIVED_KEYS_KUNIT_TEST)
#include "tests/kunit/tpm2_hmac_kunit.c"
#endif
