// SPDX-License-Identifier: GPL-2.0
/*
 * million: derive keys, one after the other, and measure whether anything
 * grows.
 *
 *	million COUNT
 *
 * Makes COUNT keys of all lengths, by add_key(2) and request_key(2) in turn,
 * and destroys each in one of the possible ways; now and then a request is
 * refused instead. Ten times meanwhile, it waits for the garbage collector and
 * prints, on one line: the number of keys made, the seconds so far,
 * MemAvailable and SUnreclaim of /proc/meminfo in KiB, and root's numbers in
 * /proc/key-users: the keys that exist, the keys that count in the quota, and
 * their bytes. It prints "WRONG ..." if something is wrong, and then ends with
 * exit status 1.
 */
#define _GNU_SOURCE
#include <keyutils.h>
#include <unistd.h>

#include "stress.h"

static const struct {
	const char *request, *refused;
} requests[] = {
	{ "32 path", "32 path,kcv=0123456789abcdef" },
	{ "16 path a mixin", "15 path a mixin" },
	{ "64 path,noread", "64 noread" },
	{ "1024 path", "1025 path" },
	{ "255 path", "255 path,path" },
};

#define REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static struct {
	unsigned char bytes[MAX_KEY];
	long len;
} first[REQUESTS];

static void wrong(const char *what, const char *request)
{
	printf("WRONG %s: %s (%s)\n", request, what, strerrorname_np(errno));
	exit(1);
}

static long meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = atol(line + strlen(name) + 1);
	fclose(file);
	return value;
}

struct account {
	int alive, keys, bytes;
};

static void account(struct account *of)
{
	FILE *file = fopen("/proc/key-users", "r");
	unsigned int uid;
	char line[128];

	memset(of, 0, sizeof(*of));
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u: %*d %d/%*d %d/%*d %d/%*d", &uid, &of->alive, &of->keys,
			   &of->bytes) == 4 && !uid)
			break;
	}
	fclose(file);
}

static void report(long done, double seconds)
{
	struct account now, before;
	int i;

	/*
	 * Wait until nothing more is freed: the kernel frees keys and their
	 * memory later.
	 */
	account(&before);
	for (i = 0; i < 100; i++) {
		usleep(300000);
		account(&now);
		if (now.alive == before.alive)
			break;
		before = now;
	}
	printf("%ld %.1f %ld %ld %d %d %d\n", done, seconds, meminfo("MemAvailable"),
	       meminfo("SUnreclaim"), now.alive, now.keys, now.bytes);
}

static void derive_one(long i)
{
	const key_serial_t ring = KEY_SPEC_PROCESS_KEYRING;
	const int which = i % REQUESTS;
	const char *request = requests[which].request;
	static unsigned char bytes[MAX_KEY];
	key_serial_t key;
	long len;

	if (i % 16 == 15) {
		request = requests[which].refused;
		key = i % 32 == 31 ? add_key("derived", "million", request, strlen(request), ring) :
				     request_key("derived", "million", request, ring);
		if (key >= 0 || (errno != EINVAL && errno != ERANGE && errno != EKEYREJECTED))
			wrong("it was not refused as it should", request);
		return;
	}
	key = i & 1 ? add_key("derived", "million", request, strlen(request), ring) :
		      request_key("derived", "million", request, ring);
	if (key < 0)
		wrong("it was not made", request);
	len = keyctl_read(key, (char *)bytes, sizeof(bytes));
	if (len < 0 && errno != EOPNOTSUPP)
		wrong("it cannot be read", request);
	if (!first[which].len) {
		first[which].len = len;
		memcpy(first[which].bytes, bytes, MAX_KEY);
	}
	errno = 0;
	if (len != first[which].len || (len > 0 && memcmp(bytes, first[which].bytes, len)))
		wrong("it is another key than the first", request);

	switch (i / REQUESTS % 4) {
	case 0:
		if (keyctl_unlink(key, ring))
			wrong("unlink", request);
		break;
	case 1:
		if (keyctl_revoke(key))
			wrong("revoke", request);
		/*
		 * A revoked key keeps its name until it is unlinked. The
		 * garbage collector may unlink it first: "expiry" in struct key
		 * is also "revoked_at", and keys of this type are reaped
		 * instantly.
		 */
		if (keyctl_unlink(key, ring) && errno != ENOENT && errno != ENOKEY)
			wrong("unlink of a revoked key", request);
		break;
	case 2:
		if (keyctl_invalidate(key))
			wrong("invalidate", request);
		break;
	case 3:
		/*
		 * If the key stays, the next add_key() replaces it, which is
		 * one more way. But the next call must not be a request_key(),
		 * which would find the key, nor a refused request.
		 */
		if ((i % 2 || i % 16 == 14) && keyctl_clear(ring))
			wrong("clear", request);
		break;
	}
}

int main(int argc, char **argv)
{
	double began, waited = 0, since;
	long i, count;

	if (argc != 2 || atol(argv[1]) < 10) {
		fprintf(stderr, "usage: million COUNT\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	count = atol(argv[1]);
	began = now();
	for (i = 0; i < count; i++) {
		derive_one(i);
		if ((i + 1) % (count / 10))
			continue;
		keyctl_clear(KEY_SPEC_PROCESS_KEYRING);
		since = now();
		report(i + 1, since - began - waited);
		waited += now() - since;
	}
	return 0;
}
