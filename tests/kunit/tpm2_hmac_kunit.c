// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the fetch: each response of the TPM is changed in every place,
 * one place at a time. tpm2_hmac.c includes this file.
 *
 * The recorded responses (vectors.h) are swtpm's, of a fetch without a session,
 * as it is with require_encryption=0. With a session no two fetches are alike:
 * tests/e2e/tpm-faults.sh changes their responses.
 */

#include <kunit/static_stub.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>

#include "vectors.h"

#define TPM_RC_HANDLE_1	0x18b		/* TPM2_FlushContext knows no such handle */
#define TPM_RC_H0	0x910		/* nor does TPM2_HMAC */
#define TPM_RC_VALUE_2	0x2c4		/* no such parameter: no session */

/* Where a length stands in a response, and in how many bytes. */
struct length_field {
	u16 at;
	u8 width;
};

struct exchange {
	const char *name;
	const u8 *command;
	size_t command_len;
	const u8 *response;
	size_t response_len;
	const struct length_field *lengths;
	size_t nr_lengths;
};

static const struct length_field create_primary_lengths[] = {
	{ 2, 4 }, { 14, 4 }, { 18, 2 }, { 34, 2 }, { 68, 2 }, { 70, 4 },
	{ 74, 2 }, { 111, 2 }, { 117, 2 }, { 123, 2 }, { 125, 2 }, { 165, 2 },
	{ 231, 2 }, { 267, 2 }, { 270, 2 },
};

static const struct length_field hmac_lengths[] = {
	{ 2, 4 }, { 10, 4 }, { 14, 2 }, { 48, 2 }, { 51, 2 },
};

static const struct length_field flush_lengths[] = { { 2, 4 } };

static const struct length_field get_capability_lengths[] = { { 2, 4 }, { 15, 4 } };

#define EXCHANGE(what) {						\
	.name = #what,							\
	.command = what##_command,					\
	.command_len = sizeof(what##_command),				\
	.response = what##_response,					\
	.response_len = sizeof(what##_response),			\
	.lengths = what##_lengths,					\
	.nr_lengths = ARRAY_SIZE(what##_lengths),			\
}

enum { CMD_CREATE_PRIMARY, CMD_HMAC, CMD_FLUSH, CMD_GET_CAPABILITY, COMMANDS };

static const struct exchange exchanges[COMMANDS] = {
	[CMD_CREATE_PRIMARY] = EXCHANGE(create_primary),
	[CMD_HMAC] = EXCHANGE(hmac),
	[CMD_FLUSH] = EXCHANGE(flush),
	[CMD_GET_CAPABILITY] = EXCHANGE(get_capability),
};

#define RESPONSE_MAX sizeof(create_primary_response)

/* The fields of responses that some tests are about. */
#define HANDLE_AT	TPM_HEADER_SIZE
#define HANDLE_END	(HANDLE_AT + 4)
#define TICKET_AT	167
#define TICKET_END	231
#define DIGEST_AT	16
#define DIGEST_END	48

#define UNTOUCHED	0xa5		/* fills the place of the root secret before */

/**
 * struct bent - a recorded response, changed in one place
 * @which:	CMD_*
 * @how:	the kind of change, in words
 * @at:		where: the number of a byte, or a length
 * @len:	bytes of @data
 * @data:	the response
 */
struct bent {
	int which;
	const char *how;
	size_t at;
	size_t len;
	u8 data[RESPONSE_MAX];
};

/* Whether the TPM layer passes the response on. */
static bool header_is_right(const struct bent *bent)
{
	return bent->len >= TPM_HEADER_SIZE &&
	       get_unaligned_be32(bent->data + 2) == bent->len;
}

static bool changes(const struct bent *bent, size_t begin, size_t end)
{
	return bent->len == exchanges[bent->which].response_len &&
	       bent->at >= begin && bent->at < end;
}

/* Whether the module cannot notice: the field's value is not known before. */
static bool may_pass(const struct bent *bent)
{
	switch (bent->which) {
	case CMD_CREATE_PRIMARY:
		return changes(bent, TICKET_AT, TICKET_END) ||
		       changes(bent, 269, 270);	/* session attributes */
	case CMD_HMAC:
		return changes(bent, DIGEST_AT, DIGEST_END) ||
		       changes(bent, 50, 51);	/* session attributes */
	default:
		return true;
	}
}

/* Whether the response hides the handle, so that nothing can be flushed. */
static bool hides_object(const struct bent *bent)
{
	return bent->which == CMD_CREATE_PRIMARY &&
	       (bent->len < HANDLE_END || !header_is_right(bent) ||
		changes(bent, 2, HANDLE_END));
}

/*
 * A TPM that gives the recorded responses, one of which may be bent.
 */
struct fake_tpm {
	struct tpm_chip chip;
	const struct bent *bent;
	u8 tail;		/* what is in the buffer behind a response */
	int objects;		/* created and not flushed */
	unsigned int refused_sessions;
	unsigned int sent[COMMANDS];
};

static int fake_send(struct tpm_chip *chip, struct tpm_buf *buf)
{
	struct fake_tpm *tpm = container_of(chip, struct fake_tpm, chip);
	struct kunit *test = kunit_get_current_test();
	const struct exchange *e = exchanges;
	const u8 *response;
	bool knows_handle;
	size_t len;
	int rc;

	/* Refuse the null primary key, so that there is no session of our own. */
	if (get_unaligned_be32(buf->data + 6) == TPM2_CC_CREATE_PRIMARY &&
	    get_unaligned_be32(buf->data + TPM_HEADER_SIZE) == TPM2_RH_NULL) {
		tpm->refused_sessions++;
		return TPM_RC_VALUE_2;
	}

	while (memcmp(buf->data + 6, e->command + 6, 4))
		if (++e == exchanges + COMMANDS) {
			KUNIT_FAIL(test, "sent a command that is not expected");
			return 0x143;
		}
	tpm->sent[e - exchanges]++;

	KUNIT_EXPECT_EQ(test, buf->length, e->command_len);
	knows_handle = !memcmp(buf->data + TPM_HEADER_SIZE,
			       e->command + TPM_HEADER_SIZE, 4);
	if (knows_handle)
		KUNIT_EXPECT_MEMEQ(test, buf->data, e->command, e->command_len);
	if (e == &exchanges[CMD_CREATE_PRIMARY])
		tpm->objects++;
	if (e == &exchanges[CMD_HMAC] && !knows_handle)
		return TPM_RC_H0;
	if (e == &exchanges[CMD_FLUSH]) {
		if (!knows_handle)
			return TPM_RC_HANDLE_1;
		tpm->objects--;
	}

	response = e->response;
	len = e->response_len;
	if (tpm->bent && e == &exchanges[tpm->bent->which]) {
		response = tpm->bent->data;
		len = tpm->bent->len;
	}
	memset(buf->data, tpm->tail, 1024);
	memcpy(buf->data, response, len);

	/* As tpm_transmit_cmd() and derived_tpm_send() do. */
	if (len < TPM_HEADER_SIZE || get_unaligned_be32(response + 2) != len)
		return -EFAULT;
	rc = get_unaligned_be32(response + 6);
	if (rc)
		return rc < 0 ? -EBADMSG : rc;
	buf->length = len;
	return 0;
}

static int never_send(struct tpm_chip *chip, struct tpm_buf *buf)
{
	KUNIT_FAIL(kunit_get_current_test(), "a command was sent");
	return -ENODEV;
}

/* Fetches the root secret, with one response bent. */
static int fetch_with(struct kunit *test, struct fake_tpm *tpm,
		      const struct bent *bent, u8 root[DERIVED_ROOT_SIZE],
		      struct tpm2_report *report)
{
	struct tpm_buf *buf = kunit_kzalloc(test, TPM_BUFSIZE, GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	tpm_buf_init(buf, TPM_BUFSIZE);
	tpm->bent = bent;
	tpm->objects = 0;
	tpm->refused_sessions = 0;
	memset(tpm->sent, 0, sizeof(tpm->sent));
	memset(report, 0, sizeof(*report));
	memset(root, UNTOUCHED, DERIVED_ROOT_SIZE);

	kunit_activate_static_stub(test, derived_tpm_send, fake_send);
	/* The fake TPM cannot answer in the kernel's session. */
	if (IS_ENABLED(CONFIG_TCG_TPM2_HMAC))
		err = fetch_by(&tpm->chip, buf, true, false, root, report);
	else
		err = fetch_from(&tpm->chip, buf, root, report);
	kunit_deactivate_static_stub(test, derived_tpm_send);
	kunit_kfree(test, buf);
	return err;
}

/* TPMA_CC: the code, how many handles, whether there is one in the response. */
#define TPMA_CC(command, handles, response_handles)			\
	((command) | (handles) << TPM2_CC_ATTR_CHANDLES |		\
	 (response_handles) << TPM2_CC_ATTR_RHANDLE)

static struct fake_tpm *make_tpm(struct kunit *test)
{
	static u32 commands[] = {
		TPMA_CC(TPM2_CC_CREATE_PRIMARY, 1, 1),
		TPMA_CC(TPM_CC_HMAC, 1, 0),
	};
	struct fake_tpm *tpm = kunit_kzalloc(test, sizeof(*tpm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tpm);
	tpm->chip.flags = TPM_CHIP_FLAG_TPM2;
	tpm->chip.nr_commands = ARRAY_SIZE(commands);
	tpm->chip.cc_attrs_tbl = commands;
	return tpm;
}

static void honest_test(struct kunit *test)
{
	struct fake_tpm *tpm = make_tpm(test);
	struct tpm2_report report;
	u8 root[DERIVED_ROOT_SIZE];
	struct hmac_sha256_key key;
	int i;

	KUNIT_EXPECT_EQ(test, fetch_with(test, tpm, NULL, root, &report), 0);
	KUNIT_EXPECT_MEMEQ(test, root, golden_root, sizeof(root));
	for (i = 0; i < COMMANDS; i++)
		KUNIT_EXPECT_EQ_MSG(test, tpm->sent[i], 1, "%s",
				    exchanges[i].name);
	KUNIT_EXPECT_EQ(test, tpm->objects, 0);
	KUNIT_EXPECT_EQ(test, tpm->refused_sessions, 1);
	KUNIT_EXPECT_EQ(test, report.left, 0);
	KUNIT_EXPECT_STREQ(test, report.vendor, "IBM");

	hmac_sha256_preparekey(&key, root, sizeof(root));
	KUNIT_EXPECT_EQ(test, derived_check_value(&key, DERIVED_USE_ROOT_CHECK,
						  NULL, 0), GOLDEN_ROOT_CHECK);
}

/* By default, the same TPM gets no command about the root secret. */
static void in_clear_test(struct kunit *test)
{
	struct fake_tpm *tpm = make_tpm(test);
	struct tpm2_report report;
	u8 root[DERIVED_ROOT_SIZE];
	int i;

	derived_require_encryption = true;
	KUNIT_EXPECT_EQ(test, fetch_with(test, tpm, NULL, root, &report),
			-EOPNOTSUPP);
	KUNIT_EXPECT_NULL(test, memchr_inv(root, UNTOUCHED, sizeof(root)));
	for (i = 0; i < COMMANDS; i++)
		KUNIT_EXPECT_EQ_MSG(test, tpm->sent[i], 0, "%s",
				    exchanges[i].name);
	KUNIT_EXPECT_EQ(test, tpm->refused_sessions, 1);
	KUNIT_EXPECT_EQ(test, report.cause, DERIVED_CAUSE_SESSION);
	/* The beginning and the end of the line: it was not cut. */
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.why, "TPM_RC 0x2c4)"),
				  "%s", report.why);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.why, "derived-keys.conf"),
				  "%s", report.why);
}

/*
 * Makes a fetch with one bent response, and checks its result: it fails, unless
 * may_pass(); and no object is left, unless hides_object().
 */
static void expect_of_bent(struct kunit *test, const struct bent *bent)
{
	struct fake_tpm *tpm = test->priv;
	struct tpm2_report report[2];
	u8 root[2][DERIVED_ROOT_SIZE];
	bool was_digest;
	int err[2], i;

	/* The bytes behind the response must not matter. */
	for (i = 0; i < 2; i++) {
		tpm->tail = i ? 0xff : 0x00;
		err[i] = fetch_with(test, tpm, bent, root[i], &report[i]);

		KUNIT_EXPECT_EQ_MSG(test, tpm->objects, hides_object(bent),
				    "%s, %s %zu: left in the TPM",
				    exchanges[bent->which].name, bent->how,
				    bent->at);
	}
	KUNIT_EXPECT_EQ(test, err[0], err[1]);
	KUNIT_EXPECT_MEMEQ(test, root[0], root[1], sizeof(root[0]));
	KUNIT_EXPECT_STREQ(test, report[0].vendor, report[1].vendor);
	KUNIT_EXPECT_MEMEQ(test, report[0].firmware, report[1].firmware,
			   sizeof(report[0].firmware));

	switch (err[0]) {
	case 0:
		KUNIT_EXPECT_TRUE_MSG(test, may_pass(bent), "%s, %s %zu: passed",
				      exchanges[bent->which].name, bent->how,
				      bent->at);
		was_digest = bent->which == CMD_HMAC &&
			     changes(bent, DIGEST_AT, DIGEST_END);
		KUNIT_EXPECT_EQ(test, !memcmp(root[0], golden_root,
					      sizeof(root[0])), !was_digest);
		break;
	case -EIO:
	case -EACCES:
	case -EAGAIN:
		KUNIT_EXPECT_TRUE_MSG(test, bent->which == CMD_CREATE_PRIMARY ||
				      bent->which == CMD_HMAC,
				      "%s, %s %zu: errno %d",
				      exchanges[bent->which].name, bent->how,
				      bent->at, -err[0]);
		/* No byte of a possible secret is left behind. */
		KUNIT_EXPECT_NULL(test, memchr_inv(root[0], UNTOUCHED,
						   sizeof(root[0])));
		break;
	default:
		KUNIT_FAIL(test, "%s, %s %zu: errno %d",
			   exchanges[bent->which].name, bent->how, bent->at,
			   -err[0]);
	}
}

/* The place of a response's parameters, behind their size. */
static const struct {
	size_t at;
	size_t end;
} parameters[COMMANDS] = {
	[CMD_CREATE_PRIMARY] = { HANDLE_END + 4, 267 },
	[CMD_HMAC] = { TPM_HEADER_SIZE + 4, DIGEST_END },
};

/* Cuts the parameters short, and makes all sizes right again. */
static void cut_parameters(struct bent *bent, size_t n)
{
	const struct exchange *e = &exchanges[bent->which];
	const size_t at = parameters[bent->which].at;
	const size_t end = parameters[bent->which].end;

	bent->len = e->response_len - (end - at) + n;
	memcpy(bent->data, e->response, at + n);
	memcpy(bent->data + at + n, e->response + end, e->response_len - end);
	put_unaligned_be32(bent->len, bent->data + 2);
	put_unaligned_be32(n, bent->data + at - 4);
	bent->at = n;
	bent->how = "parameters cut to";
}

/* Bends each response in every place, one place at a time. */
static void bent_response_test(struct kunit *test)
{
	static const u8 masks[] = { 0x01, 0x80, 0xff };
	static const u32 lengths[] = { 0, 1, U32_MAX };
	const struct length_field *field;
	const struct exchange *e;
	unsigned int count = 0;
	struct bent *bent;
	size_t n, i;

	bent = kunit_kzalloc(test, sizeof(*bent), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bent);
	test->priv = make_tpm(test);

	for (bent->which = 0; bent->which < COMMANDS; bent->which++) {
		e = &exchanges[bent->which];

		/* Cut short, and with its size made right. */
		for (n = 0; n < e->response_len; n++) {
			memcpy(bent->data, e->response, e->response_len);
			bent->len = n;
			bent->at = n;
			bent->how = "cut to";
			expect_of_bent(test, bent);
			if (n >= TPM_HEADER_SIZE) {
				put_unaligned_be32(n, bent->data + 2);
				expect_of_bent(test, bent);
			}
			count++;
		}

		n = parameters[bent->which].end - parameters[bent->which].at;
		while (n--) {
			cut_parameters(bent, n);
			expect_of_bent(test, bent);
			count++;
		}

		bent->len = e->response_len;
		bent->how = "byte";
		for (n = 0; n < e->response_len; n++) {
			for (i = 0; i < ARRAY_SIZE(masks); i++) {
				memcpy(bent->data, e->response, bent->len);
				bent->data[n] ^= masks[i];
				bent->at = n;
				expect_of_bent(test, bent);
				count++;
			}
		}

		bent->how = "length at";
		for (i = 0; i < e->nr_lengths * ARRAY_SIZE(lengths); i++) {
			field = &e->lengths[i / ARRAY_SIZE(lengths)];
			memcpy(bent->data, e->response, bent->len);
			if (field->width == 4)
				put_unaligned_be32(lengths[i % ARRAY_SIZE(lengths)],
						   bent->data + field->at);
			else
				put_unaligned_be16(lengths[i % ARRAY_SIZE(lengths)],
						   bent->data + field->at);
			if (!memcmp(bent->data, e->response, bent->len))
				continue;	/* it was that already */
			bent->at = field->at;
			expect_of_bent(test, bent);
			count++;
		}
	}
	kunit_info(test, "%u bent responses\n", count);
	KUNIT_EXPECT_GT(test, count, 1000u);
}

/*
 * A TPM whose list of commands contradicts the specification gets no command:
 * the kernel's sessions believe that list.
 */
static void odd_commands_test(struct kunit *test)
{
	static u32 lists[][2] = {
		{ TPMA_CC(TPM_CC_HMAC, 1, 0) },	/* no TPM2_CreatePrimary */
		{ TPMA_CC(TPM2_CC_CREATE_PRIMARY, 1, 1) |
		  BIT(TPM2_CC_ATTR_VENDOR) },	/* the vendor's own one */
		{ TPMA_CC(TPM2_CC_CREATE_PRIMARY, 2, 1) },
		{ TPMA_CC(TPM2_CC_CREATE_PRIMARY, 1, 0) },
		{ TPMA_CC(TPM2_CC_CREATE_PRIMARY, 1, 1),
		  TPMA_CC(TPM_CC_HMAC, 0, 0) },
		{ TPMA_CC(TPM2_CC_CREATE_PRIMARY, 1, 1),
		  TPMA_CC(TPM_CC_HMAC, 1, 1) },
	};
	struct tpm_chip *chip = &make_tpm(test)->chip;
	struct tpm_buf *buf = kunit_kzalloc(test, TPM_BUFSIZE, GFP_KERNEL);
	struct tpm2_report report = {};
	u8 root[DERIVED_ROOT_SIZE];
	int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	tpm_buf_init(buf, TPM_BUFSIZE);
	kunit_activate_static_stub(test, derived_tpm_send, never_send);
	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		chip->cc_attrs_tbl = lists[i];
		chip->nr_commands = ARRAY_SIZE(lists[i]);
		KUNIT_EXPECT_EQ_MSG(test, fetch_from(chip, buf, root, &report),
				    -EIO, "list %d", i);
		KUNIT_EXPECT_EQ(test, report.cause, DERIVED_CAUSE_TPM_FAILED);
	}
	chip->flags = 0;
	KUNIT_EXPECT_EQ(test, fetch_from(chip, buf, root, &report), -ENXIO);
	KUNIT_EXPECT_EQ(test, report.cause, DERIVED_CAUSE_NO_TPM);
	kunit_deactivate_static_stub(test, derived_tpm_send);
}

/* Answers to TPM2_FlushContext, and whether the object stays in the TPM. */
static const struct {
	int rc;
	bool stays;
} flush_answers[] = {
	{ TPM2_RC_SUCCESS, false },
	{ TPM2_RC_INITIALIZE, false },	/* a TPM that was reset, and not started */
	{ TPM2_RC_HANDLE, false },
	{ TPM_RC_HANDLE_1, false },
	{ 0x108b, true },		/* more than twelve bits: no return code */
	{ 0x101, true },		/* TPM_RC_FAILURE */
	{ 0x1c4, true },		/* TPM_RC_VALUE, of parameter 1 */
	{ -EBADMSG, true },
	{ -ETIME, true },
};

static int answer_flush(struct tpm_chip *chip, struct tpm_buf *buf)
{
	return flush_answers[chip->dev_num].rc;
}

static void flush_test(struct kunit *test)
{
	struct tpm_buf *buf = kunit_kzalloc(test, TPM_BUFSIZE, GFP_KERNEL);
	struct tpm_chip *chip = &make_tpm(test)->chip;
	const u32 handle = 0x80000001;
	struct tpm2_report report;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	tpm_buf_init(buf, TPM_BUFSIZE);
	kunit_activate_static_stub(test, derived_tpm_send, answer_flush);
	for (chip->dev_num = 0; chip->dev_num < ARRAY_SIZE(flush_answers);
	     chip->dev_num++) {
		memset(&report, 0, sizeof(report));
		derived_tpm_flush(chip, buf, handle, &report);
		KUNIT_EXPECT_EQ_MSG(test, report.left,
				    flush_answers[chip->dev_num].stays ? handle : 0,
				    "%d", flush_answers[chip->dev_num].rc);
	}
	kunit_deactivate_static_stub(test, derived_tpm_send);
}

/* The errno of add_key(2) when a command fails. */
static const struct {
	int rc;
	int err;
	enum derived_cause cause;
} failures[] = {
	{ -ENODEV, -ENXIO, DERIVED_CAUSE_NO_TPM },
	{ -ENXIO, -ENXIO, DERIVED_CAUSE_NO_TPM },
	{ -EPIPE, -ENXIO, DERIVED_CAUSE_NO_TPM },
	{ -ECANCELED, -ENXIO, DERIVED_CAUSE_NO_TPM },
	{ -EFAULT, -EIO, DERIVED_CAUSE_TPM_FAILED },
	{ -EBADMSG, -EIO, DERIVED_CAUSE_TPM_FAILED },
	{ -EIO, -EIO, DERIVED_CAUSE_TPM_FAILED },
	{ -EINVAL, -EIO, DERIVED_CAUSE_TPM_FAILED },
	{ -EINTR, -EIO, DERIVED_CAUSE_TPM_FAILED },
	{ -ENOMEM, -ENOMEM, DERIVED_CAUSE_TPM_FAILED },
	{ -ETIME, -ETIME, DERIVED_CAUSE_TPM_FAILED },
	{ 0x185, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_HIERARCHY, handle 1 */
	{ 0x120, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_DISABLED */
	{ 0x9a2, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_BAD_AUTH, session 1 */
	{ 0x98e, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_AUTH_FAIL, session 1 */
	{ 0x125, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_AUTH_MISSING */
	{ 0x12f, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_AUTH_UNAVAILABLE */
	{ 0x99d, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_POLICY_FAIL, session 1 */
	{ 0x921, -EACCES, DERIVED_CAUSE_TPM_REFUSED },	/* TPM_RC_LOCKOUT */
	{ 0x902, -EAGAIN, DERIVED_CAUSE_TPM_BUSY },	/* TPM_RC_OBJECT_MEMORY */
	{ 0x903, -EAGAIN, DERIVED_CAUSE_TPM_BUSY },	/* TPM_RC_SESSION_MEMORY */
	{ 0x90a, -EAGAIN, DERIVED_CAUSE_TPM_BUSY },	/* TPM_RC_TESTING */
	{ 0x922, -EAGAIN, DERIVED_CAUSE_TPM_BUSY },	/* TPM_RC_RETRY */
	{ 0x910, -EIO, DERIVED_CAUSE_TPM_FAILED },	/* TPM_RC_REFERENCE_H0 */
	{ 0x101, -EIO, DERIVED_CAUSE_TPM_FAILED },	/* TPM_RC_FAILURE */
	{ 0x143, -EIO, DERIVED_CAUSE_TPM_FAILED },	/* TPM_RC_COMMAND_CODE */
	{ 0x1c4, -EIO, DERIVED_CAUSE_TPM_FAILED },	/* TPM_RC_VALUE, parameter 1 */
	{ 0x1922, -EIO, DERIVED_CAUSE_TPM_FAILED },	/* more bits than there are */
	{ INT_MAX, -EIO, DERIVED_CAUSE_TPM_FAILED },
};

static void failure_test(struct kunit *test)
{
	struct tpm2_report report;
	int i;

	for (i = 0; i < ARRAY_SIZE(failures); i++) {
		memset(&report, 0, sizeof(report));
		KUNIT_EXPECT_EQ_MSG(test, derived_tpm_fail_rc(&report, "TPM2_HMAC",
							      failures[i].rc),
				    failures[i].err, "%d", failures[i].rc);
		KUNIT_EXPECT_EQ_MSG(test, report.cause, failures[i].cause, "%d",
				    failures[i].rc);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.why, "TPM2_HMAC"),
					  "%d: %s", failures[i].rc, report.why);
	}
}

static bool require_encryption_before;

static int tpm_init(struct kunit *test)
{
	require_encryption_before = derived_require_encryption;
	derived_require_encryption = false;
	return 0;
}

static void tpm_exit(struct kunit *test)
{
	derived_require_encryption = require_encryption_before;
}

static struct kunit_case tpm_cases[] = {
	KUNIT_CASE(honest_test),
	KUNIT_CASE(in_clear_test),
	KUNIT_CASE(odd_commands_test),
	KUNIT_CASE(flush_test),
	KUNIT_CASE(failure_test),
	KUNIT_CASE_SLOW(bent_response_test),
	{}
};

static struct kunit_suite tpm_suite = {
	.name = "derived-keys-tpm",
	.init = tpm_init,
	.exit = tpm_exit,
	.test_cases = tpm_cases,
};

kunit_test_suite(tpm_suite);
