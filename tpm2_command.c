// SPDX-License-Identifier: GPL-2.0
/*
 * A command to the TPM, its response, the errno of a failure, and the report of
 * a fetch.
 *
 * Nothing here looks at current: a worker makes the fetch, because no signal
 * can interrupt a worker (derived_root.c). Messages go into the report, and the
 * process that asked logs them.
 */

#include <kunit/static_stub.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <asm/byteorder.h>

#include "tpm2_command.h"

#define TPM_RC_HIERARCHY	0x085
#define TPM_RC_AUTH_FAIL	0x08E
#define TPM_RC_BAD_AUTH		0x0A2
#define TPM_RC_DISABLED		0x120
#define TPM_RC_AUTH_MISSING	0x125
#define TPM_RC_WARN		0x900
#define TPM_RC_LOCKOUT		0x921

/**
 * derived_tpm_rc_value() - a return code without what it is about
 * @rc:		a TPM return code or a negative errno
 *
 * A return code may have the number of the parameter, handle or session that it
 * is about (Part 2, 6.6). A value of more than twelve bits is no return code:
 * tpm2_rc_value() would cut it down to one.
 *
 * Context: any.
 * Return: the return code without that number, or @rc as it is
 */
int derived_tpm_rc_value(int rc)
{
	return rc >= 0 && rc <= TPM_RC_MAX ? tpm2_rc_value(rc) : rc;
}

/**
 * derived_tpm_fail() - report why a fetch fails
 * @report:	gets the cause and the message
 * @cause:	what the line in the log is about
 * @err:	a negative errno
 * @fmt:	the message
 *
 * Context: any.
 * Return: @err
 */
int derived_tpm_fail(struct tpm2_report *report, enum derived_cause cause,
		     int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(report->why, sizeof(report->why), fmt, args);
	va_end(args);
	report->cause = cause;
	return err;
}

/**
 * derived_tpm_fail_rc() - report that a command failed
 * @report:	gets the cause and the message
 * @command:	the command's name
 * @rc:		a TPM return code; or an errno of the TPM layer; or -EBADMSG if the
 *		answer is nonsense
 *
 * Part 2, 6.6.
 *
 * Context: any.
 * Return: the errno for the process that asks: -ENXIO, -EACCES, -EAGAIN,
 * -ETIME, -ENOMEM or -EIO
 */
int derived_tpm_fail_rc(struct tpm2_report *report, const char *command, int rc)
{
	switch (rc) {
	case -ENODEV:
	case -ENXIO:
	case -EPIPE:
	case -ECANCELED:		/* the driver is being removed */
		return derived_tpm_fail(report, DERIVED_CAUSE_NO_TPM, -ENXIO,
					"the TPM went away during %s (errno %d)",
					command, -rc);
	case -EFAULT:			/* from the TPM layer, for a bad size */
	case -EBADMSG:			/* from this module */
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -EIO,
					"the TPM answered nonsense to %s",
					command);
	case -ENOMEM:
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -ENOMEM,
					"no memory for %s", command);
	case -ETIME:
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -ETIME,
					"the TPM did not answer %s in time",
					command);
	}
	if (rc < 0)
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -EIO,
					"the TPM driver failed at %s (errno %d)",
					command, -rc);

	switch (derived_tpm_rc_value(rc)) {
	case TPM_RC_HIERARCHY:
	case TPM_RC_DISABLED:
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_REFUSED, -EACCES,
					"the TPM's owner hierarchy is disabled (%s: TPM_RC 0x%03x)",
					command, rc);
	case TPM_RC_BAD_AUTH:
	case TPM_RC_AUTH_FAIL:
	case TPM_RC_AUTH_MISSING:
	case TPM_RC_AUTH_UNAVAILABLE:
	case TPM_RC_POLICY_FAIL:
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_REFUSED, -EACCES,
					"the TPM's owner hierarchy has a password (%s: TPM_RC 0x%03x)",
					command, rc);
	case TPM_RC_LOCKOUT:
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_REFUSED, -EACCES,
					"the TPM is in lockout (%s: TPM_RC 0x%03x)",
					command, rc);
	}
	/* From 0x910 on, the TPM rejects a handle that it gave us itself. */
	if ((rc & ~0x7f) == TPM_RC_WARN && (rc & ~0xf) != TPM2_RC_REFERENCE_H0)
		return derived_tpm_fail(report, DERIVED_CAUSE_TPM_BUSY, -EAGAIN,
					"the TPM is busy or full (%s: TPM_RC 0x%03x)",
					command, rc);
	return derived_tpm_fail(report, DERIVED_CAUSE_TPM_FAILED, -EIO,
				"the TPM failed at %s (TPM_RC 0x%03x)",
				command, rc);
}

/**
 * derived_tpm_has_command() - whether the TPM has a command
 * @chip:	the TPM
 * @command:	TPM_CC, the command's code
 * @handles:	how many handles the command has, by the specification
 * @response_handles: how many handles its response has
 *
 * The TPM layer keeps the list of commands that the TPM gave when it was found.
 * The kernel's sessions trust that list about the number of handles, so this
 * function checks the number, too.
 *
 * Context: under tpm_try_get_ops().
 * Return: 1 if the TPM has it, 0 if not, or -EBADMSG if the list is nonsense
 */
int derived_tpm_has_command(const struct tpm_chip *chip, u32 command,
			    unsigned int handles, unsigned int response_handles)
{
	u32 i, attrs;

	for (i = 0; i < chip->nr_commands; i++) {
		attrs = chip->cc_attrs_tbl[i];
		if ((attrs & GENMASK(15, 0)) != command ||
		    (attrs & BIT(TPM2_CC_ATTR_VENDOR)))
			continue;
		if (((attrs >> TPM2_CC_ATTR_CHANDLES) & GENMASK(2, 0)) != handles ||
		    ((attrs >> TPM2_CC_ATTR_RHANDLE) & 1) != response_handles)
			return -EBADMSG;
		return 1;
	}
	return 0;
}

/**
 * derived_tpm_send() - send a command
 * @chip:	the TPM
 * @buf:	the command, and then the response
 *
 * The TPM layer returns the TPM's return code as an int. A return code of
 * 0xfffffff4 would look like -ENOMEM, so this function turns it into -EBADMSG.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_tpm_send(struct tpm_chip *chip, struct tpm_buf *buf)
{
	const struct tpm_header *header = (const struct tpm_header *)buf->data;
	int rc;

	KUNIT_STATIC_STUB_REDIRECT(derived_tpm_send, chip, buf);
	rc = tpm_transmit_cmd(chip, buf, 0, NULL);
	if (rc < 0 && be32_to_cpu(header->return_code) == (u32)rc)
		return -EBADMSG;
	return rc;
}

/**
 * derived_tpm_response() - begin to read a response
 * @buf:	the response
 * @tag:	the result: its tag, TPM2_ST_SESSIONS or TPM2_ST_NO_SESSIONS
 *
 * Part 1, 18.10.
 *
 * Context: any.
 * Return: the bytes behind the header. Their .bad is set if the header has a
 * wrong size, or the return code of a failure
 */
struct tpm2_reader derived_tpm_response(const struct tpm_buf *buf, u16 *tag)
{
	struct tpm2_reader r = { .data = buf->data, .left = buf->length };

	*tag = tpm2_take_u16(&r);
	if (tpm2_take_u32(&r) != buf->length ||
	    tpm2_take_u32(&r) != TPM2_RC_SUCCESS)
		r.bad = true;
	return r;
}

/**
 * derived_tpm_get_capability() - ask for properties (TPM2_GetCapability)
 * @chip:	the TPM
 * @buf:	buffer for the command and its response
 * @capability:	TPM_CAP, the kind of properties
 * @property:	the first property
 * @count:	how many properties
 * @data:	the result: TPMS_CAPABILITY_DATA behind its TPM_CAP. That
 *		is a count and, for TPM2_CAP_TPM_PROPERTIES, pairs of property and
 *		value
 *
 * Part 3, 30.2. The response is not authenticated: an attacker on the bus may
 * have forged it.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 * Return: 0; a negative errno, -EBADMSG for nonsense; or a TPM return code
 */
int derived_tpm_get_capability(struct tpm_chip *chip, struct tpm_buf *buf,
			       u32 capability, u32 property, u32 count,
			       struct tpm2_reader *data)
{
	u16 tag;
	int rc;

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_CAPABILITY);
	tpm_buf_append_u32(buf, capability);
	tpm_buf_append_u32(buf, property);
	tpm_buf_append_u32(buf, count);
	rc = derived_tpm_send(chip, buf);
	if (rc)
		return rc;

	*data = derived_tpm_response(buf, &tag);
	data->more = tpm2_take_u8(data);
	return tpm2_take_u32(data) == capability && !data->bad ? 0 : -EBADMSG;
}

/**
 * derived_tpm_flush() - remove an object or a session (TPM2_FlushContext)
 * @chip:	the TPM
 * @buf:	buffer for the command and its response
 * @handle:	the object's or the session's handle, or 0 for nothing
 * @report:	notes whether it could not be removed
 *
 * Not by tpm2_flush_context(): that function allocates, and if there is no
 * memory, the object stays in the TPM.
 *
 * Context: under tpm_try_get_ops(); sleeps until the TPM answers.
 */
void derived_tpm_flush(struct tpm_chip *chip, struct tpm_buf *buf, u32 handle,
		       struct tpm2_report *report)
{
	int rc;

	if (!handle)
		return;
	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, TPM2_CC_FLUSH_CONTEXT);
	tpm_buf_append_u32(buf, handle);
	rc = derived_tpm_send(chip, buf);
	/* After a reset, before TPM2_Startup, a TPM has no objects. */
	if (rc && rc != TPM2_RC_INITIALIZE && derived_tpm_rc_value(rc) != TPM2_RC_HANDLE)
		report->left = handle;
}
