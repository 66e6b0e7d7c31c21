// SPDX-License-Identifier: GPL-2.0
/*
 * bench: measure the time of add_key(2).
 *
 *	bench ROUNDS TYPE REQUEST
 *
 * Adds ROUNDS keys of TYPE with REQUEST as their payload to the thread keyring,
 * and prints the median and the 99th percentile of one call in nanoseconds. A
 * REQUEST of @N stands for any N bytes.
 *
 * Each key has a new name. Adding a key of type user again would only update
 * it, and updating one type cannot be compared with making a key of the other.
 * The keyring is emptied now and then, outside of the measured time, to stay
 * within the quota.
 */
#include <keyutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS_AT_A_TIME 50

static int compare(const void *a, const void *b)
{
	const long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(int argc, char **argv)
{
	long rounds, *times, start, i;
	static char bytes[4096];
	const char *request;
	char name[32];
	size_t len;

	if (argc != 4 || (rounds = atol(argv[1])) < 1) {
		fprintf(stderr, "usage: bench ROUNDS TYPE REQUEST\n");
		return 2;
	}
	request = argv[3];
	len = strlen(request);
	if (request[0] == '@') {
		len = atol(request + 1);
		if (len > sizeof(bytes))
			return 2;
		memset(bytes, 'x', sizeof(bytes));
		request = bytes;
	}
	times = calloc(rounds, sizeof(*times));
	if (!times)
		return 1;

	if (keyctl_get_keyring_ID(KEY_SPEC_THREAD_KEYRING, 1) < 0) {
		perror("bench: thread keyring");
		return 1;
	}
	for (i = 0; i < rounds; i++) {
		if (i % KEYS_AT_A_TIME == 0)
			keyctl_clear(KEY_SPEC_THREAD_KEYRING);
		snprintf(name, sizeof(name), "bench-%ld", i);
		start = now();
		if (add_key(argv[2], name, request, len, KEY_SPEC_THREAD_KEYRING) < 0) {
			perror("bench: add_key");
			return 1;
		}
		times[i] = now() - start;
	}
	qsort(times, rounds, sizeof(*times), compare);
	printf("%ld %ld\n", times[rounds / 2], times[rounds * 99 / 100]);
	return 0;
}
