/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands that a session authorizes, and their responses.
 */
#ifndef _DERIVED_TPM2_AUTH_H
#define _DERIVED_TPM2_AUTH_H

#include <linux/tpm.h>
#include <linux/types.h>
#include <crypto/sha2.h>

#include "tpm2_command.h"

/* Part 2, TPMA_SESSION: the two attributes that are used here. */
#define DERIVED_SESSION_CONTINUE	TPM2_SA_CONTINUE_SESSION
#define DERIVED_SESSION_ENCRYPT		TPM2_SA_ENCRYPT

/**
 * enum derived_session_kind - how commands are authorized
 * @DERIVED_SESSION_PASSWORD:	by an empty password; nothing is protected
 * @DERIVED_SESSION_OWN:	by a session of our own: a salted HMAC session or policy
 *				session
 * @DERIVED_SESSION_KERNEL:	by the kernel's session (CONFIG_TCG_TPM2_HMAC)
 */
enum derived_session_kind {
	DERIVED_SESSION_PASSWORD,
	DERIVED_SESSION_OWN,
	DERIVED_SESSION_KERNEL,
};

/**
 * struct derived_session - a session with the TPM
 * @chip:	the TPM
 * @kind:	how commands are authorized
 * @handle:	of a session of our own, or 0 if there is none or it has ended
 * @is_policy:	whether it is a policy session
 * @key:	sessionKey of a session of our own, as a prepared HMAC key; secret
 * @nonce_caller: our latest nonce
 * @nonce_tpm:	the TPM's latest nonce
 * @command:	TPM_CC of the current command
 * @attrs:	its TPMA_SESSION
 * @by_password: a password authorizes it, and the session only protects it
 * @params_at:	where its parameters begin, in bytes
 * @name:	name of the entity that the command uses
 * @name_len:	bytes of @name; a sequence has none
 */
struct derived_session {
	struct tpm_chip *chip;
	enum derived_session_kind kind;
	u32 handle;
	bool is_policy;
	struct hmac_sha256_key key;
	u8 nonce_caller[SHA256_DIGEST_SIZE];
	u8 nonce_tpm[SHA256_DIGEST_SIZE];
	u32 command;
	u8 attrs;
	bool by_password;
	size_t params_at;
	u8 name[DERIVED_TPM_NAME_SIZE];
	size_t name_len;
};

int derived_auth_begin(struct derived_session *session, struct tpm_buf *buf,
		       u32 command, u32 handle, const u8 *name,
		       size_t name_len, u8 attrs);
void derived_auth_begin_by_password(struct derived_session *session,
				    struct tpm_buf *buf, u32 command,
				    u32 handle, const u8 *name, size_t name_len,
				    const u8 *auth, size_t auth_len, u8 attrs);
int derived_auth_send(struct derived_session *session, struct tpm_buf *buf,
		      u32 *handle, struct tpm2_reader *params);

#endif /* _DERIVED_TPM2_AUTH_H */
