// SPDX-License-Identifier: GPL-2.0
/*
 * addkey: call add_key(2) or request_key(2) with any bytes, and print the errno
 * by name.
 *
 *	addkey [-r] [-x] [-n LEN] [-b ARGUMENT] TYPE DESCRIPTION PAYLOAD KEYRING
 *
 * -r: call request_key(2), with PAYLOAD as its callout information (which ends
 *	at the first NUL)
 * -x: PAYLOAD is hexadecimal
 * -n LEN: the payload is PAYLOAD, repeated and cut to LEN bytes
 * -b ARGUMENT: a bad pointer: "type", "description" or "payload" points to
 *	unmapped memory; with "null", the payload is NULL, and its length is the
 *	length of PAYLOAD
 * KEYRING: @t @p @s @u @us, a serial number, or 0 for no keyring (request_key)
 *
 * Prints the serial number of the key; or, with exit status 1, the name of the
 * errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <keyutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void usage(void)
{
	fprintf(stderr, "usage: addkey [-r] [-x] [-n LEN] [-b ARGUMENT] TYPE DESCRIPTION PAYLOAD KEYRING\n");
	exit(2);
}

static key_serial_t keyring(const char *name)
{
	static const struct { const char *name; key_serial_t serial; } special[] = {
		{ "@t", KEY_SPEC_THREAD_KEYRING },
		{ "@p", KEY_SPEC_PROCESS_KEYRING },
		{ "@s", KEY_SPEC_SESSION_KEYRING },
		{ "@u", KEY_SPEC_USER_KEYRING },
		{ "@us", KEY_SPEC_USER_SESSION_KEYRING },
	};
	size_t i;
	char *end;
	long serial;

	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (!strcmp(name, special[i].name))
			return special[i].serial;
	serial = strtol(name, &end, 0);
	if (end == name || *end)
		usage();
	return serial;
}

/* Decode hexadecimal in place; returns the number of bytes. */
static size_t unhex(char *s)
{
	size_t len = strlen(s) / 2, i;

	for (i = 0; i < len; i++) {
		unsigned int byte;

		if (sscanf(s + 2 * i, "%2x", &byte) != 1)
			usage();
		s[i] = byte;
	}
	s[len] = 0;
	return len;
}

int main(int argc, char **argv)
{
	int opt, request = 0, hex = 0;
	long want = -1;
	size_t len, total, i;
	char *payload, *const nowhere = (char *)-1L;
	const char *bad = "";
	key_serial_t ring, key;

	while ((opt = getopt(argc, argv, "+rxn:b:")) != -1) {
		if (opt == 'r')
			request = 1;
		else if (opt == 'x')
			hex = 1;
		else if (opt == 'n')
			want = strtol(optarg, NULL, 10);
		else if (opt == 'b')
			bad = optarg;
		else
			usage();
	}
	if (argc - optind != 4)
		usage();
	argv += optind;

	len = hex ? unhex(argv[2]) : strlen(argv[2]);
	total = want >= 0 ? (size_t)want : len;
	payload = calloc(1, total + 1);
	if (!payload || (total && !len))
		usage();
	for (i = 0; i < total; i++)
		payload[i] = argv[2][i % len];

	if (!strcmp(bad, "type"))
		argv[0] = nowhere;
	else if (!strcmp(bad, "description"))
		argv[1] = nowhere;
	else if (!strcmp(bad, "payload"))
		payload = nowhere;
	else if (!strcmp(bad, "null"))
		payload = NULL;
	else if (*bad)
		usage();

	ring = keyring(argv[3]);
	if (request)
		key = request_key(argv[0], argv[1], payload, ring);
	else
		key = add_key(argv[0], argv[1], payload, total, ring);
	if (key < 0) {
		puts(strerrorname_np(errno));
		return 1;
	}
	printf("%d\n", key);
	return 0;
}
