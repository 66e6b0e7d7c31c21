// SPDX-License-Identifier: GPL-2.0
/*
 * Primary objects: the TPM makes them out of its own seed and a template.
 */

#include <linux/errno.h>
#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/unaligned.h>
#include <crypto/sha2.h>

#include "tpm2_primary.h"

/* TPM2B_SENSITIVE_CREATE: no userAuth, no data. */
static const u8 sensitive[] = { 0x00, 0x04, 0x00, 0x00, 0x00, 0x00 };

/*
 * Checks the parameters of the response to TPM2_CreatePrimary (Part 3, 24.1),
 * and computes the object's name. It does not look into the public area.
 *
 * Returns 0 or -EBADMSG.
 */
static int check_creation(struct tpm2_reader *params, u32 hierarchy,
			  struct derived_primary *primary)
{
	struct tpm2_reader public, creation, creation_hash, name;
	u8 hash[SHA256_DIGEST_SIZE];
	u32 ticket_hierarchy;
	const u8 *selected;
	u16 ticket_tag;

	public = tpm2_take_sized(params);
	creation = tpm2_take_sized(params);
	creation_hash = tpm2_take_sized(params);
	ticket_tag = tpm2_take_u16(params);
	ticket_hierarchy = tpm2_take_u32(params);
	tpm2_take_sized(params);		/* the ticket's digest */
	name = tpm2_take_sized(params);
	if (!tpm2_consumed(params) || public.left > sizeof(primary->public))
		return -EBADMSG;

	memcpy(primary->public, public.data, public.left);
	primary->public_len = public.left;
	put_unaligned_be16(TPM_ALG_SHA256, primary->name);
	sha256(public.data, public.left, primary->name + 2);
	if (!tpm2_is_rest(&name, primary->name, sizeof(primary->name)))
		return -EBADMSG;

	sha256(creation.data, creation.left, hash);
	if (!tpm2_is_rest(&creation_hash, hash, sizeof(hash)))
		return -EBADMSG;

	if (ticket_tag != TPM2_ST_CREATION || ticket_hierarchy != hierarchy)
		return -EBADMSG;

	/* TPMS_CREATION_DATA: no PCR and no outsideInfo, as in the command. */
	selected = tpm2_take(&creation, 4);
	if (!selected || get_unaligned_be32(selected))
		return -EBADMSG;
	tpm2_take_sized(&creation);		/* pcrDigest */
	tpm2_take_u8(&creation);		/* locality */
	tpm2_take_u16(&creation);		/* parentNameAlg */
	tpm2_take_sized(&creation);		/* parentName */
	tpm2_take_sized(&creation);		/* parentQualifiedName */
	if (tpm2_take_sized(&creation).left || !tpm2_consumed(&creation))
		return -EBADMSG;
	return 0;
}

/**
 * derived_primary_create() - create a primary object (TPM2_CreatePrimary)
 * @session:	the session that authorizes it; or, if it is a policy session, that
 *		encrypts and authenticates the response. An empty password authorizes
 *		then
 * @buf:	buffer for the command and its response
 * @hierarchy:	TPM_RH_OWNER or TPM2_RH_NULL
 * @public:	the template, a TPMT_PUBLIC
 * @public_len:	bytes of @public
 * @primary:	the result; flush its .handle in any case, also after an error
 *
 * The caller compares @primary->public with the template: only the caller knows
 * which fields the TPM fills in.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_primary_create(struct derived_session *session, struct tpm_buf *buf,
			   u32 hierarchy, const u8 *public, size_t public_len,
			   struct derived_primary *primary)
{
	struct tpm2_reader params;
	int rc;

	primary->handle = 0;
	if (session->is_policy) {
		/* A session that does not authorize has to encrypt: Part 1, 18.6. */
		derived_auth_begin_by_password(session, buf, TPM2_CC_CREATE_PRIMARY,
					       hierarchy, NULL, 0, (const u8 *)"", 0,
					       DERIVED_SESSION_CONTINUE |
					       DERIVED_SESSION_ENCRYPT);
	} else {
		rc = derived_auth_begin(session, buf, TPM2_CC_CREATE_PRIMARY,
					hierarchy, NULL, 0,
					DERIVED_SESSION_CONTINUE);
		if (rc)
			return rc;
	}
	tpm_buf_append(buf, sensitive, sizeof(sensitive));
	tpm_buf_append_u16(buf, public_len);
	tpm_buf_append(buf, public, public_len);
	tpm_buf_append_u16(buf, 0);		/* outsideInfo */
	tpm_buf_append_u32(buf, 0);		/* creationPCR */

	rc = derived_auth_send(session, buf, &primary->handle, &params);
	if (!rc)
		rc = check_creation(&params, hierarchy, primary);
	return rc;
}
