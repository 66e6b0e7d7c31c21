// SPDX-License-Identifier: GPL-2.0
/*
 * fail-nth: make every allocation of a derivation fail, one by one.
 *
 *	fail-nth caller|worker add|request|read|load ARGUMENT
 *
 * Of the allocations that the kernel makes for one call, the first fails; in
 * another call, the second fails; and so on, until a call ends before its n-th
 * allocation (Documentation/fault-injection/ in the kernel). The allocations
 * are counted in the task that calls, or in the kernel's workers, one of which
 * talks to the TPM.
 *
 *	add REQUEST		add_key(2)
 *	request REQUEST		request_key(2), with the logon twin if REQUEST
 *				has that option
 *	read REQUEST		read such a key
 *	load FILE		init_module(2); then a key is made, and the
 *				module is unloaded
 *
 * After each failure, the call is repeated without one, and must give the same
 * key as before: the same bytes, and the same check value in /proc/keys, which
 * a noread key has, too. A request for a logon twin gives both keys or neither.
 *
 * Prints the number of failed allocations, and the outcomes of the calls: "12
 * failed: ENOMEM 10, right 2". "right" is a call that gave the right key in
 * spite of the failure. The exit status is 1 if something was wrong.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_MAX		2000
#define ERRNO_MAX	160
#define KEY_MAX		1024
#define WORKERS_MAX	1000
#define NAME		"fail-nth"

/*
 * The properties by which keys are compared: the bytes, if readable, and the
 * check value.
 */
struct key {
	long len;
	unsigned char bytes[KEY_MAX];
	char kcv[20];
};

/* A worker may be started after the workers were armed: the number of tries. */
#define TRIES		4

static bool wrong;

static void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	wrong = true;
}

static void write_number(const char *path, unsigned int n)
{
	int fd = open(path, O_WRONLY);

	/* A worker may have ended. */
	if (fd < 0)
		return;
	if (dprintf(fd, "%u", n) < 0)
		complain("%s: %s", path, strerror(errno));
	close(fd);
}

static int read_number(const char *path)
{
	char text[16] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return text[0] ? atoi(text) : -1;
}

/* The workers that were armed. More workers may have been started since. */
static int workers[WORKERS_MAX], nr_workers;

static void tell_workers(unsigned int n)
{
	struct dirent *entry;
	char path[300], comm[32];
	DIR *proc = opendir("/proc");

	nr_workers = 0;
	while ((entry = readdir(proc)) && nr_workers < WORKERS_MAX) {
		FILE *file;

		if (!strspn(entry->d_name, "0123456789"))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = 0;
		fclose(file);
		if (strncmp(comm, "kworker/", 8))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", entry->d_name);
		write_number(path, n);
		workers[nr_workers++] = atoi(entry->d_name);
	}
	closedir(proc);
}

/* Make the n-th allocation from now on fail. */
static void arm(bool worker, unsigned int n)
{
	if (worker)
		tell_workers(n);
	else
		write_number("/proc/thread-self/fail-nth", n);
}

/*
 * Make no more allocations fail. Returns the number of tasks that had a
 * failure.
 */
static int disarm(bool worker)
{
	char path[300];
	int i, failed = 0;

	if (!worker) {
		failed = read_number("/proc/thread-self/fail-nth") == 0;
		write_number("/proc/thread-self/fail-nth", 0);
		return failed;
	}
	for (i = 0; i < nr_workers; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fail-nth", workers[i]);
		failed += read_number(path) == 0;
		write_number(path, 0);
	}
	return failed;
}

/*
 * Get the check value of the key from /proc/keys. Returns 0 if there is no such
 * key.
 */
static int find_kcv(key_serial_t serial, char kcv[20])
{
	char line[512];
	FILE *file = fopen("/proc/keys", "r");
	char *at;
	int found = 0;

	kcv[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if ((key_serial_t)strtoul(line, NULL, 16) != serial)
			continue;
		found = 1;
		at = strstr(line, " kcv:");
		if (at)
			snprintf(kcv, 20, "%.16s", at + 5);
	}
	if (file)
		fclose(file);
	return found;
}

/* Get the properties of the key that was made. */
static void look_at(key_serial_t serial, const char *request, struct key *key)
{
	const bool twin = strstr(request, "logon");

	key->len = keyctl_read(serial, (char *)key->bytes, KEY_MAX);
	if (key->len < 0 && errno != EOPNOTSUPP)
		complain("a key that was made cannot be read: %s", strerror(errno));
	if (!find_kcv(serial, key->kcv) || strlen(key->kcv) != 16)
		complain("a key that was made has no check value");
	if (twin && keyctl_search(KEY_SPEC_PROCESS_KEYRING, "logon", "derived:" NAME, 0) < 0)
		complain("a key that was made has no logon twin");
}

enum what { ADD, REQUEST, READ, LOAD, WHATS };

static const char * const whats[WHATS] = { "add", "request", "read", "load" };

/*
 * Returns an errno; or 0, and the key. n: the allocation that fails; 0: none.
 */
static int once(enum what what, const char *argument, bool worker, unsigned int n, struct key *key,
		int *failed)
{
	const char *request = what == LOAD ? "32 path " NAME : argument;
	const key_serial_t ring = KEY_SPEC_PROCESS_KEYRING;
	long serial = 0, result;
	int err = 0, fd;

	memset(key, 0, sizeof(*key));
	if (what == READ)
		serial = add_key("derived", NAME, request, strlen(request), ring);
	fd = what == LOAD ? open(argument, O_RDONLY) : -1;

	if (n)
		arm(worker, n);
	switch (what) {
	case ADD:
		result = syscall(SYS_add_key, "derived", NAME, request, strlen(request), ring);
		break;
	case REQUEST:
		result = syscall(SYS_request_key, "derived", NAME, request, ring);
		break;
	case READ:
		result = syscall(SYS_keyctl, KEYCTL_READ, serial, key->bytes, KEY_MAX);
		break;
	default:
		result = syscall(SYS_finit_module, fd, "", 0);
	}
	if (result < 0)
		err = errno;
	if (n)
		*failed = disarm(worker);

	if (what == READ) {
		key->len = err ? 0 : result;
	} else if (!err) {
		serial = result;
		if (what == LOAD)
			serial = add_key("derived", NAME, request, strlen(request), ring);
		look_at(serial, request, key);
	} else if (what != LOAD &&
		   (keyctl_search(ring, "derived", NAME, 0) > 0 ||
		    keyctl_search(ring, "logon", "derived:" NAME, 0) > 0)) {
		complain("a request that failed has left a key");
	}
	keyctl_clear(ring);
	if (what == LOAD) {
		close(fd);
		if (!err && syscall(SYS_delete_module, "derived_keys", O_NONBLOCK))
			complain("the module cannot be unloaded: %s", strerror(errno));
	}
	return err;
}

static bool same(const struct key *one, const struct key *other)
{
	return one->len == other->len && !memcmp(one->bytes, other->bytes, KEY_MAX) &&
	       !strcmp(one->kcv, other->kcv);
}

int main(int argc, char **argv)
{
	static struct key right, key;
	unsigned int n, tries, outcomes[ERRNO_MAX] = { 0 };
	enum what what;
	bool worker;
	int err, failed;

	for (what = 0; argc == 4 && what < WHATS; what++)
		if (!strcmp(argv[2], whats[what]))
			break;
	if (argc != 4 || what == WHATS ||
	    (strcmp(argv[1], "caller") && strcmp(argv[1], "worker"))) {
		fprintf(stderr, "usage: fail-nth caller|worker add|request|read|load ARGUMENT\n");
		return 2;
	}
	worker = !strcmp(argv[1], "worker");
	setvbuf(stdout, NULL, _IOLBF, 4096);	/* allocate the buffer now */

	err = once(what, argv[3], worker, 0, &right, &failed);
	if (err || wrong) {
		printf("without a failure, it fails: %s\n", strerror(err));
		return 1;
	}
	for (n = 1; n <= NR_MAX; n++) {
		for (tries = 0; tries < TRIES; tries++) {
			failed = 0;
			err = once(what, argv[3], worker, n, &key, &failed);
			if (failed)
				break;
			if (err)
				complain("allocation %u, which did not fail: %s", n, strerror(err));
		}
		if (!failed)
			break;
		outcomes[err < ERRNO_MAX ? err : 0]++;
		if (!err && !same(&key, &right))
			complain("allocation %u failed: another key", n);

		err = once(what, argv[3], worker, 0, &key, &failed);
		if (err)
			complain("after allocation %u had failed: %s", n, strerror(err));
		else if (!same(&key, &right))
			complain("after allocation %u had failed: another key", n);
		if (wrong)
			return 1;
	}
	printf("%u failed:", n - 1);
	for (err = 1; err < ERRNO_MAX; err++)
		if (outcomes[err])
			printf(" %s %u,", strerrorname_np(err), outcomes[err]);
	printf(" right %u\n", outcomes[0]);
	return wrong || n > NR_MAX;
}
