// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the capped root: the policy, the template, the cap event, and
 * what becomes of a fetch when the PCRs are not as they should be. tpm2_hmac.c
 * includes this file, after tpm2_hmac_kunit.c.
 *
 * The fake TPM here has PCRs and no session: a fetch that gets as far as a
 * session fails there. tests/e2e/capped-faults.sh has whole fetches.
 */

#define CAP	13

/**
 * struct fake_pcrs - a TPM that has PCRs
 * @tpm:	its chip
 * @pcrs:	their values; .present are those that its SHA-256 bank has
 * @properties:	by TPM_PT_PCR: the PCRs that have this property
 * @refused:	a command code that it refuses, or 0
 * @refusal:	with this return code
 * @ignores:	whether it ignores TPM2_PCR_Extend
 * @extends:	how many TPM2_PCR_Extend it got
 * @sent:	how many commands it got
 * @bend:	this byte of each response to TPM2_PCR_Read is changed, or -1
 */
struct fake_pcrs {
	struct fake_tpm *tpm;
	struct derived_pcrs pcrs;
	u32 properties[32];
	u32 refused;
	int refusal;
	bool ignores;
	unsigned int extends;
	unsigned int sent;
	int bend;
};

static void give_properties(struct fake_pcrs *fake, struct tpm_buf *buf)
{
	int i;

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, 0);
	tpm_buf_append_u8(buf, 0);
	tpm_buf_append_u32(buf, 7);		/* TPM_CAP_PCR_PROPERTIES */
	tpm_buf_append_u32(buf, ARRAY_SIZE(fake->properties));
	for (i = 0; i < ARRAY_SIZE(fake->properties); i++) {
		tpm_buf_append_u32(buf, i);
		tpm_buf_append_u8(buf, 3);
		tpm_buf_append_u8(buf, fake->properties[i]);
		tpm_buf_append_u8(buf, fake->properties[i] >> 8);
		tpm_buf_append_u8(buf, fake->properties[i] >> 16);
	}
}

static void give_values(struct fake_pcrs *fake, struct tpm_buf *buf, u32 wanted)
{
	const u32 given = wanted & fake->pcrs.present;
	int i;

	tpm_buf_reset(buf, TPM2_ST_NO_SESSIONS, 0);
	tpm_buf_append_u32(buf, 1);		/* pcrUpdateCounter */
	tpm_buf_append_u32(buf, 1);
	tpm_buf_append_u16(buf, TPM_ALG_SHA256);
	tpm_buf_append_u8(buf, 3);
	tpm_buf_append_u8(buf, given);
	tpm_buf_append_u8(buf, given >> 8);
	tpm_buf_append_u8(buf, given >> 16);
	tpm_buf_append_u32(buf, hweight32(given));
	for (i = 0; i < DERIVED_PCRS; i++) {
		if (!(given & BIT(i)))
			continue;
		tpm_buf_append_u16(buf, SHA256_DIGEST_SIZE);
		tpm_buf_append(buf, fake->pcrs.value[i], SHA256_DIGEST_SIZE);
	}
	if (fake->bend >= 0 && fake->bend < buf->length)
		buf->data[fake->bend] ^= 0x01;
}

/* TPM2_PCR_Extend: handle, u32 9 and the password, digests. */
static void extend_value(struct fake_pcrs *fake, struct tpm_buf *buf)
{
	const u32 pcr = get_unaligned_be32(buf->data + TPM_HEADER_SIZE);
	const u8 *p = buf->data + TPM_HEADER_SIZE + 4 + 4 + 9 + 4;
	u8 both[2 * SHA256_DIGEST_SIZE];

	fake->extends++;
	if (!fake->ignores && get_unaligned_be16(p) == TPM_ALG_SHA256) {
		memcpy(both, fake->pcrs.value[pcr], SHA256_DIGEST_SIZE);
		memcpy(both + SHA256_DIGEST_SIZE, p + 2, SHA256_DIGEST_SIZE);
		sha256(both, sizeof(both), fake->pcrs.value[pcr]);
	}
	tpm_buf_reset(buf, TPM2_ST_SESSIONS, 0);
	tpm_buf_append_u32(buf, 0);
	tpm_buf_append_u16(buf, 0);
	tpm_buf_append_u8(buf, 1);
	tpm_buf_append_u16(buf, 0);
}

static int send_to_pcrs(struct tpm_chip *chip, struct tpm_buf *buf)
{
	struct kunit *test = kunit_get_current_test();
	const u32 command = get_unaligned_be32(buf->data + 6);
	struct fake_pcrs *fake = test->priv;

	/* A loop without end is a failure, not a test that hangs. */
	if (++fake->sent > 200) {
		KUNIT_FAIL(test, "more than 200 commands");
		return -ENODEV;
	}
	if (command == fake->refused)
		return fake->refusal;
	switch (command) {
	case TPM2_CC_GET_CAPABILITY:
		give_properties(fake, buf);
		break;
	case TPM2_CC_PCR_READ:
		give_values(fake, buf,
			    get_unaligned_le32(buf->data + TPM_HEADER_SIZE + 7) &
			    0xffffff);
		break;
	case TPM2_CC_PCR_EXTEND:
		extend_value(fake, buf);
		break;
	default:	/* above all, the null primary key */
		return TPM_RC_VALUE_2;
	}
	put_unaligned_be32(0, buf->data + 6);
	return 0;
}

static struct fake_pcrs *make_pcrs(struct kunit *test)
{
	struct fake_pcrs *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->tpm = make_tpm(test);
	fake->pcrs.present = GENMASK(15, 0);
	fake->properties[0] = GENMASK(15, 0);	/* TPM_PT_PCR_SAVE */
	fake->bend = -1;
	test->priv = fake;
	return fake;
}

static int fetch_from_pcrs(struct kunit *test, struct fake_pcrs *fake,
			   struct derived_capped *capped)
{
	struct tpm_buf *buf = kunit_kzalloc(test, TPM_BUFSIZE, GFP_KERNEL);
	u8 secret[DERIVED_ROOT_SIZE];
	struct tpm2_report report = { };
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	tpm_buf_init(buf, TPM_BUFSIZE);
	memset(secret, UNTOUCHED, sizeof(secret));
	capped->state = DERIVED_CAP_OPEN;
	capped->closed = false;
	capped->no_bank = false;
	capped->extended = false;
	capped->pcrs.present = 0;
	fake->sent = 0;
	fake->extends = 0;
	kunit_activate_static_stub(test, derived_tpm_send, send_to_pcrs);
	err = fetch_capped_from(&fake->tpm->chip, buf, capped, secret, &report);
	kunit_deactivate_static_stub(test, derived_tpm_send);
	kunit_kfree(test, buf);

	/* No fetch succeeds here, so nothing may be taken for a secret. */
	KUNIT_EXPECT_LT(test, err, 0);
	KUNIT_EXPECT_NE(test, capped->state, DERIVED_CAP_HELD);
	KUNIT_EXPECT_NULL(test, memchr_inv(secret, UNTOUCHED, sizeof(secret)));
	KUNIT_EXPECT_NE(test, report.why[0], '\0');
	return err;
}

/* The policies, inputs and check values of the golden vectors. */
static void policy_test(struct kunit *test)
{
	struct derived_pcrs *pcrs = kunit_kzalloc(test, sizeof(*pcrs), GFP_KERNEL);
	u8 policy[SHA256_DIGEST_SIZE], input[DERIVED_CAPPED_INPUT_SIZE];
	const struct capped_root_vector *v;
	struct derived_root root;
	u32 selected;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, pcrs);
	for (v = capped_roots; v < capped_roots + ARRAY_SIZE(capped_roots); v++) {
		/* Neither the value of the cap PCR nor that of another one matters. */
		memset(pcrs->value, 0x5a, sizeof(pcrs->value));
		selected = BIT(v->cap);
		for (i = 0; i < v->count; i++) {
			selected |= BIT(v->pcrs[i]);
			memcpy(pcrs->value[v->pcrs[i]], v->values[i],
			       SHA256_DIGEST_SIZE);
		}
		KUNIT_EXPECT_EQ(test, selected, v->mask[0] | v->mask[1] << 8 |
				v->mask[2] << 16);
		derived_policy_digest(pcrs, selected, v->cap, policy);
		KUNIT_EXPECT_MEMEQ(test, policy, v->policy, sizeof(policy));
		derived_capped_input(policy, input);
		KUNIT_EXPECT_MEMEQ(test, input, v->input, sizeof(input));
		derived_root_prepare(&root, v->root);
		KUNIT_EXPECT_EQ(test, root.check, v->check);
		if (!v->count)
			continue;
		pcrs->value[v->pcrs[0]][31] ^= 1;
		derived_policy_digest(pcrs, selected, v->cap, policy);
		KUNIT_EXPECT_MEMNEQ(test, policy, v->policy, sizeof(policy));
	}
}

/* The keys of the golden vectors, from their roots. */
static void capped_key_test(struct kunit *test)
{
	const struct capped_key_vector *v;
	struct derived_root root;
	u8 *encoded, *key;
	size_t size;

	for (v = capped_keys; v < capped_keys + ARRAY_SIZE(capped_keys); v++) {
		const struct derived_context context = {
			.length = v->length,
			.euid = v->uid,
			.path = v->path,
			.path_len = v->path ? strlen(v->path) : 0,
			.sha256 = v->digest,
			.noread = v->noread,
			.mixin = (const u8 *)v->mixin,
			.mixin_len = v->mixin ? strlen(v->mixin) : 0,
			.capped = true,
		};

		size = derived_context_size(&context);
		KUNIT_ASSERT_EQ_MSG(test, size, v->context_size, "%s", v->name);
		encoded = kunit_kzalloc(test, size, GFP_KERNEL);
		key = kunit_kzalloc(test, v->length, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, encoded);
		KUNIT_ASSERT_NOT_NULL(test, key);
		derived_context_encode(&context, encoded);
		KUNIT_EXPECT_MEMEQ_MSG(test, encoded, v->context, size, "%s", v->name);
		derived_root_prepare(&root, capped_roots[v->root].root);
		derived_kdf(&root.key, DERIVED_USE_KEY, encoded, size, key, v->length);
		KUNIT_EXPECT_MEMEQ_MSG(test, key, v->key, v->length, "%s", v->name);
		KUNIT_EXPECT_EQ_MSG(test, derived_check_value(&root.key, DERIVED_USE_KCV,
							      encoded, size), v->kcv,
				    "%s", v->name);
	}
}

static u8 captured[256];
static size_t captured_len;

static int capture(struct tpm_chip *chip, struct tpm_buf *buf)
{
	captured_len = min_t(size_t, buf->length, sizeof(captured));
	memcpy(captured, buf->data, captured_len);
	return TPM_RC_VALUE_2;
}

static void template_test(struct kunit *test)
{
	struct tpm_buf *buf = kunit_kzalloc(test, TPM_BUFSIZE, GFP_KERNEL);
	struct derived_session session = {
		.chip = &make_tpm(test)->chip, .kind = DERIVED_SESSION_PASSWORD,
	};
	const struct capped_root_vector *v;
	struct derived_primary primary = { };
	struct tpm2_report report = { };
	/* Header, handle, size and password, inSensitive, size of the template. */
	const size_t at = TPM_HEADER_SIZE + 4 + 4 + 9 + 6 + 2;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	tpm_buf_init(buf, TPM_BUFSIZE);
	kunit_activate_static_stub(test, derived_tpm_send, capture);
	for (v = capped_roots; v < capped_roots + ARRAY_SIZE(capped_roots); v++) {
		KUNIT_EXPECT_EQ(test, create_primary(&session, buf, v->policy,
						     &primary, &report), -EIO);
		KUNIT_ASSERT_GE(test, captured_len, at + sizeof(v->template));
		KUNIT_EXPECT_EQ(test, get_unaligned_be16(captured + at - 2),
				sizeof(v->template));
		KUNIT_EXPECT_MEMEQ(test, captured + at, v->template,
				   sizeof(v->template));
	}
	kunit_deactivate_static_stub(test, derived_tpm_send);
}

/* The cap event has the right hash for each bank of the TPM. */
static void cap_event_test(struct kunit *test)
{
	static const struct {
		u16 alg;
		const u8 *event;
		size_t size;
	} banks[] = {
		{ TPM_ALG_SHA1, cap_event_sha1, sizeof(cap_event_sha1) },
		{ TPM_ALG_SHA256, cap_event_sha256, sizeof(cap_event_sha256) },
		{ TPM_ALG_SHA384, cap_event_sha384, sizeof(cap_event_sha384) },
		{ TPM_ALG_SHA512, cap_event_sha512, sizeof(cap_event_sha512) },
	};
	struct tpm_buf *buf = kunit_kzalloc(test, TPM_BUFSIZE, GFP_KERNEL);
	struct tpm_chip *chip = &make_tpm(test)->chip;
	const u8 *p = captured + TPM_HEADER_SIZE + 4 + 4 + 9;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	tpm_buf_init(buf, TPM_BUFSIZE);
	chip->nr_allocated_banks = ARRAY_SIZE(banks);
	for (i = 0; i < ARRAY_SIZE(banks); i++)
		chip->allocated_banks[i].alg_id = banks[i].alg;

	kunit_activate_static_stub(test, derived_tpm_send, capture);
	KUNIT_EXPECT_EQ(test, derived_pcr_close(chip, buf, CAP, true), TPM_RC_VALUE_2);
	KUNIT_EXPECT_EQ(test, get_unaligned_be32(p), ARRAY_SIZE(banks));
	p += 4;
	for (i = 0; i < ARRAY_SIZE(banks); i++) {
		KUNIT_EXPECT_EQ(test, get_unaligned_be16(p), banks[i].alg);
		KUNIT_EXPECT_MEMEQ(test, p + 2, banks[i].event, banks[i].size);
		p += 2 + banks[i].size;
	}
	KUNIT_EXPECT_EQ(test, p - captured, captured_len);

	KUNIT_EXPECT_EQ(test, derived_pcr_close(chip, buf, CAP, false), TPM_RC_VALUE_2);
	p = captured + TPM_HEADER_SIZE + 4 + 4 + 9;
	KUNIT_EXPECT_EQ(test, get_unaligned_be32(p), 1);
	KUNIT_EXPECT_EQ(test, get_unaligned_be16(p + 4), TPM_ALG_SHA256);
	KUNIT_EXPECT_MEMEQ(test, p + 6, cap_event_sha256, sizeof(cap_event_sha256));
	kunit_deactivate_static_stub(test, derived_tpm_send);
}

/* The fields of a case of states_test() that are not zero and not 13. */
struct cap_case {
	const char *name;
	u32 further;
	u32 absent;			/* PCRs that the SHA-256 bank lacks */
	int closed_pcr, ones_pcr, used_pcr;
	int property;			/* this TPM_PT_PCR has the cap PCR */
	bool unsaved;			/* and TPM_PT_PCR_SAVE has not */
	bool ignores;
	bool last;
	u32 refused;
	int refusal;
	int err;
	enum derived_cap_state state;
	bool closed;
	unsigned int extends;
};

static const struct cap_case cap_cases[] = {
	{ .name = "no session", .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_MISSED, .closed = true, .extends = 1 },
	{ .name = "closed before", .closed_pcr = CAP, .err = -EACCES,
	  .state = DERIVED_CAP_LATE, .closed = true },
	{ .name = "used", .used_pcr = CAP, .err = -EACCES,
	  .state = DERIVED_CAP_LATE },
	{ .name = "another cap PCR closed before", .closed_pcr = 8, .err = -EACCES,
	  .state = DERIVED_CAP_LATE, .closed = true, .extends = 1 },
	{ .name = "not in the bank", .absent = BIT(CAP), .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .extends = 1 },
	{ .name = "no SHA-256 bank", .absent = GENMASK(15, 0), .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .extends = 1 },
	{ .name = "a further PCR is not in the bank", .further = BIT(7),
	  .absent = BIT(7), .err = -EOPNOTSUPP, .state = DERIVED_CAP_UNFIT,
	  .closed = true, .extends = 1 },
	{ .name = "a further PCR is all zeros", .further = BIT(7),
	  .err = -EOPNOTSUPP, .state = DERIVED_CAP_UNFIT, .closed = true,
	  .extends = 1 },
	{ .name = "a further PCR is all ones", .further = BIT(7), .ones_pcr = 7,
	  .err = -EOPNOTSUPP, .state = DERIVED_CAP_UNFIT, .closed = true,
	  .extends = 1 },
	{ .name = "a further PCR is used", .further = BIT(7), .used_pcr = 7,
	  .err = -EOPNOTSUPP, .state = DERIVED_CAP_MISSED, .closed = true,
	  .extends = 1 },
	{ .name = "reset at locality 0", .property = 0x02, .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .closed = true, .extends = 1 },
	{ .name = "reset at locality 4", .property = 0x0a, .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .closed = true, .extends = 1 },
	{ .name = "no increment", .property = 0x11, .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .closed = true, .extends = 1 },
	{ .name = "DRTM", .property = 0x12, .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .closed = true, .extends = 1 },
	{ .name = "not saved", .unsaved = true, .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_UNFIT, .closed = true, .extends = 1 },
	{ .name = "extends nothing", .ignores = true, .err = -EOPNOTSUPP,
	  .state = DERIVED_CAP_OPEN, .extends = 3 },
	{ .name = "busy", .refused = TPM2_CC_CREATE_PRIMARY, .refusal = 0x922,
	  .err = -EAGAIN, .state = DERIVED_CAP_OPEN },
	{ .name = "busy for long", .refused = TPM2_CC_CREATE_PRIMARY,
	  .refusal = 0x922, .last = true, .err = -EAGAIN,
	  .state = DERIVED_CAP_MISSED, .closed = true, .extends = 1 },
	{ .name = "cannot be read", .refused = TPM2_CC_PCR_READ, .refusal = 0x101,
	  .last = true, .err = -EIO, .state = DERIVED_CAP_OPEN },
	{ .name = "cannot be extended", .refused = TPM2_CC_PCR_EXTEND,
	  .refusal = 0x101, .err = -EOPNOTSUPP, .state = DERIVED_CAP_OPEN },
	{ .name = "went away", .refused = TPM2_CC_PCR_READ, .refusal = -ENODEV,
	  .last = true, .err = -ENXIO, .state = DERIVED_CAP_OPEN },
};

static void states_test(struct kunit *test)
{
	struct derived_capped *capped = kunit_kzalloc(test, sizeof(*capped), GFP_KERNEL);
	struct fake_pcrs *fake = make_pcrs(test);
	const struct cap_case *c;
	u8 (*value)[SHA256_DIGEST_SIZE] = fake->pcrs.value;

	KUNIT_ASSERT_NOT_NULL(test, capped);
	for (c = cap_cases; c < cap_cases + ARRAY_SIZE(cap_cases); c++) {
		memset(value, 0, sizeof(fake->pcrs.value));
		if (c->closed_pcr)
			memcpy(value[c->closed_pcr], cap_closed,
			       SHA256_DIGEST_SIZE);
		if (c->ones_pcr)
			memset(value[c->ones_pcr], 0xff, SHA256_DIGEST_SIZE);
		if (c->used_pcr)
			value[c->used_pcr][3] = 1;
		fake->pcrs.present = GENMASK(15, 0) & ~c->absent;
		memset(fake->properties, 0, sizeof(fake->properties));
		fake->properties[0] = c->unsaved ? 0 : GENMASK(15, 0);
		if (c->property)
			fake->properties[c->property] = BIT(CAP);
		fake->ignores = c->ignores;
		fake->refused = c->refused;
		fake->refusal = c->refusal;
		capped->cap = CAP;
		capped->further = c->further;
		capped->last = c->last;

		KUNIT_EXPECT_EQ_MSG(test, fetch_from_pcrs(test, fake, capped), c->err,
				    "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, capped->state, c->state, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, capped->closed, c->closed, "%s", c->name);
		if (c->refused != TPM2_CC_PCR_EXTEND)
			KUNIT_EXPECT_EQ_MSG(test, fake->extends, c->extends, "%s",
					    c->name);
	}
}

/* No answer to TPM2_PCR_Read makes an open cap PCR look like a closed one. */
static void bent_values_test(struct kunit *test)
{
	struct derived_capped *capped = kunit_kzalloc(test, sizeof(*capped), GFP_KERNEL);
	struct fake_pcrs *fake = make_pcrs(test);

	KUNIT_ASSERT_NOT_NULL(test, capped);
	capped->cap = CAP;
	capped->last = true;
	fake->ignores = true;
	for (fake->bend = 0; fake->bend < 300; fake->bend++) {
		memset(fake->pcrs.value, 0, sizeof(fake->pcrs.value));
		fetch_from_pcrs(test, fake, capped);
		KUNIT_EXPECT_FALSE_MSG(test, capped->closed, "byte %d", fake->bend);
		KUNIT_EXPECT_TRUE_MSG(test, capped->state == DERIVED_CAP_OPEN ||
				      capped->state == DERIVED_CAP_LATE ||
				      capped->state == DERIVED_CAP_UNFIT,
				      "byte %d: state %d", fake->bend,
				      capped->state);
	}
}

static struct kunit_case capped_cases[] = {
	KUNIT_CASE(policy_test),
	KUNIT_CASE(capped_key_test),
	KUNIT_CASE(template_test),
	KUNIT_CASE(cap_event_test),
	KUNIT_CASE(states_test),
	KUNIT_CASE(bent_values_test),
	{}
};

static struct kunit_suite capped_suite = {
	.name = "derived-keys-capped",
	.init = tpm_init,
	.exit = tpm_exit,
	.test_cases = capped_cases,
};

kunit_test_suite(capped_suite);
