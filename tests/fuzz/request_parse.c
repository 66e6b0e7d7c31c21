// SPDX-License-Identifier: GPL-2.0
/*
 * request_parse: derived_request.c as a filter: tests/fuzz/agree compares it
 * with derived-keys-recover. It reads requests, each after its length (32 bits,
 * little endian), and writes a line for each: the name of the errno; or the
 * length, the options, the check value and the length of the mixin.
 */

#include <stdio.h>
#include <stdlib.h>

#include "derived.h"

int main(void)
{
	struct derived_request req;
	uint32_t len;
	u8 *data;
	int err;

	while (fread(&len, sizeof(len), 1, stdin) == 1) {
		data = malloc(len ? len : 1);	/* exact, for AddressSanitizer */
		if (!data || fread(data, 1, len, stdin) != len)
			return 1;
		err = derived_parse(data, len, &req);
		free(data);
		switch (err) {
		case 0:
			printf("ok %u %u %016llx %zu\n", req.length, req.options,
			       (unsigned long long)req.kcv, req.mixin_len);
			break;
		case -EINVAL:
			puts("EINVAL");
			break;
		case -ERANGE:
			puts("ERANGE");
			break;
		case -E2BIG:
			puts("E2BIG");
			break;
		default:
			printf("%d\n", err);
		}
	}
	return ferror(stdin) ? 1 : 0;
}
