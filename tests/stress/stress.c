// SPDX-License-Identifier: GPL-2.0
/*
 * stress: many processes derive keys, use them and destroy them, while the
 * module is unloaded and loaded.
 *
 *	stress SEED PROCESSES ROUNDS SECONDS MODULE
 *
 * Half of the PROCESSES belong to root, and half to user 1000; each has its own
 * random numbers, made from SEED. Two more processes read /proc/keys, one for
 * each user. Meanwhile MODULE is unloaded and loaded ROUNDS times, every fourth
 * time with root=transient, but not after SECONDS have passed. MODULE must be
 * loaded at the beginning, and is loaded at the end.
 *
 * Prints, line by line, "OPERATION OUTCOME COUNT", where "loading" and
 * "unloading" are operations, too; "rounds N"; "seconds N"; and "WRONG ..." for
 * each of the first keys that differ from the key that the same request gave at
 * the beginning.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <keyutils.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

static const char *const requests[] = {
	"16 path", "31 path stress", "32 path", "64 csum", "64 path,csum stress", "255 csum stress",
	"1000 csum,path", "1024 path", "32 path,noread", "64 csum,noread stress",
};

#define REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static const uid_t uids[] = { 0, 1000 };

#define USERS		2

enum op {
	ADD, REQUEST, REQUEST_LOGON, READ_NEW, READ, LENGTH, DESCRIBE, UPDATE, REVOKE, INVALIDATE,
	UNLINK, TIMEOUT, SETPERM, SEARCH, CLEAR, SHOWN, LOADING, UNLOADING, OPS
};

static const char *const op_names[] = {
	"add", "request", "request-logon", "read-new", "read", "length", "describe", "update",
	"revoke", "invalidate", "unlink", "timeout", "setperm", "search", "clear", "shown",
	"loading", "unloading",
};

#define MAX_WRONG	20

/* Memory that all processes share. */
static struct shared {
	outcome_counts outcomes;
	int stop;
	unsigned int wrong;
	struct {			/* the keys at the beginning */
		long len;		/* -EOPNOTSUPP for noread */
		unsigned char bytes[MAX_KEY];
		char shown[64];		/* in /proc/keys, after the name */
	} before[USERS][REQUESTS];
} *shared;

static int user;

static void wrong(const char *what, int request)
{
	if (__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_SEQ_CST) < MAX_WRONG) {
		printf("WRONG uid %u, %s: %s\n", uids[user], requests[request], what);
		fflush(stdout);
	}
}

static void become(int who)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	user = who;
	if (uids[who] && (setgroups(0, NULL) || setresgid(uids[who], uids[who], uids[who]) ||
			  setresuid(uids[who], uids[who], uids[who])))
		die("setresuid");
	if (keyctl_join_session_keyring(NULL) < 0)
		die("session keyring");
}

/*
 * Read /proc/keys, and call @each for each derived key with the key's user, the
 * request that the key's name refers to, and the text after the name. If a key
 * is being destroyed ("D"), that text may be anything.
 */
static int read_proc_keys(void (*each)(int who, int request, const char *shown))
{
	FILE *keys = fopen("/proc/keys", "r");
	char *line = NULL, flags[16], type[16];
	unsigned int uid, request, who;
	size_t size = 0;
	int at, seen = 0;

	if (!keys)
		return -1;
	while (getline(&line, &size, keys) > 0) {
		at = -1;
		if (sscanf(line, "%*s %15s %*s %*s %*s %u %*s %15s s%u-%*u: %n", flags, &uid, type,
			   &request, &at) < 4 || at < 0 || strcmp(type, "derived") ||
		    strchr(flags, 'D') || request >= REQUESTS)
			continue;
		line[strcspn(line, "\n")] = 0;
		for (who = 0; who < USERS; who++)
			if (uids[who] == uid)
				each(who, request, line + at);
		seen++;
	}
	free(line);
	fclose(keys);
	return seen;
}

static void note_shown(int who, int request, const char *text)
{
	snprintf(shared->before[who][request].shown, sizeof(shared->before[0][0].shown), "%s", text);
}

static void compare_shown(int who, int request, const char *text)
{
	const char *logon = strstr(text, ",logon ");
	char without[128];

	/* The option "logon" is shown, too; it changes nothing else. */
	snprintf(without, sizeof(without), "%.*s%s", logon ? (int)(logon - text) : 0, text,
		 logon ? logon + 6 : text);
	if (strcmp(shared->before[who][request].shown, without))
		wrong(text, request);
}

/* Check that a key that could be read is the right one. */
static void compare(int request, const unsigned char *bytes, long len)
{
	if (len != shared->before[user][request].len ||
	    memcmp(bytes, shared->before[user][request].bytes, len))
		wrong("other bytes", request);
}

/*
 * In a process of the user: store the key of each request; or, with "again",
 * check that each request still gives the same key.
 */
static void ask_all(int again)
{
	static unsigned char bytes[MAX_KEY];
	key_serial_t key;
	char name[32];
	size_t i;
	long len;

	for (i = 0; i < REQUESTS; i++) {
		snprintf(name, sizeof(name), "s%zu-0", i);
		key = add_key("derived", name, requests[i], strlen(requests[i]),
			      KEY_SPEC_PROCESS_KEYRING);
		if (key < 0)
			die(requests[i]);
		len = keyctl_read(key, (char *)bytes, sizeof(bytes));
		if (len < 0)
			len = -errno;
		if (len < 0 && len != -EOPNOTSUPP)
			die("read");
		if (again) {
			compare(i, bytes, len > 0 ? len : 0);
			continue;
		}
		shared->before[user][i].len = len > 0 ? len : 0;
		memcpy(shared->before[user][i].bytes, bytes, len > 0 ? len : 0);
	}
	if (read_proc_keys(again ? compare_shown : note_shown) < (int)REQUESTS)
		die("/proc/keys does not show what was made");
}

static void show_on(void)
{
	int seen;

	while (!shared->stop) {
		seen = read_proc_keys(compare_shown);
		/* An empty /proc/keys is counted as ENODATA. */
		errno = seen < 0 ? errno : ENODATA;
		count(SHOWN, seen > 0 ? 0 : -1);
		usleep(1000);
	}
}

static void describe(key_serial_t key)
{
	char text[256];

	count(DESCRIBE, keyctl_describe(key, text, sizeof(text)));
}

#define HELD	16

static void use_on(void)
{
	static const key_serial_t rings[] = {
		KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_PROCESS_KEYRING,
		KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_KEYRING,
	};
	struct { key_serial_t key, ring; int request; char name[32]; } held[HELD] = {}, *it;
	static unsigned char bytes[MAX_KEY];
	char request[64], name[64];
	const char *words;
	unsigned int what;
	long len;

	/*
	 * request_key() must find the keys that the other processes of this
	 * user have made.
	 */
	if (chance(50))
		keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING);
	while (!shared->stop) {
		it = &held[pick(HELD)];
		what = pick(100);
		if (!it->key)
			what = pick(45);
		if (what < 45) {
			/* Short keys have no twin. */
			do
				it->request = pick(REQUESTS);
			while (what >= 38 && atoi(requests[it->request]) < 64);
			it->ring = PICK(rings);
			words = requests[it->request];
			snprintf(it->name, sizeof(it->name), "s%d-%u", it->request, pick(4));
			if (what < 25) {
				it->key = count(ADD, add_key("derived", it->name, words, strlen(words),
							     it->ring));
			} else if (what < 38) {
				it->key = count(REQUEST, request_key("derived", it->name, words, it->ring));
			} else {
				/*
				 * "32 path mixin" becomes "32 logon,path
				 * mixin".
				 */
				snprintf(request, sizeof(request), "%.*slogon,%s",
					 (int)(strchr(words, ' ') + 1 - words), words, strchr(words, ' ') + 1);
				it->key = count(REQUEST_LOGON, request_key("derived", it->name, request,
									   it->ring));
			}
			if (it->key < 0) {
				it->key = 0;
				usleep(pick(50000));
				continue;
			}
			len = count(READ_NEW, keyctl_read(it->key, (char *)bytes, sizeof(bytes)));
			if (len >= 0)
				compare(it->request, bytes, len);
		} else if (what < 60) {
			len = count(READ, keyctl_read(it->key, (char *)bytes, sizeof(bytes)));
			if (len >= 0)
				compare(it->request, bytes, len);
		} else if (what < 62) {
			len = count(LENGTH, keyctl_read(it->key, NULL, 0));
			if (len >= 0 && len != shared->before[user][it->request].len)
				wrong("another length", it->request);
		} else if (what < 66) {
			describe(it->key);
		} else if (what < 70) {
			/*
			 * Without this permission, the call does not reach the
			 * key type.
			 */
			if (chance(50))
				count(SETPERM, keyctl_setperm(it->key, KEY_POS_ALL | KEY_USR_ALL));
			count(UPDATE, keyctl_update(it->key, "32 path", 7));
		} else if (what < 75) {
			count(REVOKE, keyctl_revoke(it->key));
		} else if (what < 80) {
			count(INVALIDATE, keyctl_invalidate(it->key));
		} else if (what < 86) {
			count(UNLINK, keyctl_unlink(it->key, it->ring));
			it->key = 0;
		} else if (what < 90) {
			count(TIMEOUT, keyctl_set_timeout(it->key, pick(3)));
		} else if (what < 93) {
			count(SETPERM, keyctl_setperm(it->key, KEY_POS_ALL | KEY_USR_ALL));
		} else if (what < 98) {
			snprintf(name, sizeof(name), "derived:%s", it->name);
			count(SEARCH, chance(50) ?
			      keyctl_search(KEY_SPEC_SESSION_KEYRING, "derived", it->name, 0) :
			      keyctl_search(it->ring, "logon", name, 0));
		} else {
			count(CLEAR, keyctl_clear(it->ring));
		}
	}
}

static void unload_and_load(const char *path, int rounds, double seconds)
{
	const double began = now();
	double unloading = 0, loading = 0, since;
	int round, fd;

	for (round = 0; round < rounds && now() - began < seconds; round++) {
		usleep(pick(100000));
		since = now();
		if (count(UNLOADING, syscall(SYS_delete_module, "derived_keys", O_NONBLOCK)))
			break;
		unloading += now() - since;
		usleep(pick(20000));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		since = now();
		if (count(LOADING, syscall(SYS_finit_module, fd, round % 4 == 2 ? "root=transient" : "",
					   0)))
			break;
		loading += now() - since;
		close(fd);
	}
	usleep(200000);
	printf("rounds %d\nseconds %.0f\n", round, now() - began);
	if (round)
		printf("# unloading takes %.0f ms, loading %.0f ms\n", 1e3 * unloading / round,
		       1e3 * loading / round);
}

int main(int argc, char **argv)
{
	unsigned long long seed;
	int processes, i, status;

	if (argc != 6) {
		fprintf(stderr, "usage: stress SEED PROCESSES ROUNDS SECONDS MODULE\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	processes = atoi(argv[2]);
	shared = share(sizeof(*shared));
	outcomes = &shared->outcomes;
	setvbuf(stdout, NULL, _IOLBF, 0);

	each_user(USERS, become, ask_all, 0);
	for (i = 0; i < processes + USERS; i++) {
		if (fork())
			continue;
		prng_state = seed + 1000003 * (i + 1);
		/*
		 * Let the kernel's work for these processes go first: it must
		 * keep up.
		 */
		setpriority(PRIO_PROCESS, 0, 19);
		become(i % USERS);
		if (i < processes)
			use_on();
		else
			show_on();
		exit(0);
	}
	prng_state = seed;
	unload_and_load(argv[5], atoi(argv[3]), atof(argv[4]));
	shared->stop = 1;
	for (i = 0; i < processes + USERS; i++)
		if (wait(&status) < 0 || status)
			printf("WRONG a process ended with status 0x%x\n", status);
	print_counts(op_names, OPS);
	each_user(USERS, become, ask_all, 1);
	return 0;
}
