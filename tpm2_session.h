/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sessions with the TPM: to choose, start and end one.
 */
#ifndef _DERIVED_TPM2_SESSION_H
#define _DERIVED_TPM2_SESSION_H

#include <linux/tpm.h>
#include <linux/types.h>

#include "tpm2_auth.h"

/*
 * The module parameter require_encryption=: no root secret crosses the TPM's
 * bus in clear. It is set when the module is loaded. Only the KUnit tests
 * change it later.
 */
extern bool derived_require_encryption;

int derived_session_start(struct derived_session *session,
			  struct tpm_chip *chip, struct tpm_buf *buf,
			  bool kernel_can, struct tpm2_report *report);
int derived_session_start_policy(struct derived_session *session,
				 struct tpm_chip *chip, struct tpm_buf *buf,
				 struct tpm2_report *report);
void derived_session_end(struct derived_session *session, struct tpm_buf *buf,
			 struct tpm2_report *report);

#endif /* _DERIVED_TPM2_SESSION_H */
