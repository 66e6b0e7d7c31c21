// SPDX-License-Identifier: GPL-2.0
/*
 * K_root from the TPM.
 *
 * The TPM makes an HMAC key out of its owner seed (TPM2_CreatePrimary with a
 * fixed template) and computes one HMAC with it (TPM2_HMAC): that is K_root.
 * Nothing is stored, and nothing stays in the TPM.
 *
 * The TPM, and whatever sits on its bus, is not trusted with this kernel: a
 * response is read only as far as it is long, and every field that repeats what
 * was asked for is compared. It is trusted with the secret, of course. Where the
 * kernel has sessions (CONFIG_TCG_TPM2_HMAC) the HMAC crosses the bus encrypted;
 * where it has not, in clear, and the log says so. What none of this can stop is
 * another one who may open the TPM device: he can create the same primary key.
 *
 * Nothing here looks at current: the conversation is held by a worker, which no
 * signal reaches (derived_root.c). What there is to say goes to who asked.
 *
 * "Part" is a part of the TCG's TPM 2.0 Library specification.
 */

#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/unaligned.h>

#include "tpm2_hmac.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_ST_HASHCHECK	0x8024
#define TPM_RH_OWNER		0x40000001
#define TPM_CC_HMAC		0x00000155
#define TPM_CC_HMAC_START	0x0000015B
#define TPM_PT_MANUFACTURER	0x00000105
#define TPM_PT_FIRMWARE_VERSION_1 0x0000010B
#define TPM_PT_FIRMWARE_VERSION_2 0x0000010C

#define TPM_RC_HIERARCHY	0x085
#define TPM_RC_AUTH_FAIL	0x08E
#define TPM_RC_POLICY_FAIL	0x09D
#define TPM_RC_BAD_AUTH		0x0A2
#define TPM_RC_DISABLED		0x120
#define TPM_RC_AUTH_MISSING	0x125
#define TPM_RC_AUTH_UNAVAILABLE	0x12F
#define TPM_RC_COMMAND_CODE	0x143
#define TPM_RC_WARN		0x900
#define TPM_RC_LOCKOUT		0x921

/* How an answer is protected on the TPM's bus. Nobody else needs to know. */
static const char session_password[] =
	"password, the TPM's answer crosses its bus unencrypted";
static const char session_kernel[] =
	"the kernel's, the TPM's answer is encrypted on its bus";

/*
 * Reading a response.
 *
 * tpm_buf_read_*() are not used: they WARN() at what is cut short, and whoever
 * answers as the TPM could bring down a machine with panic_on_warn.
 */

/* What is left to read; once read past the end, it stays bad. */
struct reader {
	const u8 *data;
	size_t left;
	bool bad;
};

static const u8 *take(struct reader *r, size_t len)
{
	const u8 *data = r->data;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	r->data += len;
	r->left -= len;
	return data;
}

static u8 take_u8(struct reader *r)
{
	const u8 *data = take(r, 1);

	return data ? *data : 0;
}

static u16 take_u16(struct reader *r)
{
	const u8 *data = take(r, 2);

	return data ? get_unaligned_be16(data) : 0;
}

static u32 take_u32(struct reader *r)
{
	const u8 *data = take(r, 4);

	return data ? get_unaligned_be32(data) : 0;
}

/* A TPM2B: what comes after the u16 that says how long it is. */
static struct reader take_sized(struct reader *r)
{
	struct reader sized = { .left = take_u16(r) };

	sized.data = take(r, sized.left);
	sized.bad = r->bad;
	return sized;
}

/* Whether all was read, and nothing beyond. */
static bool consumed(const struct reader *r)
{
	return !r->bad && !r->left;
}

/* Whether what is left is @len bytes that equal @data. */
static bool is_rest(const struct reader *r, const void *data, size_t len)
{
	return !r->bad && r->left == len && !memcmp(r->data, data, len);
}

/*
 * Sending a command.
 */

/* Notes why the fetch fails. Returns @err. */
static __printf(4, 5) int fail(struct derived_tpm *tpm,
			       enum derived_cause cause, int err,
			       const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(tpm->why, sizeof(tpm->why), fmt, args);
	va_end(args);
	tpm->cause = cause;
	return err;
}

/*
 * Says what it means to the caller that a command failed: with a TPM return
 * code, or with an errno of the TPM layer.
 */
static int fail_rc(struct derived_tpm *tpm, const char *command, int rc)
{
	switch (rc) {
	case -ENODEV:
	case -ENXIO:
	case -EPIPE:
	case -ECANCELED:		/* by the driver, which is being removed */
		return fail(tpm, DERIVED_CAUSE_NO_TPM, -ENXIO,
			    "the TPM went away during %s (errno %d)",
			    command, -rc);
	case -EFAULT:			/* the TPM layer's, for a bad size */
	case -EBADMSG:			/* ours */
		return fail(tpm, DERIVED_CAUSE_TPM_FAILED, -EIO,
			    "the TPM answered nonsense to %s", command);
	case -ETIME:
		return fail(tpm, DERIVED_CAUSE_TPM_FAILED, -ETIME,
			    "the TPM did not answer %s in time", command);
	}
	if (rc < 0)
		return fail(tpm, DERIVED_CAUSE_TPM_FAILED, -EIO,
			    "the TPM driver failed at %s (errno %d)",
			    command, -rc);

	switch (tpm2_rc_value(rc)) {
	case TPM_RC_HIERARCHY:
	case TPM_RC_DISABLED:
		return fail(tpm, DERIVED_CAUSE_TPM_REFUSED, -EACCES,
			    "the TPM's owner hierarchy is disabled (%s: TPM_RC 0x%03x)",
			    command, rc);
	case TPM_RC_BAD_AUTH:
	case TPM_RC_AUTH_FAIL:
	case TPM_RC_AUTH_MISSING:
	case TPM_RC_AUTH_UNAVAILABLE:
	case TPM_RC_POLICY_FAIL:
		return fail(tpm, DERIVED_CAUSE_TPM_REFUSED, -EACCES,
			    "the TPM's owner hierarchy has a password (%s: TPM_RC 0x%03x)",
			    command, rc);
	case TPM_RC_LOCKOUT:
		return fail(tpm, DERIVED_CAUSE_TPM_REFUSED, -EACCES,
			    "the TPM is in lockout (%s: TPM_RC 0x%03x)",
			    command, rc);
	}
	/* From 0x910 on it is about our handles, which we have from the TPM. */
	if ((rc & ~0x7f) == TPM_RC_WARN && (rc & ~0xf) != TPM2_RC_REFERENCE_H0)
		return fail(tpm, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
			    "the TPM is busy or full (%s: TPM_RC 0x%03x)",
			    command, rc);
	return fail(tpm, DERIVED_CAUSE_TPM_FAILED, -EIO,
		    "the TPM failed at %s (TPM_RC 0x%03x)", command, rc);
}

/*
 * Whether the TPM has a command, as it said when it was found, and with the
 * handles that the specification gives it: the kernel's sessions take the TPM's
 * word for how many there are.
 *
 * Returns 1, 0, or -EBADMSG if it said nonsense.
 */
static int has_command(const struct tpm_chip *chip, u32 command,
		       unsigned int handles, unsigned int response_handles)
{
	u32 i, attrs;

	for (i = 0; i < chip->nr_commands; i++) {
		attrs = chip->cc_attrs_tbl[i];
		if ((attrs & GENMASK(15, 0)) != command ||
		    (attrs & BIT(TPM2_CC_ATTR_VENDOR)))
			continue;
		if (((attrs >> TPM2_CC_ATTR_CHANDLES) & GENMASK(2, 0)) != handles ||
		    ((attrs >> TPM2_CC_ATTR_RHANDLE) & 1) != response_handles)
			return -EBADMSG;
		return 1;
	}
	return 0;
}

static bool has_kernel_session(struct tpm_chip *chip)
{
	return tpm2_chip_auth(chip);
}

/*
 * Sends a command. The TPM layer hands down a return code as an int: one of
 * 0xfffffff4, say, would pose as -ENOMEM.
 *
 * Returns 0, a negative errno, -EBADMSG being nonsense, or a TPM return code.
 */
static int send_command(struct tpm_chip *chip, struct tpm_buf *buf)
{
	const struct tpm_header *header = (const struct tpm_header *)buf->data;
	int rc = tpm_transmit_cmd(chip, buf, 0, NULL);

	if (rc < 0 && be32_to_cpu(header->return_code) == (u32)rc)
		return -EBADMSG;
	return rc;
}

/*
 * Splits a response that has one session (Part 1, 18.10) into its handle, if
 * it has one, and its parameters, the first of which is a TPM2B if there is any.
 * This goes before tpm_buf_check_hmac_response(), which believes every length
 * that it finds, and decrypts as much as the TPM2B says.
 *
 * Returns 0 or -EBADMSG. Either way *handle is what to flush, or 0.
 */
static int split_response(struct tpm_chip *chip, const struct tpm_buf *buf,
			  u32 *handle, struct reader *params)
{
	const size_t authsize = has_kernel_session(chip) ? SHA256_DIGEST_SIZE : 0;
	struct reader r = { .data = buf->data, .left = buf->length };
	const size_t size = r.left;
	u16 tag = take_u16(&r);
	struct reader first;

	if (handle)
		*handle = 0;
	if (take_u32(&r) != size || take_u32(&r) != TPM2_RC_SUCCESS)
		return -EBADMSG;
	if (handle) {
		u32 h = take_u32(&r);

		if (tpm2_handle_mso(h) != TPM2_MSO_VOLATILE)
			return -EBADMSG;
		*handle = h;
	}
	if (tag != TPM2_ST_SESSIONS)
		return -EBADMSG;

	params->left = take_u32(&r);
	params->data = take(&r, params->left);
	params->bad = r.bad;
	first = *params;
	if (first.left && take_sized(&first).bad)
		return -EBADMSG;

	if (take_sized(&r).left != authsize)	/* the TPM's nonce */
		return -EBADMSG;
	take_u8(&r);				/* attributes, under the HMAC */
	if (take_sized(&r).left != authsize)	/* the HMAC */
		return -EBADMSG;
	return consumed(&r) ? 0 : -EBADMSG;
}

/*
 * Sends a command that has one session, and splits the response.
 *
 * Returns 0; a negative errno, -EBADMSG being nonsense; or a TPM return code.
 * In any case *handle is what to flush, or 0.
 */
static int transmit(struct tpm_chip *chip, struct tpm_buf *buf,
		    u32 *handle, struct reader *params)
{
	int rc;

	if (handle)
		*handle = 0;

	rc = tpm_buf_fill_hmac_session(chip, buf);
	if (rc)
		return rc;

	rc = send_command(chip, buf);
	if (!rc)
		rc = split_response(chip, buf, handle, params);
	if (rc)
		/* Nothing to check; but the session must know that it is over. */
		return tpm_buf_check_hmac_response(chip, buf, rc);

	return tpm_buf_check_hmac_response(chip, buf, 0) ? -EBADMSG : 0;
}

/*
 * Removes an object from the TPM. Not by tpm2_flush_context(): that allocates,
 * and leaves the object where it is when it cannot.
 */
static void flush(struct tpm_chip *chip, struct tpm_buf *buf, u32 handle,
		  struct derived_tpm *tpm)
{
	int rc;

	if (!handle)
		return;
	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_FLUSH_CONTEXT);
	tpm_buf_append_u32(buf, handle);
	rc = send_command(chip, buf);
	if (rc && tpm2_rc_value(rc) != TPM2_RC_HANDLE)
		tpm->left = handle;
}

/*
 * The primary key.
 */

#define PRIMARY_UNIQUE_SIZE	SHA256_DIGEST_SIZE

/* TPMT_PUBLIC up to the bytes of unique, which are the TPM's in its answer. */
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

/* TPM2B_SENSITIVE_CREATE: no userAuth, no data. */
static const u8 primary_sensitive[] = { 0x00, 0x04, 0x00, 0x00, 0x00, 0x00 };

#define NAME_SIZE (2 + SHA256_DIGEST_SIZE)

/*
 * Checks the parameters of the response to TPM2_CreatePrimary (Part 3, 24.1)
 * and computes the object's name.
 *
 * Returns 0 or -EBADMSG.
 */
static int check_primary(struct reader *params, u8 name[NAME_SIZE])
{
	struct reader public, creation, creation_hash, its_name;
	u8 hash[SHA256_DIGEST_SIZE];
	u32 ticket_hierarchy;
	const u8 *selected;
	u16 ticket_tag;

	public = take_sized(params);
	creation = take_sized(params);
	creation_hash = take_sized(params);
	ticket_tag = take_u16(params);
	ticket_hierarchy = take_u32(params);
	take_sized(params);			/* the ticket's digest */
	its_name = take_sized(params);

	/* unique is a digest of the TPM's secret: not ours to foresee. */
	if (!consumed(params) ||
	    public.left != sizeof(primary_public) + PRIMARY_UNIQUE_SIZE ||
	    memcmp(public.data, primary_public, sizeof(primary_public)))
		return -EBADMSG;

	put_unaligned_be16(TPM_ALG_SHA256, name);
	sha256(public.data, public.left, name + 2);
	if (!is_rest(&its_name, name, NAME_SIZE))
		return -EBADMSG;

	sha256(creation.data, creation.left, hash);
	if (!is_rest(&creation_hash, hash, sizeof(hash)))
		return -EBADMSG;

	if (ticket_tag != TPM2_ST_CREATION || ticket_hierarchy != TPM_RH_OWNER)
		return -EBADMSG;

	/* TPMS_CREATION_DATA: no PCR selected, no outsideInfo, as was asked. */
	selected = take(&creation, 4);
	if (!selected || get_unaligned_be32(selected))
		return -EBADMSG;
	take_sized(&creation);			/* pcrDigest */
	take_u8(&creation);			/* locality */
	take_u16(&creation);			/* parentNameAlg */
	take_sized(&creation);			/* parentName */
	take_sized(&creation);			/* parentQualifiedName */
	if (take_sized(&creation).left || !consumed(&creation))
		return -EBADMSG;
	return 0;
}

/*
 * Creates the primary key. Returns 0 with its handle and name, or a negative
 * errno and nothing is left in the TPM.
 */
static int create_primary(struct tpm_chip *chip, struct tpm_buf *buf,
			  u32 *handle, u8 name[NAME_SIZE],
			  struct derived_tpm *tpm)
{
	static const char command[] = "TPM2_CreatePrimary";
	u8 unique[PRIMARY_UNIQUE_SIZE];
	struct reader params;
	int rc;

	sha256((const u8 *)"derived-keys v1", strlen("derived-keys v1"), unique);

	tpm_buf_reset(buf, TPM2_ST_SESSIONS, TPM2_CC_CREATE_PRIMARY);
	rc = tpm_buf_append_name(chip, buf, TPM_RH_OWNER, NULL);
	if (rc)
		return fail_rc(tpm, command, rc);
	tpm_buf_append_hmac_session(chip, buf, 0, NULL, 0);
	tpm_buf_append(buf, primary_sensitive, sizeof(primary_sensitive));
	tpm_buf_append_u16(buf, sizeof(primary_public) + sizeof(unique));
	tpm_buf_append(buf, primary_public, sizeof(primary_public));
	tpm_buf_append(buf, unique, sizeof(unique));
	tpm_buf_append_u16(buf, 0);		/* outsideInfo */
	tpm_buf_append_u32(buf, 0);		/* creationPCR */

	rc = transmit(chip, buf, handle, &params);
	if (!rc)
		rc = check_primary(&params, name);
	if (!rc)
		return 0;

	flush(chip, buf, *handle, tpm);
	return fail_rc(tpm, command, rc);
}

/*
 * Takes K_root out of the parameters of a response: a TPM2B_DIGEST and, behind
 * it, the ticket of TPM2_SequenceComplete.
 *
 * Returns 0 or -EBADMSG.
 */
static int take_root(struct reader *params, bool has_ticket,
		     u8 root[DERIVED_ROOT_SIZE])
{
	struct reader digest = take_sized(params);

	/* A null ticket: an HMAC gets no other one. */
	if (has_ticket && (take_u16(params) != TPM_ST_HASHCHECK ||
			   take_u32(params) != TPM2_RH_NULL ||
			   take_sized(params).left))
		return -EBADMSG;
	/* All zero is what a bus without a TPM may read as. */
	if (!consumed(params) || digest.left != DERIVED_ROOT_SIZE ||
	    !memchr_inv(digest.data, 0, DERIVED_ROOT_SIZE))
		return -EBADMSG;
	memcpy(root, digest.data, DERIVED_ROOT_SIZE);
	return 0;
}

/*
 * The HMAC as a sequence, for a TPM without TPM2_HMAC (Part 3, 17.2 and 17.6).
 *
 * A sequence has an empty name, which the kernel's sessions cannot express, so
 * these two commands go with an empty password and the answer in clear.
 */
static int hmac_sequence(struct tpm_chip *chip, struct tpm_buf *buf,
			 u32 primary, u8 root[DERIVED_ROOT_SIZE],
			 struct derived_tpm *tpm)
{
	struct reader params;
	u32 sequence;
	int rc;

	/* From here on no session of the kernel's is open. */
	tpm2_end_auth_session(chip);
	tpm->session = session_password;

	tpm_buf_reset(buf, TPM2_ST_SESSIONS, TPM_CC_HMAC_START);
	tpm_buf_append_u32(buf, primary);
	tpm_buf_append_empty_auth(buf, TPM2_RS_PW);
	tpm_buf_append_u16(buf, 0);		/* the sequence's auth value */
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	rc = send_command(chip, buf);
	if (rc)
		return fail_rc(tpm, "TPM2_HMAC_Start", rc);
	rc = split_response(chip, buf, &sequence, &params);
	if (!rc && !consumed(&params))
		rc = -EBADMSG;
	if (rc) {
		flush(chip, buf, sequence, tpm);
		return fail_rc(tpm, "TPM2_HMAC_Start", rc);
	}

	tpm_buf_reset(buf, TPM2_ST_SESSIONS, TPM2_CC_SEQUENCE_COMPLETE);
	tpm_buf_append_u32(buf, sequence);
	tpm_buf_append_empty_auth(buf, TPM2_RS_PW);
	tpm_buf_append_u16(buf, sizeof(derived_root_input));
	tpm_buf_append(buf, derived_root_input, sizeof(derived_root_input));
	tpm_buf_append_u32(buf, TPM2_RH_NULL);
	rc = send_command(chip, buf);
	if (!rc)
		rc = split_response(chip, buf, NULL, &params);
	if (!rc)
		rc = take_root(&params, true, root);
	if (!rc)
		return 0;
	/* Success removes the sequence, if it was one. */
	flush(chip, buf, sequence, tpm);
	return fail_rc(tpm, "TPM2_SequenceComplete", rc);
}

/*
 * TPM2_HMAC (Part 3, 15.5) with the primary key.
 *
 * Whether the TPM has this command is not left to its answer where a session
 * protects it: an error is not authenticated, and whoever forges one on the bus
 * would have the HMAC sent again, in clear.
 */
static int hmac(struct tpm_chip *chip, struct tpm_buf *buf, u32 primary,
		u8 name[NAME_SIZE], u8 root[DERIVED_ROOT_SIZE],
		struct derived_tpm *tpm)
{
	static const char command[] = "TPM2_HMAC";
	const bool kernel_session = has_kernel_session(chip);
	struct reader params;
	int rc;

	rc = has_command(chip, TPM_CC_HMAC, 1, 0);
	if (rc < 0)
		return fail_rc(tpm, command, rc);
	if (!rc)
		return hmac_sequence(chip, buf, primary, root, tpm);

	tpm->session = kernel_session ? session_kernel : session_password;
	tpm_buf_reset(buf, TPM2_ST_SESSIONS, TPM_CC_HMAC);
	rc = tpm_buf_append_name(chip, buf, primary, name);
	if (rc)
		return fail_rc(tpm, command, rc);
	tpm_buf_append_hmac_session(chip, buf, TPM2_SA_ENCRYPT, NULL, 0);
	tpm_buf_append_u16(buf, sizeof(derived_root_input));
	tpm_buf_append(buf, derived_root_input, sizeof(derived_root_input));
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);

	rc = transmit(chip, buf, NULL, &params);
	if (rc == TPM_RC_COMMAND_CODE && !kernel_session)
		return hmac_sequence(chip, buf, primary, root, tpm);
	if (!rc)
		rc = take_root(&params, false, root);
	return rc ? fail_rc(tpm, command, rc) : 0;
}

/*
 * Asks who the TPM is (TPM2_GetCapability), for the administrator. What it says
 * is only shown.
 *
 * Also the last word of each conversation: the answer, of 83 bytes, overwrites
 * K_root where the TPM's interface keeps its last response (a CRB's does), for
 * which the answer to TPM2_FlushContext is too short.
 */
static void identify_tpm(struct tpm_chip *chip, struct tpm_buf *buf,
			 struct derived_tpm *tpm)
{
	const u32 wanted = TPM_PT_FIRMWARE_VERSION_2 - TPM_PT_MANUFACTURER + 1;
	u32 count, property, value;
	struct reader r;
	int i;

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_CAPABILITY);
	tpm_buf_append_u32(buf, TPM2_CAP_TPM_PROPERTIES);
	tpm_buf_append_u32(buf, TPM_PT_MANUFACTURER);
	tpm_buf_append_u32(buf, wanted);
	if (send_command(chip, buf))
		return;

	r.data = buf->data;
	r.left = buf->length;
	r.bad = false;
	take(&r, TPM_HEADER_SIZE);
	take_u8(&r);				/* moreData */
	if (take_u32(&r) != TPM2_CAP_TPM_PROPERTIES)
		return;
	for (count = min(take_u32(&r), wanted); count && !r.bad; count--) {
		property = take_u32(&r);
		value = take_u32(&r);
		if (property == TPM_PT_MANUFACTURER)
			put_unaligned_be32(value, tpm->vendor);
		else if (property == TPM_PT_FIRMWARE_VERSION_1)
			tpm->firmware[0] = value;
		else if (property == TPM_PT_FIRMWARE_VERSION_2)
			tpm->firmware[1] = value;
	}
	/* Short names end in NUL or a space; nothing odd goes into the log. */
	for (i = 0; i < 4; i++)
		if (tpm->vendor[i] &&
		    (!isascii(tpm->vendor[i]) || !isprint(tpm->vendor[i])))
			tpm->vendor[i] = '?';
	strim(tpm->vendor);
}

/* The whole conversation, under one hold of the TPM. */
static int fetch_from(struct tpm_chip *chip, struct tpm_buf *buf,
		      u8 root[DERIVED_ROOT_SIZE], struct derived_tpm *tpm)
{
	u8 name[NAME_SIZE];
	u32 primary;
	int err;

	if (!(chip->flags & TPM_CHIP_FLAG_TPM2) || tpm_is_firmware_upgrade(chip))
		return fail(tpm, DERIVED_CAUSE_NO_TPM, -ENXIO,
			    "the TPM is not a TPM 2.0 that works");

	err = has_command(chip, TPM2_CC_CREATE_PRIMARY, 1, 1);
	if (err <= 0)
		return fail_rc(tpm, "TPM2_CreatePrimary", -EBADMSG);

	/* With the kernel's sessions configured, one that fails is no excuse. */
	err = tpm2_start_auth_session(chip);
	switch (err) {
	case 0:
		break;
	case -ENOMEM:	/* what tpm_ret_to_err() makes of TPM_RC_SESSION_MEMORY */
		return fail(tpm, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
			    "no memory, or no slot in the TPM, for a session");
	case -ENODEV:
		return fail(tpm, DERIVED_CAUSE_TPM_FAILED, -EIO,
			    "the TPM's null primary key is not the one of this boot: it was reset, or somebody is between");
	default:
		return fail_rc(tpm, "TPM2_StartAuthSession", err);
	}

	err = create_primary(chip, buf, &primary, name, tpm);
	if (!err) {
		err = hmac(chip, buf, primary, name, root, tpm);
		flush(chip, buf, primary, tpm);
	}
	tpm2_end_auth_session(chip);
	if (!err)
		identify_tpm(chip, buf, tpm);
	return err;
}

/**
 * derived_tpm_fetch() - fetch K_root from the TPM
 * @root:	the result; the caller wipes it
 * @tpm:	what there is to say about it, in failure too
 *
 * The chip is looked up each time and not kept: it may come and go. The
 * commands go out under one tpm_try_get_ops(): the kernel's session lives in the
 * chip, and nobody else's commands get between.
 *
 * Context: a worker's. The TPM driver gives up waiting when a signal is pending,
 * whichever, and would leave the primary key in the TPM. Sleeps for as long as
 * the TPM takes.
 * Return: 0; -ENXIO without a TPM 2.0 that works; -EACCES if it refuses; -EAGAIN
 * if it is busy or out of slots; -EIO if it fails or answers nonsense; -ETIME if
 * it does not answer; -ENOMEM
 */
int derived_tpm_fetch(struct derived_root *root, struct derived_tpm *tpm)
{
	u8 raw[DERIVED_ROOT_SIZE];
	struct tpm_chip *chip;
	struct tpm_buf *buf;
	int err;

	memset(tpm, 0, sizeof(*tpm));
	chip = tpm_default_chip();
	if (!chip)
		return fail(tpm, DERIVED_CAUSE_NO_TPM, -ENXIO, "no TPM");

	buf = kzalloc(TPM_BUFSIZE, GFP_KERNEL);
	if (!buf) {
		err = fail(tpm, DERIVED_CAUSE_TPM_FAILED, -ENOMEM, "no memory");
		goto out_put_chip;
	}
	tpm_buf_init(buf, TPM_BUFSIZE);

	tpm->asked = true;
	err = tpm_try_get_ops(chip);
	if (err) {
		err = fail(tpm, DERIVED_CAUSE_NO_TPM, -ENXIO,
			   "the TPM is disabled, suspended or gone (errno %d)",
			   -err);
		goto out_wipe_buf;
	}
	err = fetch_from(chip, buf, raw, tpm);
	tpm_put_ops(chip);
	if (err)
		goto out_wipe_buf;

	hmac_sha256_preparekey(&root->key, raw, sizeof(raw));
	memzero_explicit(raw, sizeof(raw));
	root->check = derived_check_value(&root->key, DERIVED_USE_ROOT_CHECK,
					  NULL, 0);
out_wipe_buf:
	kfree_sensitive(buf);
out_put_chip:
	put_device(&chip->dev);
	return err;
}
