// SPDX-License-Identifier: GPL-2.0
/*
 * Commands that a session authorizes, and their responses: the HMACs of both,
 * and the decryption of a response's secret parameter.
 *
 * The first parameter of a response is encrypted by XOR obfuscation (Part 1,
 * 21.2) and not by AES-128-CFB. Every TPM has both. XOR needs only KDFa, and
 * uses all 256 bits of the session key, where AES uses 128. A kernel without
 * sessions of its own (CONFIG_TCG_TPM2_HMAC) has no CFB in its crypto library.
 * XOR does not protect from changes, nor does CFB: the response's HMAC does.
 */

#include <linux/errno.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/unaligned.h>
#include <crypto/sha2.h>
#include <crypto/utils.h>
#include <asm/byteorder.h>

#include "tpm2_auth.h"
#include "tpm2_kdf.h"

/*
 * Our session's entry in a command's authorization area: handle, nonceCaller,
 * attributes, HMAC. It is the last entry, so the HMAC stands before the
 * parameters.
 */
#define SESSION_SIZE	(4 + 2 + SHA256_DIGEST_SIZE + 1 + 2 + SHA256_DIGEST_SIZE)

/* A password's entry before it: TPM2_RS_PW, no nonce, attributes, authValue. */
#define PASSWORD_SIZE(len)	(4 + 2 + 1 + 2 + (len))

/* Part 1, 19.6: HMAC(sessionKey, hash || newer || older nonce || attributes) */
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

/* Computes a command's HMAC, over cpHash (Part 1, 18.7), into its place. */
static void sign_command(struct derived_session *session, struct tpm_buf *buf)
{
	const __be32 command = cpu_to_be32(session->command);
	u8 cp_hash[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;

	sha256_init(&hash);
	sha256_update(&hash, (const u8 *)&command, sizeof(command));
	sha256_update(&hash, session->name, session->name_len);
	sha256_update(&hash, buf->data + session->params_at,
		      buf->length - session->params_at);
	sha256_final(&hash, cp_hash);

	session_hmac(session, cp_hash, session->nonce_caller,
		     session->nonce_tpm,
		     buf->data + session->params_at - SHA256_DIGEST_SIZE);
}

/* The longest first parameter of a response that is decrypted: a TPMT_PUBLIC. */
#define DECRYPT_MAX	128

/* The authorization area of a response. */
struct auth_response {
	struct tpm2_reader nonce;
	u8 attrs;
	struct tpm2_reader hmac;
};

/*
 * Verifies a response's HMAC, over rpHash (Part 1, 18.8), and keeps its nonce.
 *
 * Returns 0 or -EBADMSG.
 */
static int verify_response(struct derived_session *session,
			   const struct tpm2_reader *params,
			   const struct auth_response *auth)
{
	const __be32 head[] = { 0, cpu_to_be32(session->command) };
	u8 rp_hash[SHA256_DIGEST_SIZE], hmac[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;

	/* The TPM returns the attributes as they were sent. */
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
 * Decrypts the first parameter, a TPM2B, in place (Part 1, 21.2). The caller
 * has checked its length.
 */
static void decrypt(const struct derived_session *session, u8 *params)
{
	const u16 len = get_unaligned_be16(params);
	u8 mask[DECRYPT_MAX];
	u16 i;

	derived_tpm_kdfa(&session->key, "XOR", session->nonce_tpm,
			 sizeof(session->nonce_tpm), session->nonce_caller,
			 sizeof(session->nonce_caller), mask, len);
	for (i = 0; i < len; i++)
		params[2 + i] ^= mask[i];
	memzero_explicit(mask, sizeof(mask));
}

/*
 * Splits a response (Part 1, 18.10) into its handle (if it has one), its
 * parameters (the first one, if there is any, is a TPM2B) and its authorization
 * area. This comes before tpm_buf_check_hmac_response(), which trusts every
 * length in the response, and decrypts as many bytes as the TPM2B says.
 *
 * Returns 0 or -EBADMSG. In both cases *handle is the handle to flush, or 0.
 */
static int split_response(const struct derived_session *session,
			  const struct tpm_buf *buf, u32 *handle,
			  struct tpm2_reader *params, struct auth_response *auth)
{
	const size_t auth_size =
		session->kind == DERIVED_SESSION_PASSWORD ? 0 : SHA256_DIGEST_SIZE;
	struct tpm2_reader r, first;
	u16 tag;

	r = derived_tpm_response(buf, &tag);
	if (handle) {
		u32 h = tpm2_take_u32(&r);

		if (r.bad || tpm2_handle_mso(h) != TPM2_MSO_VOLATILE)
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

	if (session->by_password) {
		/* The password's entry: no nonce, attributes, no HMAC. */
		if (tpm2_take_sized(&r).left)
			return -EBADMSG;
		tpm2_take_u8(&r);
		if (tpm2_take_sized(&r).left)
			return -EBADMSG;
	}
	auth->nonce = tpm2_take_sized(&r);
	auth->attrs = tpm2_take_u8(&r);
	auth->hmac = tpm2_take_sized(&r);
	if (auth->nonce.left != auth_size || auth->hmac.left != auth_size)
		return -EBADMSG;
	return tpm2_consumed(&r) ? 0 : -EBADMSG;
}

/*
 * Begins a command in a session of our own. With @auth, the password @auth
 * authorizes the command, and the session only protects it.
 */
static void begin_own(struct derived_session *session, struct tpm_buf *buf,
		      u32 command, u32 handle, const u8 *name, size_t name_len,
		      const u8 *auth, size_t auth_len, u8 attrs)
{
	session->command = command;
	session->attrs = attrs;
	session->by_password = auth;
	if (name) {
		memcpy(session->name, name, name_len);
		session->name_len = name_len;
	} else {
		put_unaligned_be32(handle, session->name);
		session->name_len = sizeof(handle);
	}
	get_random_bytes(session->nonce_caller, sizeof(session->nonce_caller));

	tpm_buf_append_u32(buf, handle);
	tpm_buf_append_u32(buf, (auth ? PASSWORD_SIZE(auth_len) : 0) + SESSION_SIZE);
	if (auth) {
		tpm_buf_append_u32(buf, TPM2_RS_PW);
		tpm_buf_append_u16(buf, 0);
		tpm_buf_append_u8(buf, 0);
		tpm_buf_append_u16(buf, auth_len);
		tpm_buf_append(buf, auth, auth_len);
	}
	tpm_buf_append_u32(buf, session->handle);
	tpm_buf_append_u16(buf, sizeof(session->nonce_caller));
	tpm_buf_append(buf, session->nonce_caller, sizeof(session->nonce_caller));
	tpm_buf_append_u8(buf, attrs);
	tpm_buf_append_u16(buf, SHA256_DIGEST_SIZE);
	/* The place of the HMAC, which is computed over the parameters, too. */
	tpm_buf_append(buf, session->nonce_caller, SHA256_DIGEST_SIZE);
	session->params_at = buf->length;
}

/**
 * derived_auth_begin() - begin a command that has one handle
 * @session:	the session that authorizes it
 * @buf:	the result: the command up to its parameters, which the caller appends
 * @command:	TPM_CC, the command's code
 * @handle:	handle of the entity that the command uses
 * @name:	name of that entity; NULL for a hierarchy or a PCR, whose name is its
 *		handle
 * @name_len:	bytes of @name; 0 for a sequence object, which has no name
 * @attrs:	DERIVED_SESSION_CONTINUE, if this is not the session's last command;
 *		DERIVED_SESSION_ENCRYPT, if the TPM is to encrypt the first parameter
 *		of the response
 *
 * Part 1, 18.6.
 *
 * Context: under tpm_try_get_ops().
 * Return: 0 or a negative errno of the TPM layer
 */
int derived_auth_begin(struct derived_session *session, struct tpm_buf *buf,
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
	begin_own(session, buf, command, handle, name, name_len, NULL, 0,
		  attrs);
	return 0;
}

/**
 * derived_auth_begin_by_password() - begin a command that a password authorizes
 * @session:	a session of our own. It authorizes nothing: it authenticates
 *		command and response, and encrypts
 * @buf:	as of derived_auth_begin()
 * @command:	as of derived_auth_begin()
 * @handle:	as of derived_auth_begin()
 * @name:	as of derived_auth_begin()
 * @name_len:	as of derived_auth_begin()
 * @auth:	authValue of the entity; an eavesdropper on the bus can read it
 * @auth_len:	bytes of @auth, may be 0
 * @attrs:	as of derived_auth_begin()
 *
 * A policy session cannot authorize the use of an entity without a policy.
 *
 * Context: under tpm_try_get_ops().
 */
void derived_auth_begin_by_password(struct derived_session *session,
				    struct tpm_buf *buf, u32 command,
				    u32 handle, const u8 *name, size_t name_len,
				    const u8 *auth, size_t auth_len, u8 attrs)
{
	tpm_buf_reset(buf, TPM2_ST_SESSIONS, command);
	begin_own(session, buf, command, handle, name, name_len, auth, auth_len,
		  attrs);
}

/**
 * derived_auth_send() - send a command, verify and decrypt its response
 * @session:	the session of derived_auth_begin()
 * @buf:	the command, and then the decrypted response
 * @handle:	the handle to flush, or 0, also after an error; NULL if the response
 *		has no handle
 * @params:	the response's parameters
 *
 * If the response's HMAC is wrong, nothing of it is used except the handle.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code,
 * which is not authenticated
 */
int derived_auth_send(struct derived_session *session, struct tpm_buf *buf,
		      u32 *handle, struct tpm2_reader *params)
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
		/* After a failure, too: it tells the kernel's session to end. */
		if (rc)
			return tpm_buf_check_hmac_response(session->chip, buf, rc);
		return tpm_buf_check_hmac_response(session->chip, buf, 0) ?
			-EBADMSG : 0;
	case DERIVED_SESSION_OWN:
		break;
	}
	if (!rc)
		rc = verify_response(session, params, &auth);
	if (rc)
		return rc;

	/* The HMAC is right, so the TPM has ended the session. */
	if (!(session->attrs & DERIVED_SESSION_CONTINUE))
		session->handle = 0;
	if (session->attrs & DERIVED_SESSION_ENCRYPT) {
		if (get_unaligned_be16(params->data) > DECRYPT_MAX)
			return -EBADMSG;
		decrypt(session, (u8 *)params->data);
	}
	return 0;
}
