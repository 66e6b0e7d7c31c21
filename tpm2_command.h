/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A command to the TPM, its response, the errno of a failure, and the report of
 * a fetch.
 *
 * "Part" is a part of the TCG's TPM 2.0 Library specification.
 */
#ifndef _DERIVED_TPM2_COMMAND_H
#define _DERIVED_TPM2_COMMAND_H

#include <linux/string.h>
#include <linux/tpm.h>
#include <linux/types.h>
#include <linux/unaligned.h>
#include <crypto/sha2.h>

#include "derived_log.h"

/* Part 2: what <linux/tpm.h> does not have. */
#define TPM_RH_OWNER		0x40000001
#define TPM_HT_HMAC_SESSION	0x02
#define TPM_HT_POLICY_SESSION	0x03
#define TPM_RC_POLICY_FAIL	0x09D
#define TPM_RC_PCR_CHANGED	0x128
#define TPM_RC_AUTH_UNAVAILABLE	0x12F
#define TPM_RC_COMMAND_CODE	0x143
#define TPM_RC_MAX		0xfff	/* all have twelve bits: 6.6.2 */

/* TPM2B_NAME of an object whose nameAlg is SHA-256: TPM_ALG_ID, digest. */
#define DERIVED_TPM_NAME_SIZE	(2 + SHA256_DIGEST_SIZE)

/**
 * struct tpm2_report - what a fetch tells the administrator
 * @asked:	whether there was a TPM, also if it failed
 * @session:	how the answer was protected on the bus; text
 * @null_name:	name of the null primary key that salted our own session; all zero
 *		if there was none
 * @vendor:	TPM_PT_MANUFACTURER, or empty
 * @firmware:	TPM_PT_FIRMWARE_VERSION_1 and _2
 * @cause:	of a failure: what the line in the log is about
 * @why:	of a failure: that line; text
 * @unencrypted: why no session protects the answer; text, empty if one does
 * @left:	handle of an object that could not be removed from the TPM, or 0
 */
struct tpm2_report {
	bool asked;
	const char *session;
	u8 null_name[DERIVED_TPM_NAME_SIZE];
	char vendor[5];
	u32 firmware[2];
	enum derived_cause cause;
	char why[320];
	char unencrypted[96];
	u32 left;
};

/**
 * struct tpm2_reader - the unread part of a response
 * @data:	its bytes
 * @left:	how many bytes
 * @bad:	set by an attempt to read past the end. It stays set, and everything
 *		that is read afterwards is 0
 * @more:	of derived_tpm_get_capability(): the TPM has more properties than
 *		it gave
 *
 * tpm_buf_read_*() are not used: they WARN() about a response that is cut
 * short. An attacker who answers in the place of the TPM could bring down a
 * machine with panic_on_warn.
 */
struct tpm2_reader {
	const u8 *data;
	size_t left;
	bool bad;
	bool more;
};

static inline const u8 *tpm2_take(struct tpm2_reader *r, size_t len)
{
	const u8 *data = r->data;

	if (r->bad || len > r->left) {
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	r->data += len;
	r->left -= len;
	return data;
}

static inline u8 tpm2_take_u8(struct tpm2_reader *r)
{
	const u8 *data = tpm2_take(r, 1);

	return data ? *data : 0;
}

static inline u16 tpm2_take_u16(struct tpm2_reader *r)
{
	const u8 *data = tpm2_take(r, 2);

	return data ? get_unaligned_be16(data) : 0;
}

static inline u32 tpm2_take_u32(struct tpm2_reader *r)
{
	const u8 *data = tpm2_take(r, 4);

	return data ? get_unaligned_be32(data) : 0;
}

/* Takes a TPM2B: returns the bytes behind its u16 size. */
static inline struct tpm2_reader tpm2_take_sized(struct tpm2_reader *r)
{
	struct tpm2_reader sized = { .left = tpm2_take_u16(r) };

	sized.data = tpm2_take(r, sized.left);
	sized.bad = r->bad;
	if (sized.bad)
		sized.left = 0;
	return sized;
}

/* Whether everything was read, and nothing past the end. */
static inline bool tpm2_consumed(const struct tpm2_reader *r)
{
	return !r->bad && !r->left;
}

/* Whether the unread part is @len bytes that equal @data. */
static inline bool tpm2_is_rest(const struct tpm2_reader *r, const void *data,
				size_t len)
{
	return !r->bad && r->left == len && !memcmp(r->data, data, len);
}

int derived_tpm_rc_value(int rc);
struct tpm2_reader derived_tpm_response(const struct tpm_buf *buf, u16 *tag);
int derived_tpm_get_capability(struct tpm_chip *chip, struct tpm_buf *buf,
			       u32 capability, u32 property, u32 count,
			       struct tpm2_reader *data);

__printf(4, 5)
int derived_tpm_fail(struct tpm2_report *report, enum derived_cause cause,
		     int err, const char *fmt, ...);
int derived_tpm_fail_rc(struct tpm2_report *report, const char *command,
			int rc);
int derived_tpm_has_command(const struct tpm_chip *chip, u32 command,
			    unsigned int handles, unsigned int response_handles);
int derived_tpm_send(struct tpm_chip *chip, struct tpm_buf *buf);
void derived_tpm_flush(struct tpm_chip *chip, struct tpm_buf *buf, u32 handle,
		       struct tpm2_report *report);

#endif /* _DERIVED_TPM2_COMMAND_H */
