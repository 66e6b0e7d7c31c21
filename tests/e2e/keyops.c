// SPDX-License-Identifier: GPL-2.0
/*
 * keyops: operations on keys that are hard to do with keyctl(1): one process
 * that adds, shows and reads a key, or many processes.
 *
 *	keyops add DESCRIPTION REQUEST KEYRING [PAUSE]
 *		add a derived key and print, on one line each: its serial
 *		number, its line in /proc/keys (from its description on), and
 *		its bytes in hexadecimal. Then sleep PAUSE seconds
 *	keyops read SERIAL
 *		read a key and print its bytes in hexadecimal
 *	keyops wait TYPE REQUEST SECONDS
 *		add a key that expires in SECONDS, and read it until SECONDS + 3
 *		have passed; print each new outcome: "ok", or the errno
 *	keyops hold PROCESSES KEYS REQUEST
 *		each process adds KEYS keys, to keyrings of its own and to the
 *		user keyring; print "ready", wait for a line on stdin, read all
 *		keys, and print the count of each outcome; wait for the end of
 *		stdin, and exit
 *	keyops storm REQUEST BYTES
 *		until stdin ends, add a key and read it; print the count of each
 *		outcome ("other" is a key with other bytes than BYTES, which is
 *		hexadecimal)
 *	keyops crowd PROCESSES REQUEST
 *		all processes at once add a key crowd-N to the session keyring;
 *		print the count of each outcome: bytes in hexadecimal, or the
 *		errno
 *
 * If an operation fails, the name of the errno is printed in place of its
 * result.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <keyutils.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_KEY		1024
#define MAX_OUTCOMES	64

static void usage(void)
{
	fprintf(stderr, "usage: keyops add|read|wait|hold|storm|crowd ...\n");
	exit(2);
}

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static key_serial_t keyring(const char *name)
{
	if (!strcmp(name, "@t"))
		return KEY_SPEC_THREAD_KEYRING;
	if (!strcmp(name, "@p"))
		return KEY_SPEC_PROCESS_KEYRING;
	if (!strcmp(name, "@s"))
		return KEY_SPEC_SESSION_KEYRING;
	if (!strcmp(name, "@u"))
		return KEY_SPEC_USER_KEYRING;
	return atoi(name);
}

static key_serial_t add(const char *description, const char *request, key_serial_t ring)
{
	return add_key("derived", description, request, strlen(request), ring);
}

/* Returns the key's bytes in hexadecimal, or the name of the errno. */
static const char *read_hex(key_serial_t key)
{
	static char hex[2 * MAX_KEY + 1];
	unsigned char bytes[MAX_KEY];
	long len = keyctl_read(key, (char *)bytes, sizeof(bytes)), i;

	if (len < 0)
		return strerrorname_np(errno);
	hex[0] = 0;
	for (i = 0; i < len && i < MAX_KEY; i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
	return hex;
}

/* Print the line of /proc/keys for this key, from its description on. */
static void print_shown(key_serial_t key)
{
	FILE *keys = fopen("/proc/keys", "r");
	char *line = NULL, serial[16];
	size_t size = 0;
	int at, found = 0;

	if (!keys)
		die("/proc/keys");
	snprintf(serial, sizeof(serial), "%08x ", key);
	while (getline(&line, &size, keys) > 0) {
		/* serial flags usage timeout perm uid gid type description */
		at = -1;
		sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %n", &at);
		if (!strncmp(line, serial, 9) && at > 0) {
			fputs(line + at, stdout);
			found = 1;
		}
	}
	if (!found)
		puts("(not in /proc/keys)");
	free(line);
	fclose(keys);
}

/* The count of each outcome. */
static struct { char text[2 * MAX_KEY + 16]; unsigned int count; } outcomes[MAX_OUTCOMES];

static void count(const char *text)
{
	int i;

	for (i = 0; i < MAX_OUTCOMES; i++) {
		if (!outcomes[i].count)
			strcpy(outcomes[i].text, text);
		if (!strcmp(outcomes[i].text, text)) {
			outcomes[i].count++;
			return;
		}
	}
	die("too many outcomes");
}

static void print_counts(void)
{
	int i;

	for (i = 0; i < MAX_OUTCOMES && outcomes[i].count; i++)
		printf("%s %u\n", outcomes[i].text, outcomes[i].count);
	fflush(stdout);
}

/* Count the outcomes that the children have written, one on each line. */
static void count_lines(int from, int lines)
{
	FILE *file = fdopen(from, "r");
	char line[2 * MAX_KEY + 16];

	while (lines-- > 0 && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		count(line);
	}
}

static void do_add(char **argv)
{
	key_serial_t key = add(argv[0], argv[1], keyring(argv[2]));

	if (key < 0) {
		puts(strerrorname_np(errno));
		exit(1);
	}
	printf("%d\n", key);
	print_shown(key);
	puts(read_hex(key));
	fflush(stdout);
	if (argv[3])
		sleep(atoi(argv[3]));
}

static void do_wait(char **argv)
{
	int seconds = atoi(argv[2]);
	const char *last = "", *now;
	time_t end = time(NULL) + seconds + 3;
	key_serial_t key;

	key = add_key(argv[0], "wait", argv[1], strlen(argv[1]), KEY_SPEC_SESSION_KEYRING);
	if (key < 0 || keyctl_set_timeout(key, seconds))
		die("wait");
	while (time(NULL) < end) {
		now = keyctl_read(key, NULL, 0) < 0 ? strerrorname_np(errno) : "ok";
		if (strcmp(now, last))
			puts(now);
		last = now;
		usleep(500);
	}
}

#define MAX_HELD	100

static void do_hold(char **argv)
{
	static const key_serial_t rings[] = {
		KEY_SPEC_SESSION_KEYRING, KEY_SPEC_SESSION_KEYRING,
		KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_THREAD_KEYRING, KEY_SPEC_USER_KEYRING,
	};
	int processes = atoi(argv[0]), held = atoi(argv[1]);
	int up[2], down[2], end[2], results[2], i, j;
	char byte;

	if (held < 1 || held > MAX_HELD)
		usage();
	if (pipe(up) || pipe(down) || pipe(end) || pipe(results))
		die("pipe");
	for (i = 0; i < processes; i++) {
		key_serial_t keys[MAX_HELD];
		char name[32];

		if (fork())
			continue;
		close(down[1]);
		close(end[1]);
		if (keyctl_join_session_keyring(NULL) < 0)
			die("session keyring");
		for (j = 0; j < held; j++) {
			snprintf(name, sizeof(name), "held-%d-%d", i, j);
			keys[j] = add(name, argv[2], rings[j % (sizeof(rings) / sizeof(rings[0]))]);
			if (keys[j] < 0)
				die(name);
		}
		if (write(up[1], "x", 1) != 1 || read(down[0], &byte, 1) != 1)
			_exit(1);
		for (j = 0; j < held; j++)
			dprintf(results[1], "%s\n", read_hex(keys[j]));
		_exit(read(end[0], &byte, 1) != 0);
	}
	close(up[1]);
	for (i = 0; i < processes; i++)
		if (read(up[0], &byte, 1) != 1)
			die("a child");
	puts("ready");
	fflush(stdout);

	if (read(0, &byte, 1) != 1)
		die("stdin");
	for (i = 0; i < processes; i++)
		if (write(down[1], "x", 1) != 1)
			die("write");
	count_lines(results[0], held * processes);
	print_counts();
	puts("done");
	fflush(stdout);

	while (read(0, &byte, 1) == 1)
		;
	close(end[1]);
	while (wait(NULL) > 0)
		;
}

static void do_storm(char **argv)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char text[80];
	const char *hex;
	key_serial_t key;

	while (!poll(&in, 1, 0)) {
		key = add("storm", argv[0], KEY_SPEC_PROCESS_KEYRING);
		snprintf(text, sizeof(text), "add %s", key < 0 ? strerrorname_np(errno) : "ok");
		count(text);
		if (key < 0) {
			usleep(200);
			continue;
		}
		hex = read_hex(key);
		if (!strcmp(hex, argv[1]))
			hex = "ok";
		else if (hex[0] != 'E')
			hex = "other";
		snprintf(text, sizeof(text), "read %s", hex);
		count(text);
		usleep(200);		/* the garbage collector has to keep up */
	}
	print_counts();
}

static void do_crowd(char **argv)
{
	int processes = atoi(argv[0]), start[2], results[2], i;
	char name[32], byte;
	key_serial_t key;

	if (pipe(start) || pipe(results))
		die("pipe");
	for (i = 0; i < processes; i++) {
		if (fork())
			continue;
		snprintf(name, sizeof(name), "crowd-%d", i);
		close(start[1]);
		if (read(start[0], &byte, 1))		/* until all are ready */
			_exit(1);
		key = add(name, argv[1], KEY_SPEC_SESSION_KEYRING);
		dprintf(results[1], "%s\n", key < 0 ? strerrorname_np(errno) : read_hex(key));
		_exit(0);
	}
	close(start[1]);
	count_lines(results[0], processes);
	while (wait(NULL) > 0)
		;
	print_counts();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "add") && (argc == 5 || argc == 6))
		do_add(argv + 2);
	else if (!strcmp(what, "read") && argc == 3)
		puts(read_hex(atoi(argv[2])));
	else if (!strcmp(what, "wait") && argc == 5)
		do_wait(argv + 2);
	else if (!strcmp(what, "hold") && argc == 5)
		do_hold(argv + 2);
	else if (!strcmp(what, "storm") && argc == 4)
		do_storm(argv + 2);
	else if (!strcmp(what, "crowd") && argc == 4)
		do_crowd(argv + 2);
	else
		usage();
	return 0;
}
