/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel log: what the administrator is told, and how often.
 */
#ifndef _DERIVED_LOG_H
#define _DERIVED_LOG_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>

/**
 * enum derived_cause - what a line in the kernel log is about
 *
 * Each has at most one line a minute. The gates are those of
 * Documentation/threat-model.rst.
 *
 * @DERIVED_CAUSE_CONTEXT:	G0, no program asks, or a request-key helper does
 * @DERIVED_CAUSE_USER_NS:	G1, not in the initial user namespace
 * @DERIVED_CAUSE_EXEC:		G2, the executable was not put there by execve(2)
 * @DERIVED_CAUSE_FS:		G3, the executable is on somebody's own file system
 * @DERIVED_CAUSE_FILE:		G4, the executable has no usable path
 * @DERIVED_CAUSE_ANCHOR:	G5, its path leads elsewhere for the first process
 * @DERIVED_CAUSE_CONTAINER:	G6, in a container
 * @DERIVED_CAUSE_CSUM:		csum: the executable may change, or cannot be read
 * @DERIVED_CAUSE_SIZE:		the executable is larger than csum_max
 * @DERIVED_CAUSE_READER:	somebody else's key is read
 * @DERIVED_CAUSE_KCV:		another key than the caller expects
 * @DERIVED_CAUSE_EXPECT_ROOT:	another root than the administrator expects
 * @DERIVED_CAUSE_LOGON:	the option logon where it cannot be served
 * @DERIVED_CAUSE_NO_TPM:	no TPM 2.0, or it cannot be used now
 * @DERIVED_CAUSE_TPM_REFUSED:	the owner hierarchy refuses us
 * @DERIVED_CAUSE_TPM_BUSY:	the TPM is out of slots, or says: later
 * @DERIVED_CAUSE_TPM_FAILED:	it timed out, failed, or answered nonsense
 * @DERIVED_CAUSE_TPM_LEFT:	something of ours could not be removed from the TPM
 * @DERIVED_CAUSE_ROOT:		the root, and how it came from the TPM
 * @DERIVED_CAUSE_ROOT_CHANGED:	the root is another one than before
 * @DERIVED_CAUSE_SESSION:	no session encrypts what crosses the TPM's bus
 * @DERIVED_CAUSE_NULL_NAME:	the null primary key's name
 * @DERIVED_CAUSES:		how many there are
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

/* Says why a request is refused; its value is @err, for the caller. */
#define derived_refuse(cause, err, fmt, ...) \
	({ derived_log(cause, "refused: " fmt, ##__VA_ARGS__); (err); })

#endif /* _DERIVED_LOG_H */
