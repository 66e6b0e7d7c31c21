// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions with the TPM: to choose, start and end one. A session keeps the root
 * secret from an eavesdropper on the TPM's bus.
 *
 * Stock kernels of Debian, Ubuntu and RHEL come without CONFIG_TCG_TPM2_HMAC,
 * and the TPM layer's helpers then send everything in clear. So this file has a
 * session of our own: an HMAC session that is salted by ECDH with the null
 * primary key, like the kernel's session. The TPM makes the null primary key
 * out of its null seed, which is new after each TPM reset. An eavesdropper does
 * not know the salt, and so not the session key. A session without a salt would
 * protect nothing: authValue is empty, so the session key could be computed
 * from the traffic on the bus.
 *
 * An attacker who alters the traffic can put a key of its own in the place of
 * the null primary key, and this file cannot notice. So the log has the key's
 * name, and the administrator can have it certified by the TPM's endorsement
 * key. The attacker can also forge errors, because no error is authenticated:
 * "no such session", for example. So by default (require_encryption) such an
 * error ends the fetch, before anything secret crosses the bus.
 */

#include <linux/errno.h>
#include <linux/kconfig.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <crypto/ecdh.h>
#include <crypto/internal/ecc.h>
#include <crypto/sha2.h>

#include "tpm2_kdf.h"
#include "tpm2_primary.h"
#include "tpm2_session.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_ALG_XOR		0x000A
#define TPM_SE_HMAC		0x00
#define TPM_SE_POLICY		0x01
#define TPM_PT_HR_TRANSIENT_AVAIL 0x00000207
#define TPM_RC_FMT1		0x080

bool derived_require_encryption = true;
module_param_named(require_encryption, derived_require_encryption, bool, 0444);
MODULE_PARM_DESC(require_encryption, "fetch no root secret that would cross the TPM's bus unencrypted (default); 0: an attacker on the bus can have it sent in clear");

static const char * const kind_descriptions[] = {
	[DERIVED_SESSION_PASSWORD] =
		"password, the TPM's answer crosses its bus unencrypted",
	[DERIVED_SESSION_OWN] =
		"own, the TPM's answer is encrypted on its bus",
	[DERIVED_SESSION_KERNEL] =
		"the kernel's, the TPM's answer is encrypted on its bus",
};

/*
 * Our own session.
 */

#define P256_SIZE	(ECC_CURVE_NIST_P256_DIGITS * sizeof(u64))

/*
 * The null primary key: the TCG's template H for ECC storage keys (TPM v2.0
 * Provisioning Guidance, 7.5.1). The TPM layer uses the same template. To
 * certify the key's name, an administrator makes the same key.
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
 * Takes the point of the null primary key out of its public area. The rest of
 * that area must equal the template. ECDH checks that the point is on the
 * curve.
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
 * Makes the salt, which is secret, and @ephemeral, which is public. Out of
 * @ephemeral, only the private null primary key can compute the salt (Part 1,
 * C.6.1).
 *
 * It calls the functions below the crypto API's "ecdh-nist-p256" directly.
 * Through the crypto API, the secrets would pass through buffers that are never
 * wiped.
 *
 * Returns 0 or a negative errno. -EINVAL means that @null_point is not on the
 * curve.
 */
static int make_salt(const struct p256_point *null_point,
		     struct p256_point *ephemeral, u8 salt[SHA256_DIGEST_SIZE])
{
	u64 private[ECC_CURVE_NIST_P256_DIGITS];
	u64 z[ECC_CURVE_NIST_P256_DIGITS];
	int err;

	/*
	 * FIPS 186-5, A.2.2: one in four billion numbers is too large. Not by
	 * ecc_gen_privkey(): its generator may have modules loaded. If IMA
	 * measures programs, modprobe would wait for the TPM, and we would hold
	 * the TPM and wait for modprobe.
	 */
	do {
		get_random_bytes(private, sizeof(private));
	} while (ecc_is_key_valid(ECC_CURVE_NIST_P256,
				  ECC_CURVE_NIST_P256_DIGITS, private,
				  sizeof(private)));

	err = ecc_make_pub_key(ECC_CURVE_NIST_P256, ECC_CURVE_NIST_P256_DIGITS,
			       private, (u64 *)ephemeral);
	/* The TPM has no part in this, so it can only be a lack of memory. */
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
 * Starts an HMAC or policy session (TPM2_StartAuthSession: Part 3, 11.1),
 * salted with @ephemeral, and computes the session key (Part 1, 19.6.8).
 *
 * Returns 0; a negative errno, -EBADMSG for nonsense; or a TPM return code.
 */
static int start_auth_session(struct derived_session *session,
			      struct tpm_buf *buf, u8 type, u32 null_handle,
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
	tpm_buf_append_u8(buf, type);
	tpm_buf_append_u16(buf, TPM_ALG_XOR);	/* symmetric */
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);	/* authHash */

	rc = derived_tpm_send(session->chip, buf);
	if (rc)
		return rc;

	r = derived_tpm_response(buf, &tag);
	handle = tpm2_take_u32(&r);
	/* The TPM may have started a session even if the rest is nonsense. */
	if (handle >> 24 == (type == TPM_SE_POLICY ? TPM_HT_POLICY_SESSION :
						     TPM_HT_HMAC_SESSION))
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
 * Whether an error means that the TPM cannot do this: it has no such command,
 * or rejects a parameter ("format one", Part 2, 6.6.2). An attacker on the bus
 * may have forged it, so a fetch in clear follows only with
 * require_encryption=0. After a temporary error (busy, failed) it never
 * follows: the next request tries again.
 */
static bool is_unsupported(int rc)
{
	return rc == TPM_RC_COMMAND_CODE ||
	       (rc > 0 && rc <= TPM_RC_MAX && (rc & TPM_RC_FMT1));
}

/*
 * Starts a session of our own, of @type TPM_SE_HMAC or TPM_SE_POLICY.
 *
 * Returns 0; 1 if the TPM cannot, and then @report->unencrypted says why; or a
 * negative errno.
 */
static int start_own(struct derived_session *session, struct tpm_buf *buf,
		     u8 type, struct tpm2_report *report)
{
	struct p256_point null_point, ephemeral;
	struct derived_primary primary;
	const char *command = "TPM2_CreatePrimary (null)";
	u8 salt[SHA256_DIGEST_SIZE];
	int rc;

	/* By password: there is no session yet. An eavesdropper learns no secret. */
	rc = derived_primary_create(session, buf, TPM2_RH_NULL, null_public,
				    sizeof(null_public), &primary);
	if (!rc)
		rc = take_point(&primary, &null_point);
	if (!rc) {
		rc = make_salt(&null_point, &ephemeral, salt);
		if (rc == -EINVAL)	/* the TPM's point is not on the curve */
			rc = -EBADMSG;
	}
	if (!rc) {
		command = "TPM2_StartAuthSession";
		rc = start_auth_session(session, buf, type, primary.handle,
					&ephemeral, salt);
		memzero_explicit(salt, sizeof(salt));
	}
	derived_tpm_flush(session->chip, buf, primary.handle, report);
	if (!rc) {
		session->kind = DERIVED_SESSION_OWN;
		session->is_policy = type == TPM_SE_POLICY;
		memcpy(report->null_name, primary.name, sizeof(report->null_name));
		return 0;
	}

	derived_tpm_flush(session->chip, buf, session->handle, report);
	session->handle = 0;
	if (!is_unsupported(rc))
		return derived_tpm_fail_rc(report, command, rc);
	snprintf(report->unencrypted, sizeof(report->unencrypted),
		 "the TPM, or an attacker on its bus, refused it (%s: TPM_RC 0x%03x)",
		 command, rc);
	return 1;
}

/*
 * Whether the TPM has a slot for one more object. If the TPM does not say, the
 * answer is yes. The TPM layer does not ask. It treats a full TPM like one that
 * was tampered with, and disables it for the whole system until the next boot.
 * Any program that may open the TPM can fill it.
 */
static bool has_slot(struct tpm_chip *chip, struct tpm_buf *buf)
{
	struct tpm2_reader r;

	if (derived_tpm_get_capability(chip, buf, TPM2_CAP_TPM_PROPERTIES,
				       TPM_PT_HR_TRANSIENT_AVAIL, 1, &r))
		return true;
	if (tpm2_take_u32(&r) != 1 ||
	    tpm2_take_u32(&r) != TPM_PT_HR_TRANSIENT_AVAIL)
		return true;
	return tpm2_take_u32(&r) || !tpm2_consumed(&r);
}

/*
 * Starts the kernel's session, if this kernel has it (CONFIG_TCG_TPM2_HMAC). If
 * that fails, the fetch fails: no session of our own takes its place.
 */
static int start_kernel(struct derived_session *session, struct tpm_buf *buf,
			struct tpm2_report *report)
{
	int err;

	if (!IS_ENABLED(CONFIG_TCG_TPM2_HMAC))
		return 0;
	if (!has_slot(session->chip, buf))
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
					"the TPM is busy or full (no slot for the session's key)");

	err = tpm2_start_auth_session(session->chip);
	switch (err) {
	case 0:
		if (tpm2_chip_auth(session->chip))
			session->kind = DERIVED_SESSION_KERNEL;
		return 0;
	case -ENOMEM:	/* also from tpm_ret_to_err() for TPM_RC_SESSION_MEMORY */
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
					"no memory, or no slot in the TPM, for a session");
	case -ENODEV:
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -EIO,
					"the kernel has disabled the TPM: its null primary key is not the one of this boot, or cannot be loaded");
	default:
		return derived_tpm_fail_rc(report, "TPM2_StartAuthSession", err);
	}
}

static void begin_session(struct derived_session *session,
			  struct tpm_chip *chip)
{
	memset(session, 0, sizeof(*session));
	session->chip = chip;
	session->kind = DERIVED_SESSION_PASSWORD;
}

/* As start_own(), if this kernel has what it needs. */
static int try_own(struct derived_session *session, struct tpm_buf *buf,
		   u8 type, struct tpm2_report *report)
{
	if (IS_REACHABLE(CONFIG_CRYPTO_ECC))
		return start_own(session, buf, type, report);
	strscpy(report->unencrypted, "this kernel has no ECDH (CONFIG_CRYPTO_ECC)");
	return 1;
}

/**
 * derived_session_start() - start the best session that is available
 * @session:	the session; give it to derived_session_end(), also after an error
 * @chip:	the TPM
 * @buf:	buffer for commands and responses
 * @kernel_can:	whether the kernel's session can express the next commands
 * @report:	the result for the administrator: .session, .null_name, and
 *		.unencrypted if there is no session
 *
 * It is the kernel's session, if the kernel has them; else a session of our
 * own; else a password, but only with require_encryption=0: an active attacker
 * on the bus can force this unencrypted fallback, just as it can impersonate
 * the null primary key. By default, an attacker that forges an error only makes
 * the fetch fail, before any command about the root secret is sent. An attacker
 * that replaces the null primary key is not noticed (see the top of this file).
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; -EOPNOTSUPP if no session is possible and require_encryption is
 * set; -EAGAIN, -EIO, -EACCES, -ENXIO or -ETIME if the TPM fails; -ENOMEM
 */
int derived_session_start(struct derived_session *session,
			  struct tpm_chip *chip, struct tpm_buf *buf,
			  bool kernel_can, struct tpm2_report *report)
{
	int err = 0;

	begin_session(session, chip);
	if (kernel_can)
		err = start_kernel(session, buf, report);
	if (!err && session->kind == DERIVED_SESSION_PASSWORD)
		err = try_own(session, buf, TPM_SE_HMAC, report);
	if (err < 0)
		return err;

	report->session = kind_descriptions[session->kind];
	if (session->kind == DERIVED_SESSION_PASSWORD && derived_require_encryption)
		return derived_tpm_fail(report, DERIVED_CAUSE_SESSION, -EOPNOTSUPP,
					"no encrypted session: %s. Without one the root secret, and so every key, could be read on the TPM's bus. To allow that: \"options derived-keys require_encryption=0\" in /etc/modprobe.d/derived-keys.conf",
					report->unencrypted);
	return 0;
}

/**
 * derived_session_start_policy() - start a policy session
 * @session:	the session; give it to derived_session_end(), also after an error
 * @chip:	the TPM
 * @buf:	buffer for commands and responses
 * @report:	the result for the administrator: .session and .null_name
 *
 * It is always a session of our own: the kernel's session cannot be a policy
 * session. There is no unencrypted fallback, whatever require_encryption= says.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; -EOPNOTSUPP if no such session is possible; -EAGAIN, -EIO, -EACCES,
 * -ENXIO or -ETIME if the TPM fails; -ENOMEM
 */
int derived_session_start_policy(struct derived_session *session,
				 struct tpm_chip *chip, struct tpm_buf *buf,
				 struct tpm2_report *report)
{
	int err;

	begin_session(session, chip);
	err = try_own(session, buf, TPM_SE_POLICY, report);
	if (err < 0)
		return err;
	report->session = kind_descriptions[session->kind];
	if (session->kind == DERIVED_SESSION_PASSWORD)
		return derived_tpm_fail(report, DERIVED_CAUSE_SESSION, -EOPNOTSUPP,
					"no encrypted session: %s. The capped root is not fetched without one",
					report->unencrypted);
	return 0;
}

/**
 * derived_session_end() - end a session
 * @session:	of derived_session_start(), which may have failed
 * @buf:	buffer for commands and responses
 * @report:	notes whether the session could not be removed from the TPM
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 */
void derived_session_end(struct derived_session *session, struct tpm_buf *buf,
			 struct tpm2_report *report)
{
	if (session->kind == DERIVED_SESSION_KERNEL)
		tpm2_end_auth_session(session->chip);
	derived_tpm_flush(session->chip, buf, session->handle, report);
	memzero_explicit(session, sizeof(*session));
}
