// SPDX-License-Identifier: GPL-2.0
/*
 * kdf-vectors: compare KDFa and KDFe (tpm2_kdf.c) with the results of
 * tests/vectors/kdf/generate. The module loads if all are equal, and logs how
 * many were compared.
 *
 * This would be a KUnit test if stock kernels had KUnit.
 */

#include <linux/module.h>
#include <linux/string.h>

#include "tpm2_kdf.c"
#include "expected.h"

static bool wrong;
module_param(wrong, bool, 0444);
MODULE_PARM_DESC(wrong, "compare with a wrong vector, too: to see that it is noticed");

static u8 key[32], u[32], v[32];

static void pattern(u8 *out, size_t len, u8 seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = seed + 7 * i;
}

static int compare(const char *what, const u8 *got, const u8 *want, size_t len,
		   u8 after)
{
	if (memcmp(got, want, len)) {
		pr_err("kdf-vectors: %s of %zu bytes: got %*ph\n", what, len,
		       (int)min(len, sizeof(key)), got);
		return 1;
	}
	if (after != 0xa5) {
		pr_err("kdf-vectors: %s of %zu bytes wrote beyond\n", what, len);
		return 1;
	}
	return 0;
}

static int compare_one(const u8 *want_a, const u8 *want_e, size_t len)
{
	struct hmac_sha256_key prepared;
	u8 out[101];
	int bad;

	hmac_sha256_preparekey(&prepared, key, sizeof(key));
	memset(out, 0xa5, sizeof(out));
	derived_tpm_kdfa(&prepared, "XOR", u, sizeof(u), v, sizeof(v), out, len);
	bad = compare("KDFa", out, want_a, len, out[len]);
	memset(out, 0xa5, sizeof(out));
	derived_tpm_kdfe(key, sizeof(key), "SECRET", u, sizeof(u), v, sizeof(v),
			 out, len);
	return bad + compare("KDFe", out, want_e, len, out[len]);
}

static int compare_all(void)
{
	static u8 from_u[200], from_v[200], out[200];
	struct sha256_ctx all_a, all_e;
	struct hmac_sha256_key prepared;
	u8 digest[32];
	size_t n;
	int bad;

	hmac_sha256_preparekey(&prepared, key, sizeof(key));
	sha256_init(&all_a);
	sha256_init(&all_e);
	for (n = 0; n <= 200; n++) {
		pattern(from_u, n, 5);
		pattern(from_v, 200 - n, 6);
		derived_tpm_kdfa(&prepared, "ATH", from_u, n, from_v, 200 - n, out, n);
		sha256_update(&all_a, out, n);
		derived_tpm_kdfe(key, sizeof(key), "SECRET", from_u, n, from_v,
				 200 - n, out, n);
		sha256_update(&all_e, out, n);
	}
	sha256_final(&all_a, digest);
	bad = compare("KDFa, all lengths,", digest, kdfa_all, sizeof(digest), 0xa5);
	sha256_final(&all_e, digest);
	return bad + compare("KDFe, all lengths,", digest, kdfe_all, sizeof(digest), 0xa5);
}

#define ONE(n) compare_one(kdfa_##n, kdfe_##n, n)

static int __init kdf_vectors_init(void)
{
	int bad;

	pattern(key, sizeof(key), 1);
	pattern(u, sizeof(u), 2);
	pattern(v, sizeof(v), 3);
	bad = ONE(1) + ONE(16) + ONE(32) + ONE(33) + ONE(48) + ONE(100) + compare_all();
	if (wrong)
		bad += compare_one(kdfe_32, kdfe_32, 32);
	pr_info("kdf-vectors: 414 outputs compared in 14 ways, %d wrong\n", bad);
	return bad ? -EBADMSG : 0;
}
module_init(kdf_vectors_init);

static void __exit kdf_vectors_exit(void)
{
}
module_exit(kdf_vectors_exit);

MODULE_DESCRIPTION("Test vectors of KDFa and KDFe");
MODULE_LICENSE("GPL");
