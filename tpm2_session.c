// SPDX-License-Identifier: GPL-2.0
/*
 * A session with the TPM: who may know what it answers.
 *
 * Stock kernels of Debian, Ubuntu and RHEL come without CONFIG_TCG_TPM2_HMAC,
 * and the TPM layer's helpers then send everything in clear. So this has a
 * session of its own: an HMAC session, salted by ECDH with a primary key that the
 * TPM makes of its null seed (a new one at each TPM reset), as the TPM layer's
 * is. Who listens on the bus does not know the salt, hence not the session key.
 * A session without a salt protects nothing at all: authValue is empty, so the
 * key could be computed from what crosses the bus.
 *
 * An attacker who alters the traffic can put a key of his own in the null
 * primary's place, and nothing in here can tell. Its name goes to the log, for an
 * administrator to have it certified by the TPM's endorsement key. And he can
 * forge errors, which nothing authenticates: "no such session", for one. So by
 * default (require_encryption) such an error ends the fetch, and leads to nothing
 * that he could read.
 *
 * The first parameter of a response is encrypted by XOR obfuscation (Part 1,
 * 21.2) and not by AES-128-CFB. Every TPM has both. XOR needs nothing but KDFa;
 * it uses all 256 bits of the session key and AES 128; and CFB is in the crypto
 * library of no kernel that is without the TPM layer's sessions. Like CFB, it
 * protects nothing from being changed: the response's HMAC does.
 */

#include <linux/errno.h>
#include <linux/kconfig.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/unaligned.h>
#include <crypto/ecdh.h>
#include <crypto/internal/ecc.h>
#include <crypto/sha2.h>
#include <crypto/utils.h>
#include <asm/byteorder.h>

#include "tpm2_kdf.h"
#include "tpm2_session.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_ALG_XOR		0x000A
#define TPM_SE_HMAC		0x00
#define TPM_PT_HR_TRANSIENT_AVAIL 0x00000207
#define TPM_RC_FMT1		0x080

bool derived_require_encryption = true;
module_param_named(require_encryption, derived_require_encryption, bool, 0444);
MODULE_PARM_DESC(require_encryption, "fetch no root secret that would cross the TPM's bus unencrypted (default); 0: an attacker on the bus can have it sent in clear");

static const char * const kind_words[] = {
	[DERIVED_SESSION_PASSWORD] =
		"password, the TPM's answer crosses its bus unencrypted",
	[DERIVED_SESSION_OWN] =
		"own, the TPM's answer is encrypted on its bus",
	[DERIVED_SESSION_KERNEL] =
		"the kernel's, the TPM's answer is encrypted on its bus",
};

/*
 * A command's authorization area: its size, the session's handle, nonceCaller,
 * attributes, HMAC. All commands that are sent here have one handle and one
 * session, so it is always in the same place.
 */
#define AUTH_SIZE	(4 + 2 + SHA256_DIGEST_SIZE + 1 + 2 + SHA256_DIGEST_SIZE)
#define AUTH_OFFSET	(TPM_HEADER_SIZE + 4)
#define PARAMS_OFFSET	(AUTH_OFFSET + 4 + AUTH_SIZE)
#define HMAC_OFFSET	(PARAMS_OFFSET - SHA256_DIGEST_SIZE)

/* HMAC(sessionKey, hash || nonceNewer || nonceOlder || attributes): Part 1, 19.6 */
static void session_hmac(const struct derived_session *session,
			 const u8 hash[SHA256_DIGEST_SIZE],
			 const u8 newer[SHA256_DIGEST_SIZE],
			 const u8 older[SHA256_DIGEST_SIZE],
			 u8 out[SHA256_DIGEST_SIZE])
{
	struct hmac_sha256_ctx hmac;

	hmac_sha256_init(&hmac, &session->key);
	hmac_sha256_update(&hmac, hash, SHA256_DIGEST_SIZE);
	hmac_sha256_update(&hmac, newer, SHA256_DIGEST_SIZE);
	hmac_sha256_update(&hmac, older, SHA256_DIGEST_SIZE);
	hmac_sha256_update(&hmac, &session->attrs, sizeof(session->attrs));
	hmac_sha256_final(&hmac, out);
}

/* Puts a command's HMAC into its place, over cpHash (Part 1, 16.7). */
static void sign_command(struct derived_session *session, struct tpm_buf *buf)
{
	const __be32 command = cpu_to_be32(session->command);
	u8 cp_hash[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;

	sha256_init(&hash);
	sha256_update(&hash, (const u8 *)&command, sizeof(command));
	sha256_update(&hash, session->name, session->name_len);
	sha256_update(&hash, buf->data + PARAMS_OFFSET,
		      buf->length - PARAMS_OFFSET);
	sha256_final(&hash, cp_hash);

	session_hmac(session, cp_hash, session->nonce_caller,
		     session->nonce_tpm, buf->data + HMAC_OFFSET);
}

/* What a response has besides its parameters. */
struct auth_response {
	struct tpm2_reader nonce;
	u8 attrs;
	struct tpm2_reader hmac;
};

/*
 * Checks a response's HMAC, over rpHash (Part 1, 16.8), and takes its nonce.
 *
 * Returns 0 or -EBADMSG.
 */
static int check_response(struct derived_session *session,
			  const struct tpm2_reader *params,
			  const struct auth_response *auth)
{
	const __be32 head[] = { 0, cpu_to_be32(session->command) };
	u8 rp_hash[SHA256_DIGEST_SIZE], hmac[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;

	/* The attributes come back as they were sent. */
	if (auth->attrs != session->attrs)
		return -EBADMSG;

	sha256_init(&hash);
	sha256_update(&hash, (const u8 *)head, sizeof(head));
	sha256_update(&hash, params->data, params->left);
	sha256_final(&hash, rp_hash);

	memcpy(session->nonce_tpm, auth->nonce.data, sizeof(session->nonce_tpm));
	session_hmac(session, rp_hash, session->nonce_tpm,
		     session->nonce_caller, hmac);
	return crypto_memneq(hmac, auth->hmac.data, sizeof(hmac)) ? -EBADMSG : 0;
}

/*
 * Decrypts the first parameter, a TPM2B, in place (Part 1, 21.2). It has been
 * found to be as long as it says.
 */
static void decrypt(const struct derived_session *session, u8 *params)
{
	const u16 len = get_unaligned_be16(params);
	u8 mask[SHA256_DIGEST_SIZE];
	u16 i;

	derived_tpm_kdfa(&session->key, "XOR", session->nonce_tpm,
			 sizeof(session->nonce_tpm), session->nonce_caller,
			 sizeof(session->nonce_caller), mask, len);
	for (i = 0; i < len; i++)
		params[2 + i] ^= mask[i];
	memzero_explicit(mask, sizeof(mask));
}

/*
 * Splits a response (Part 1, 18.10) into its handle, if it has one, its
 * parameters, the first of which is a TPM2B if there is any, and what is of the
 * session. This goes before tpm_buf_check_hmac_response(), which believes every
 * length that it finds, and decrypts as much as the TPM2B says.
 *
 * Returns 0 or -EBADMSG. Either way *handle is what to flush, or 0.
 */
static int split_response(const struct derived_session *session,
			  const struct tpm_buf *buf, u32 *handle,
			  struct tpm2_reader *params, struct auth_response *auth)
{
	const size_t auth_size =
		session->kind == DERIVED_SESSION_PASSWORD ? 0 : SHA256_DIGEST_SIZE;
	struct tpm2_reader r = { .data = buf->data, .left = buf->length };
	const size_t size = r.left;
	u16 tag = tpm2_take_u16(&r);
	struct tpm2_reader first;

	if (tpm2_take_u32(&r) != size || tpm2_take_u32(&r) != TPM2_RC_SUCCESS)
		return -EBADMSG;
	if (handle) {
		u32 h = tpm2_take_u32(&r);

		if (tpm2_handle_mso(h) != TPM2_MSO_VOLATILE)
			return -EBADMSG;
		*handle = h;
	}
	if (tag != TPM2_ST_SESSIONS)
		return -EBADMSG;

	params->left = tpm2_take_u32(&r);
	params->data = tpm2_take(&r, params->left);
	params->bad = r.bad;
	first = *params;
	if (first.left && tpm2_take_sized(&first).bad)
		return -EBADMSG;

	auth->nonce = tpm2_take_sized(&r);
	auth->attrs = tpm2_take_u8(&r);
	auth->hmac = tpm2_take_sized(&r);
	if (auth->nonce.left != auth_size || auth->hmac.left != auth_size)
		return -EBADMSG;
	return tpm2_consumed(&r) ? 0 : -EBADMSG;
}

/**
 * derived_session_begin() - begin a command that has one handle
 * @session:	what to authorize it with
 * @buf:	where the command goes; the caller appends the parameters
 * @command:	its code
 * @handle:	of the entity that it is for
 * @name:	of that entity; NULL if it is a hierarchy, whose name is the handle
 * @name_len:	bytes of @name; 0 for a sequence object, which has no name
 * @attrs:	DERIVED_SESSION_CONTINUE, if this is not the last command;
 *		DERIVED_SESSION_ENCRYPT, to have the first parameter of the
 *		response encrypted
 *
 * Context: under tpm_try_get_ops().
 * Return: 0 or a negative errno, of the TPM layer
 */
int derived_session_begin(struct derived_session *session, struct tpm_buf *buf,
			  u32 command, u32 handle, const u8 *name,
			  size_t name_len, u8 attrs)
{
	int err;

	tpm_buf_reset(buf, TPM2_ST_SESSIONS, command);
	switch (session->kind) {
	case DERIVED_SESSION_PASSWORD:
		tpm_buf_append_u32(buf, handle);
		tpm_buf_append_empty_auth(buf, TPM2_RS_PW);
		return 0;
	case DERIVED_SESSION_KERNEL:
		err = tpm_buf_append_name(session->chip, buf, handle, (u8 *)name);
		if (!err)
			tpm_buf_append_hmac_session(session->chip, buf, attrs,
						    NULL, 0);
		return err;
	case DERIVED_SESSION_OWN:
		break;
	}

	session->command = command;
	session->attrs = attrs;
	if (name) {
		memcpy(session->name, name, name_len);
		session->name_len = name_len;
	} else {
		put_unaligned_be32(handle, session->name);
		session->name_len = sizeof(handle);
	}
	get_random_bytes(session->nonce_caller, sizeof(session->nonce_caller));

	tpm_buf_append_u32(buf, handle);
	tpm_buf_append_u32(buf, AUTH_SIZE);
	tpm_buf_append_u32(buf, session->handle);
	tpm_buf_append_u16(buf, sizeof(session->nonce_caller));
	tpm_buf_append(buf, session->nonce_caller, sizeof(session->nonce_caller));
	tpm_buf_append_u8(buf, attrs);
	tpm_buf_append_u16(buf, SHA256_DIGEST_SIZE);
	/* The HMAC's place: it is computed when the parameters are known. */
	tpm_buf_append(buf, session->nonce_caller, SHA256_DIGEST_SIZE);
	return 0;
}

/**
 * derived_session_transmit() - send the command that was begun
 * @session:	what it was begun with
 * @buf:	the command, and then the response, decrypted
 * @handle:	what to flush, or 0, in any case; NULL if the response has none
 * @params:	the response's parameters
 *
 * Nothing of a response is used whose HMAC is not right, but for the handle.
 *
 * Context: under tpm_try_get_ops(); sleeps for as long as the TPM takes.
 * Return: 0; a negative errno, -EBADMSG being nonsense; or a TPM return code,
 * which nothing authenticates
 */
int derived_session_transmit(struct derived_session *session,
			     struct tpm_buf *buf, u32 *handle,
			     struct tpm2_reader *params)
{
	struct auth_response auth;
	int rc = 0;

	if (handle)
		*handle = 0;

	if (session->kind == DERIVED_SESSION_KERNEL)
		rc = tpm_buf_fill_hmac_session(session->chip, buf);
	else if (session->kind == DERIVED_SESSION_OWN)
		sign_command(session, buf);
	if (rc)
		return rc;

	rc = derived_tpm_send(session->chip, buf);
	if (!rc)
		rc = split_response(session, buf, handle, params, &auth);

	switch (session->kind) {
	case DERIVED_SESSION_PASSWORD:
		return rc;
	case DERIVED_SESSION_KERNEL:
		/* After a failure, too: the session must know that it is over. */
		if (rc)
			return tpm_buf_check_hmac_response(session->chip, buf, rc);
		return tpm_buf_check_hmac_response(session->chip, buf, 0) ?
			-EBADMSG : 0;
	case DERIVED_SESSION_OWN:
		break;
	}
	if (!rc)
		rc = check_response(session, params, &auth);
	if (rc)
		return rc;

	/* Now it is the TPM that has ended the session. */
	if (!(session->attrs & DERIVED_SESSION_CONTINUE))
		session->handle = 0;
	if (session->attrs & DERIVED_SESSION_ENCRYPT) {
		/* No longer a digest than a mask is: nothing else is encrypted. */
		if (get_unaligned_be16(params->data) > SHA256_DIGEST_SIZE)
			return -EBADMSG;
		decrypt(session, (u8 *)params->data);
	}
	return 0;
}

/*
 * A session of our own.
 */

#define P256_SIZE	(ECC_CURVE_NIST_P256_DIGITS * sizeof(u64))

/*
 * The null primary key: the TCG's template H for ECC storage keys (TPM v2.0
 * Provisioning Guidance, 7.5.1), the one that the TPM layer uses. Who wants to
 * certify its name has to make the same.
 */
static const u8 null_public[] = {
	0x00, 0x23,		/* type: TPM_ALG_ECC */
	0x00, 0x0b,		/* nameAlg: TPM_ALG_SHA256 */
	0x00, 0x03, 0x04, 0x72,	/* objectAttributes: fixedTPM, fixedParent,
				 * sensitiveDataOrigin, userWithAuth, noDA,
				 * restricted, decrypt
				 */
	0x00, 0x00,		/* authPolicy: empty */
	0x00, 0x06, 0x00, 0x80, 0x00, 0x43, /* symmetric: AES, 128, CFB */
	0x00, 0x10,		/* scheme: TPM_ALG_NULL */
	0x00, 0x03,		/* curveID: TPM_ECC_NIST_P256 */
	0x00, 0x10,		/* kdf: TPM_ALG_NULL */
	0x00, 0x00, 0x00, 0x00,	/* unique: the TPM's own */
};

#define NULL_PUBLIC_FIXED	(sizeof(null_public) - 4)

/* A point of P-256, as the TPM and the crypto library have it: big-endian. */
struct p256_point {
	u64 x[ECC_CURVE_NIST_P256_DIGITS];
	u64 y[ECC_CURVE_NIST_P256_DIGITS];
};

/*
 * Takes the null primary's point out of its public area, all the rest of which
 * is to be what was asked for. That it is on the curve, ECDH checks.
 *
 * Returns 0 or -EBADMSG.
 */
static int take_point(const struct derived_primary *primary,
		      struct p256_point *point)
{
	struct tpm2_reader r = {
		.data = primary->public, .left = primary->public_len
	};
	const u8 *fixed = tpm2_take(&r, NULL_PUBLIC_FIXED);
	struct tpm2_reader x, y;

	if (!fixed || memcmp(fixed, null_public, NULL_PUBLIC_FIXED))
		return -EBADMSG;
	x = tpm2_take_sized(&r);
	y = tpm2_take_sized(&r);
	if (!tpm2_consumed(&r) || x.left != P256_SIZE || y.left != P256_SIZE)
		return -EBADMSG;
	memcpy(point->x, x.data, P256_SIZE);
	memcpy(point->y, y.data, P256_SIZE);
	return 0;
}

/*
 * Makes a salt that only who has the null primary's private key can make of
 * @ephemeral, too (Part 1, C.6.1). The salt is secret.
 *
 * By the functions that are behind the crypto API's "ecdh-nist-p256", and not
 * through it, where the secrets would pass through buffers that nobody wipes.
 */
static int make_salt(const struct p256_point *null_point,
		     struct p256_point *ephemeral, u8 salt[SHA256_DIGEST_SIZE])
{
	u64 private[ECC_CURVE_NIST_P256_DIGITS];
	u64 z[ECC_CURVE_NIST_P256_DIGITS];
	int err;

	/*
	 * FIPS 186-5, A.2.2: one in four billion numbers is too large. Not by
	 * ecc_gen_privkey(): its generator may ask for modules to be loaded. Where
	 * IMA measures programs, modprobe would wait for the TPM, and we, who have
	 * it, for modprobe.
	 */
	do {
		get_random_bytes(private, sizeof(private));
	} while (ecc_is_key_valid(ECC_CURVE_NIST_P256,
				  ECC_CURVE_NIST_P256_DIGITS, private,
				  sizeof(private)));

	err = ecc_make_pub_key(ECC_CURVE_NIST_P256, ECC_CURVE_NIST_P256_DIGITS,
			       private, (u64 *)ephemeral);
	/* So far the TPM had no part in it: there is no memory. */
	if (err)
		err = -ENOMEM;
	else
		err = crypto_ecdh_shared_secret(ECC_CURVE_NIST_P256,
						ECC_CURVE_NIST_P256_DIGITS,
						private, (const u64 *)null_point,
						z);
	if (!err)
		derived_tpm_kdfe((const u8 *)z, P256_SIZE, "SECRET",
				 (const u8 *)ephemeral->x, P256_SIZE,
				 (const u8 *)null_point->x, P256_SIZE,
				 salt, SHA256_DIGEST_SIZE);
	memzero_explicit(private, sizeof(private));
	memzero_explicit(z, sizeof(z));
	return err;
}

/*
 * TPM2_StartAuthSession (Part 3, 11.1), salted with @ephemeral, and the session
 * key (Part 1, 19.6.8).
 *
 * Returns 0, a negative errno, -EBADMSG being nonsense, or a TPM return code.
 */
static int start_auth_session(struct derived_session *session,
			      struct tpm_buf *buf, u32 null_handle,
			      const struct p256_point *ephemeral,
			      const u8 salt[SHA256_DIGEST_SIZE])
{
	struct hmac_sha256_key salt_key;
	u8 key[SHA256_DIGEST_SIZE];
	struct tpm2_reader r, nonce;
	u32 handle;
	u16 tag;
	int rc;

	get_random_bytes(session->nonce_caller, sizeof(session->nonce_caller));

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_START_AUTH_SESS);
	tpm_buf_append_u32(buf, null_handle);	/* tpmKey */
	tpm_buf_append_u32(buf, TPM2_RH_NULL);	/* bind: to nothing */
	tpm_buf_append_u16(buf, sizeof(session->nonce_caller));
	tpm_buf_append(buf, session->nonce_caller, sizeof(session->nonce_caller));
	tpm_buf_append_u16(buf, 2 * (2 + P256_SIZE));	/* encryptedSalt */
	tpm_buf_append_u16(buf, P256_SIZE);
	tpm_buf_append(buf, (const u8 *)ephemeral->x, P256_SIZE);
	tpm_buf_append_u16(buf, P256_SIZE);
	tpm_buf_append(buf, (const u8 *)ephemeral->y, P256_SIZE);
	tpm_buf_append_u8(buf, TPM_SE_HMAC);
	tpm_buf_append_u16(buf, TPM_ALG_XOR);	/* symmetric */
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);	/* authHash */

	rc = derived_tpm_send(session->chip, buf);
	if (rc)
		return rc;

	r.data = buf->data;
	r.left = buf->length;
	r.bad = false;
	tag = tpm2_take_u16(&r);
	tpm2_take(&r, TPM_HEADER_SIZE - sizeof(tag));
	handle = tpm2_take_u32(&r);
	/* The TPM may have started one, whatever else it says. */
	if (handle >> 24 == TPM_HT_HMAC_SESSION)
		session->handle = handle;
	nonce = tpm2_take_sized(&r);
	if (tag != TPM2_ST_NO_SESSIONS || !session->handle || !tpm2_consumed(&r) ||
	    nonce.left != sizeof(session->nonce_tpm))
		return -EBADMSG;
	memcpy(session->nonce_tpm, nonce.data, sizeof(session->nonce_tpm));

	hmac_sha256_preparekey(&salt_key, salt, SHA256_DIGEST_SIZE);
	derived_tpm_kdfa(&salt_key, "ATH", session->nonce_tpm,
			 sizeof(session->nonce_tpm), session->nonce_caller,
			 sizeof(session->nonce_caller), key, sizeof(key));
	hmac_sha256_preparekey(&session->key, key, sizeof(key));
	memzero_explicit(&salt_key, sizeof(salt_key));
	memzero_explicit(key, sizeof(key));
	return 0;
}

/*
 * Whether an error says that the TPM cannot do this: that it has no such command,
 * or does not like a parameter ("format one", Part 2, 6.6.2). The error may be
 * forged, so only require_encryption=0 lets it lead to a fetch in clear. An error
 * that will pass (busy, failed) never does: another try is better than that.
 */
static bool is_unsupported(int rc)
{
	return rc == TPM_RC_COMMAND_CODE ||
	       (rc > 0 && rc <= TPM_RC_MAX && (rc & TPM_RC_FMT1));
}

/*
 * Starts a session of our own.
 *
 * Returns 0; 1 if the TPM cannot, and @tpm->unencrypted says why; or a negative
 * errno.
 */
static int start_own(struct derived_session *session, struct tpm_buf *buf,
		     struct derived_tpm *tpm)
{
	struct p256_point null_point, ephemeral;
	struct derived_primary primary;
	const char *command = "TPM2_CreatePrimary (null)";
	u8 salt[SHA256_DIGEST_SIZE];
	int rc;

	/* In the null hierarchy, by password: nobody can know this key yet. */
	rc = derived_primary_create(session, buf, TPM2_RH_NULL, null_public,
				    sizeof(null_public), &primary, tpm);
	if (!rc)
		rc = take_point(&primary, &null_point);
	if (!rc) {
		rc = make_salt(&null_point, &ephemeral, salt);
		if (rc == -EINVAL)	/* the TPM's point is not on the curve */
			rc = -EBADMSG;
	}
	if (!rc) {
		command = "TPM2_StartAuthSession";
		rc = start_auth_session(session, buf, primary.handle, &ephemeral,
					salt);
		memzero_explicit(salt, sizeof(salt));
	}
	derived_tpm_flush(session->chip, buf, primary.handle, tpm);
	if (!rc) {
		session->kind = DERIVED_SESSION_OWN;
		memcpy(tpm->null_name, primary.name, sizeof(tpm->null_name));
		return 0;
	}

	derived_tpm_flush(session->chip, buf, session->handle, tpm);
	session->handle = 0;
	if (!is_unsupported(rc))
		return derived_tpm_fail_rc(tpm, command, rc);
	snprintf(tpm->unencrypted, sizeof(tpm->unencrypted),
		 "the TPM, or an attacker on its bus, refused it (%s: TPM_RC 0x%03x)",
		 command, rc);
	return 1;
}

/*
 * Whether the TPM has a slot for one more object, or does not say. The TPM layer
 * does not ask: it takes a full TPM for one that was tampered with, and disables
 * it, for everybody, until the next boot. Whoever can open the TPM can fill it.
 */
static bool has_slot(struct tpm_chip *chip, struct tpm_buf *buf)
{
	struct tpm2_reader r;

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_CAPABILITY);
	tpm_buf_append_u32(buf, TPM2_CAP_TPM_PROPERTIES);
	tpm_buf_append_u32(buf, TPM_PT_HR_TRANSIENT_AVAIL);
	tpm_buf_append_u32(buf, 1);
	if (derived_tpm_send(chip, buf))
		return true;

	r.data = buf->data;
	r.left = buf->length;
	r.bad = false;
	tpm2_take(&r, TPM_HEADER_SIZE);
	tpm2_take_u8(&r);			/* moreData */
	if (tpm2_take_u32(&r) != TPM2_CAP_TPM_PROPERTIES ||
	    tpm2_take_u32(&r) != 1 ||
	    tpm2_take_u32(&r) != TPM_PT_HR_TRANSIENT_AVAIL)
		return true;
	return tpm2_take_u32(&r) || !tpm2_consumed(&r);
}

/* With the kernel's sessions configured, one that fails is no excuse. */
static int start_kernel(struct derived_session *session, struct tpm_buf *buf,
			struct derived_tpm *tpm)
{
	int err;

	if (!IS_ENABLED(CONFIG_TCG_TPM2_HMAC))
		return 0;
	if (!has_slot(session->chip, buf))
		return derived_tpm_fail(tpm, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
					"the TPM is busy or full (no slot for the session's key)");

	err = tpm2_start_auth_session(session->chip);
	switch (err) {
	case 0:
		if (tpm2_chip_auth(session->chip))
			session->kind = DERIVED_SESSION_KERNEL;
		return 0;
	case -ENOMEM:	/* what tpm_ret_to_err() makes of TPM_RC_SESSION_MEMORY */
		return derived_tpm_fail(tpm, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
					"no memory, or no slot in the TPM, for a session");
	case -ENODEV:
		return derived_tpm_fail(tpm, DERIVED_CAUSE_TPM_FAILED, -EIO,
					"the kernel has disabled the TPM: its null primary key is not the one of this boot, or cannot be loaded");
	default:
		return derived_tpm_fail_rc(tpm, "TPM2_StartAuthSession", err);
	}
}

/**
 * derived_session_start() - start the best session that there is
 * @session:	the session; derived_session_end() it in any case
 * @chip:	the TPM
 * @buf:	to send commands with
 * @kernel_can:	whether the TPM layer's sessions can express what will be sent
 * @tpm:	what there is to say about it: .session, .null_name, and if nothing
 *		is encrypted, .unencrypted
 *
 * The TPM layer's, if the kernel has them; else one of our own; else none, but
 * only with require_encryption=0: an attacker who alters the traffic can make it
 * none. By default he only makes the fetch fail, and no command that is about the
 * root secret has been sent then.
 *
 * Context: under tpm_try_get_ops(); sleeps for as long as the TPM takes.
 * Return: 0; -EOPNOTSUPP if it would be none and may not; -EAGAIN, -EIO, -EACCES,
 * -ENXIO or -ETIME if the TPM fails; -ENOMEM
 */
int derived_session_start(struct derived_session *session,
			  struct tpm_chip *chip, struct tpm_buf *buf,
			  bool kernel_can, struct derived_tpm *tpm)
{
	int err = 0;

	memset(session, 0, sizeof(*session));
	session->chip = chip;
	session->kind = DERIVED_SESSION_PASSWORD;

	if (kernel_can)
		err = start_kernel(session, buf, tpm);
	if (!err && session->kind == DERIVED_SESSION_PASSWORD) {
		if (IS_REACHABLE(CONFIG_CRYPTO_ECC))
			err = start_own(session, buf, tpm);
		else
			strscpy(tpm->unencrypted,
				"this kernel has no ECDH (CONFIG_CRYPTO_ECC)");
	}
	if (err < 0)
		return err;

	tpm->session = kind_words[session->kind];
	if (session->kind == DERIVED_SESSION_PASSWORD && derived_require_encryption)
		return derived_tpm_fail(tpm, DERIVED_CAUSE_SESSION, -EOPNOTSUPP,
					"no encrypted session: %s. Without one the root secret, and so every key, could be read on the TPM's bus. To allow that: \"options derived-keys require_encryption=0\" in /etc/modprobe.d/derived-keys.conf",
					tpm->unencrypted);
	return 0;
}

/**
 * derived_session_end() - end a session
 * @session:	started, with success or not
 * @buf:	to send commands with
 * @tpm:	where to note that it could not be removed from the TPM
 *
 * Context: under tpm_try_get_ops(); sleeps for as long as the TPM takes.
 */
void derived_session_end(struct derived_session *session, struct tpm_buf *buf,
			 struct derived_tpm *tpm)
{
	if (session->kind == DERIVED_SESSION_KERNEL)
		tpm2_end_auth_session(session->chip);
	derived_tpm_flush(session->chip, buf, session->handle, tpm);
	memzero_explicit(session, sizeof(*session));
}
