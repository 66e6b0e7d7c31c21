/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The root secrets, from the TPM: 32 bytes each, as the TPM computes them.
 */
#ifndef _DERIVED_TPM2_HMAC_H
#define _DERIVED_TPM2_HMAC_H

#include <linux/device.h>
#include <linux/types.h>

#include "derived_kdf.h"
#include "tpm2_command.h"
#include "tpm2_policy.h"

/**
 * enum derived_cap_state - what is known of the capped root in this boot
 * @DERIVED_CAP_OFF:	there is no cap=
 * @DERIVED_CAP_WAIT:	there is no TPM yet
 * @DERIVED_CAP_HELD:	K_capped is fetched, the cap PCR is closed, and the TPM was
 *			seen to refuse
 * @DERIVED_CAP_LATE:	the cap PCR was not zero: another program may have K_capped
 * @DERIVED_CAP_MISSED:	the cap PCR is closed, but K_capped could not be fetched
 * @DERIVED_CAP_OPEN:	the cap PCR could not be closed yet
 * @DERIVED_CAP_GONE:	K_capped was wiped
 * @DERIVED_CAP_UNFIT:	the TPM, its banks or its PCRs cannot protect K_capped
 */
enum derived_cap_state {
	DERIVED_CAP_OFF,
	DERIVED_CAP_WAIT,
	DERIVED_CAP_HELD,
	DERIVED_CAP_LATE,
	DERIVED_CAP_MISSED,
	DERIVED_CAP_OPEN,
	DERIVED_CAP_GONE,
	DERIVED_CAP_UNFIT,
};

/**
 * struct derived_capped - a fetch of the capped root, and what became of it
 * @cap:	the cap PCR
 * @further:	bit N: the policy also binds to the value of PCR N
 * @last:	whether to close the cap PCR although an error may pass
 * @state:	the result: DERIVED_CAP_WAIT, _HELD, _LATE, _MISSED, _OPEN or _UNFIT
 * @closed:	whether the cap PCR was read back as closed by the cap event
 * @no_bank:	whether the cap PCR is not in the TPM's SHA-256 bank
 * @is_tpm2:	whether there is a TPM 2.0, which may fail
 * @extended:	whether TPM2_PCR_Extend was sent; the caller clears it before the
 *		first try of a fetch
 * @was_open:	of derived_tpm_watch_capped(): whether the cap PCR was zero
 * @pcrs:	the PCRs, as they were read last
 * @policy:	the policy of the capped root's primary key
 * @has_resets:	whether @resets could be read
 * @resets:	how often the TPM started
 * @tpm:	the TPM's parent device, with a reference; NULL if it has none
 */
struct derived_capped {
	unsigned int cap;
	u32 further;
	bool last;
	enum derived_cap_state state;
	bool closed;
	bool no_bank;
	bool is_tpm2;
	bool extended;
	bool was_open;
	struct derived_pcrs pcrs;
	u8 policy[SHA256_DIGEST_SIZE];
	bool has_resets;
	struct derived_resets resets;
	struct device *tpm;
};

int derived_tpm_fetch(u8 secret[DERIVED_ROOT_SIZE], struct tpm2_report *report);
int derived_tpm_fetch_capped(struct derived_capped *capped,
			     u8 secret[DERIVED_ROOT_SIZE],
			     struct tpm2_report *report);
int derived_tpm_watch_capped(struct derived_capped *capped,
			     struct tpm2_report *report);

#endif /* _DERIVED_TPM2_HMAC_H */
