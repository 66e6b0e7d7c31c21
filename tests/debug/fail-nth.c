// SPDX-License-Identifier: GPL-2.0
/*
 * fail-nth: have every allocation of a derivation fail, one by one.
 *
 *	fail-nth caller|worker add|request|read|load ARGUMENT
 *
 * Of what the kernel allocates while it serves one call, it has the first fail, then the second of
 * another call, and so on, until a call ends before its n-th allocation
 * (Documentation/fault-injection/ in the kernel). They are counted in the task that calls, or in
 * the kernel's workers, one of which talks to the TPM.
 *
 *	add REQUEST		add_key(2)
 *	request REQUEST		request_key(2), with the logon twin if it asks for one
 *	read REQUEST		reading such a key
 *	load FILE		init_module(2); then the module is unloaded
 *
 * After each failure, the same is done again, and must give the key that it gave before.
 *
 * Prints how many allocations failed and what came of the calls: "12 failed: ENOMEM 10, right 2".
 * "right" is a call that had no need of what failed. Exit status 1 if something was wrong.
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

/* A worker may have been started between the counting and the call: so often it is tried again. */
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

/* The n-th allocation from now on fails; returns how many of the tasks have had theirs. */
static int everywhere(bool worker, unsigned int n, bool look)
{
	char path[300], comm[32];
	struct dirent *entry;
	int failed = 0;
	DIR *proc;

	if (!worker) {
		failed = look && read_number("/proc/thread-self/fail-nth") == 0;
		write_number("/proc/thread-self/fail-nth", n);
		return failed;
	}
	proc = opendir("/proc");
	while ((entry = readdir(proc))) {
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
		if (look && read_number(path) == 0)
			failed++;
		write_number(path, n);
	}
	closedir(proc);
	return failed;
}

enum what { ADD, REQUEST, READ, LOAD, WHATS };

static const char * const whats[WHATS] = { "add", "request", "read", "load" };

/* What is told apart: an errno, or 0. */
static int once(enum what what, const char *argument, bool worker, unsigned int n,
		unsigned char *key, long *len, int *failed)
{
	long serial = 0, result;
	int err = 0, fd;

	*len = 0;
	if (what == READ)
		serial = add_key("derived", "fail-nth", argument, strlen(argument),
				 KEY_SPEC_PROCESS_KEYRING);
	fd = what == LOAD ? open(argument, O_RDONLY) : -1;

	if (n)
		everywhere(worker, n, false);
	switch (what) {
	case ADD:
		result = syscall(SYS_add_key, "derived", "fail-nth", argument,
				 strlen(argument), KEY_SPEC_PROCESS_KEYRING);
		break;
	case REQUEST:
		result = syscall(SYS_request_key, "derived", "fail-nth", argument,
				 KEY_SPEC_PROCESS_KEYRING);
		break;
	case READ:
		result = syscall(SYS_keyctl, KEYCTL_READ, serial, key, KEY_MAX);
		break;
	default:
		result = syscall(SYS_finit_module, fd, "", 0);
	}
	if (result < 0)
		err = errno;
	if (n)
		*failed = everywhere(worker, 0, true);

	if (!err && what == READ)
		*len = result;
	if (!err && (what == ADD || what == REQUEST)) {
		serial = result;
		/* With noread, its check value in /proc/keys has to do. */
		*len = keyctl_read(serial, (char *)key, KEY_MAX);
		if (*len < 0 && errno == EOPNOTSUPP) {
			*len = keyctl_describe(serial, (char *)key, KEY_MAX);
		} else if (*len < 0) {
			complain("a key that was made cannot be read: %s", strerror(errno));
			*len = 0;
		}
	}
	if (*len < 0)
		*len = 0;
	if (what == LOAD) {
		close(fd);
		if (!err && syscall(SYS_delete_module, "derived_keys", O_NONBLOCK))
			complain("the module cannot be unloaded: %s", strerror(errno));
	} else {
		keyctl_clear(KEY_SPEC_PROCESS_KEYRING);
	}
	return err;
}

int main(int argc, char **argv)
{
	static unsigned char right[KEY_MAX], key[KEY_MAX];
	unsigned int n, tries, outcomes[ERRNO_MAX] = { 0 };
	long right_len, len;
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
	setvbuf(stdout, NULL, _IOLBF, 4096);	/* nothing of it is allocated later */

	err = once(what, argv[3], worker, 0, right, &right_len, &failed);
	if (err) {
		printf("without a failure, it fails: %s\n", strerror(err));
		return 1;
	}
	for (n = 1; n <= NR_MAX; n++) {
		for (tries = 0; tries < TRIES; tries++) {
			failed = 0;
			err = once(what, argv[3], worker, n, key, &len, &failed);
			if (failed)
				break;
			if (err)
				complain("allocation %u, which did not fail: %s", n, strerror(err));
		}
		if (!failed)
			break;
		outcomes[err < ERRNO_MAX ? err : 0]++;
		if (!err && (len != right_len || memcmp(key, right, len)))
			complain("allocation %u failed: another key", n);

		err = once(what, argv[3], worker, 0, key, &len, &failed);
		if (err)
			complain("after allocation %u had failed: %s", n, strerror(err));
		else if (len != right_len || memcmp(key, right, len))
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
