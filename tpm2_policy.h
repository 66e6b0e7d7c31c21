/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCRs, the policy that binds to them, and the TPM's clock.
 */
#ifndef _DERIVED_TPM2_POLICY_H
#define _DERIVED_TPM2_POLICY_H

#include <linux/bits.h>
#include <linux/tpm.h>
#include <linux/types.h>
#include <crypto/sha2.h>

#include "tpm2_auth.h"

/* PCRs that a policy can select here: 0 to 15. No user can reset these. */
#define DERIVED_PCRS		16

/* Those that nothing extends before the boot loader: the cap PCR is one. */
#define DERIVED_PCRS_ZERO	GENMASK(15, 8)

/**
 * struct derived_pcrs - values of PCRs, in the SHA-256 bank
 * @present:	bit N: @value[N] was read, so the TPM has PCR N in that bank
 * @value:	the values
 */
struct derived_pcrs {
	u32 present;
	u8 value[DERIVED_PCRS][SHA256_DIGEST_SIZE];
};

/**
 * struct derived_resets - how often the TPM started anew
 * @reset:	resetCount: TPM Resets since the owner was cleared
 * @restart:	restartCount: TPM Restarts and Resumes since the last TPM Reset
 */
struct derived_resets {
	u32 reset;
	u32 restart;
};

int derived_pcr_read(struct tpm_chip *chip, struct tpm_buf *buf, u32 wanted,
		     struct derived_pcrs *pcrs);
int derived_pcr_can_close(struct tpm_chip *chip, struct tpm_buf *buf,
			  unsigned int pcr, bool *can);
int derived_pcr_close(struct tpm_chip *chip, struct tpm_buf *buf,
		      unsigned int pcr, bool all_banks);
bool derived_pcr_is_closed(const struct derived_pcrs *pcrs, unsigned int pcr);
bool derived_pcr_is_zero(const struct derived_pcrs *pcrs, unsigned int pcr);

void derived_policy_digest(const struct derived_pcrs *pcrs, u32 selected,
			   unsigned int cap, u8 policy[SHA256_DIGEST_SIZE]);
int derived_policy_pcr(struct derived_session *session, struct tpm_buf *buf,
		       u32 selected);
int derived_policy_restart(struct derived_session *session,
			   struct tpm_buf *buf);

int derived_clock_read(struct tpm_chip *chip, struct tpm_buf *buf,
		       struct derived_resets *resets);
int derived_tpm_startup(struct tpm_chip *chip, struct tpm_buf *buf, u16 type);

#endif /* _DERIVED_TPM2_POLICY_H */
