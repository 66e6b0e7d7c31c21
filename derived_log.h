/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel log: messages for the administrator, and their rate limits.
 */
#ifndef _DERIVED_LOG_H
#define _DERIVED_LOG_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>

/**
 * enum derived_cause - what a line in the kernel log is about
 *
 * Each cause has at most one line a minute. G0 to G6 are the gates of
 * Documentation/threat-model.rst.
 *
 * @DERIVED_CAUSE_CONTEXT:	context gate (G0): not a program, or a helper
 * @DERIVED_CAUSE_USER_NS:	user namespace gate (G1)
 * @DERIVED_CAUSE_EXEC:		exec gate (G2): execve(2) did not set the executable
 * @DERIVED_CAUSE_FS:		file system gate (G3): a file system of a user's
 * @DERIVED_CAUSE_FILE:		file gate (G4): the executable has no usable path
 * @DERIVED_CAUSE_ANCHOR:	anchor gate (G5): its path leads elsewhere
 * @DERIVED_CAUSE_CONTAINER:	container gate (G6)
 * @DERIVED_CAUSE_CSUM:		csum: the executable may change, or cannot be read
 * @DERIVED_CAUSE_SIZE:		the executable is larger than csum_max
 * @DERIVED_CAUSE_READER:	another program's or user's key is read
 * @DERIVED_CAUSE_KCV:		not the key that the caller expects
 * @DERIVED_CAUSE_EXPECT_ROOT:	not the root that the administrator expects
 * @DERIVED_CAUSE_LOGON:	the option logon where it cannot be served
 * @DERIVED_CAUSE_CAPPED:	the capped root, and why it is not held
 * @DERIVED_CAUSE_CAPPED_REQUEST: capped keys cannot be served in this boot
 * @DERIVED_CAUSE_CAPPED_PIN:	a capped key without kcv= or expect_capped_root=
 * @DERIVED_CAUSE_EXPECT_CAPPED: not the capped root that the administrator expects
 * @DERIVED_CAUSE_CAP_LOST:	the TPM lost its PCRs, and the cap PCR was open
 * @DERIVED_CAUSE_SUSPEND:	the system may not suspend
 * @DERIVED_CAUSE_NO_TPM:	no TPM 2.0, or it cannot be used now
 * @DERIVED_CAUSE_TPM_REFUSED:	the owner hierarchy refuses us
 * @DERIVED_CAUSE_TPM_BUSY:	the TPM is out of slots, or asks to try later
 * @DERIVED_CAUSE_TPM_FAILED:	the TPM timed out, failed, or answered nonsense
 * @DERIVED_CAUSE_TPM_LEFT:	an object of ours could not be removed from the TPM
 * @DERIVED_CAUSE_ROOT:		the root, and how the TPM sent it
 * @DERIVED_CAUSE_ROOT_CHANGED:	the root is not the same as before
 * @DERIVED_CAUSE_SESSION:	no session encrypts the traffic on the TPM's bus
 * @DERIVED_CAUSE_NULL_NAME:	the null primary key's name
 * @DERIVED_CAUSES:		how many causes there are
 */
enum derived_cause {
	DERIVED_CAUSE_CONTEXT,
	DERIVED_CAUSE_USER_NS,
	DERIVED_CAUSE_EXEC,
	DERIVED_CAUSE_FS,
	DERIVED_CAUSE_FILE,
	DERIVED_CAUSE_ANCHOR,
	DERIVED_CAUSE_CONTAINER,
	DERIVED_CAUSE_CSUM,
	DERIVED_CAUSE_SIZE,
	DERIVED_CAUSE_READER,
	DERIVED_CAUSE_KCV,
	DERIVED_CAUSE_EXPECT_ROOT,
	DERIVED_CAUSE_LOGON,
	DERIVED_CAUSE_CAPPED,
	DERIVED_CAUSE_CAPPED_REQUEST,
	DERIVED_CAUSE_CAPPED_PIN,
	DERIVED_CAUSE_EXPECT_CAPPED,
	DERIVED_CAUSE_CAP_LOST,
	DERIVED_CAUSE_SUSPEND,
	DERIVED_CAUSE_NO_TPM,
	DERIVED_CAUSE_TPM_REFUSED,
	DERIVED_CAUSE_TPM_BUSY,
	DERIVED_CAUSE_TPM_FAILED,
	DERIVED_CAUSE_TPM_LEFT,
	DERIVED_CAUSE_ROOT,
	DERIVED_CAUSE_ROOT_CHANGED,
	DERIVED_CAUSE_SESSION,
	DERIVED_CAUSE_NULL_NAME,
	DERIVED_CAUSES
};

bool derived_may_log(enum derived_cause cause);
__printf(2, 3) __cold
void derived_log(enum derived_cause cause, const char *fmt, ...);

/* Logs why a request is refused. Its value is @err, to be returned. */
#define derived_refuse(cause, err, fmt, ...) \
	({ derived_log(cause, "refused: " fmt, ##__VA_ARGS__); (err); })

#endif /* _DERIVED_LOG_H */
