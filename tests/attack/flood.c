// SPDX-License-Identifier: GPL-2.0
/*
 * flood: many processes request derived keys at once. It also measures how long
 * other processes have to wait meanwhile.
 *
 *	flood once PROCESSES REQUEST
 *		each process makes one request, all at the same moment
 *	flood over-quota PROCESSES REQUEST
 *		the same, after the user's quota was filled with keys of type
 *		user
 *	flood on PROCESSES PAUSE REQUEST
 *		each process makes a request, waits PAUSE ms after the answer,
 *		and repeats that until stdin ends. Prints "begun" when they
 *		begin
 *	flood kill PROCESSES LINE REQUEST
 *		as "once". When all requests but LINE were answered, and one of
 *		those in the line too, all processes that still wait are killed.
 *		The process that dies last is taken for the one at the TPM
 *	flood add PAUSE
 *	flood keys PAUSE
 *		add a key of type user, or read /proc/keys, again and again
 *		until stdin ends
 *	flood exec FILE...
 *		run each file, one after the other
 *
 * Prints a line for each outcome ("ok", or the name of an errno), sorted: the
 * outcome, its count, and the shortest, the median and the longest time that it
 * took, in ms. "once" and "over-quota" also print a line "together" with the
 * number of requests that were in line together: they had begun before the last
 * request began, ended after that, and were served or went over the quota. For
 * the killed processes, "kill" prints the outcomes "waiting" and "at-tpm", with
 * the times from the signal to the death.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES	1000
#define MAX_SAMPLES	200000

/* Outcomes that are not an errno. */
#define OK		0
#define WAITING		-1
#define AT_TPM		-2

struct sample {
	double began, ended;	/* in ms */
	int outcome;
};

/* Memory that all processes share. */
static struct {
	double asked[MAX_PROCESSES];	/* time of the waiting request, or 0 */
	unsigned int count;
	struct sample samples[MAX_SAMPLES];
} *shared;

static void usage(void)
{
	fprintf(stderr, "usage: flood once|over-quota|on|kill|add|keys|exec ...\n");
	exit(2);
}

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * t.tv_sec + t.tv_nsec / 1e6;
}

static void sleep_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int stdin_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };

	return poll(&in, 1, 0);
}

static void note_sample(double began, int outcome)
{
	const unsigned int i = __atomic_fetch_add(&shared->count, 1, __ATOMIC_SEQ_CST);

	if (i >= MAX_SAMPLES)
		die("too many samples");
	shared->samples[i].began = began;
	shared->samples[i].ended = now();
	shared->samples[i].outcome = outcome;
}

static const char *name_of(int outcome)
{
	switch (outcome) {
	case OK:	return "ok";
	case WAITING:	return "waiting";
	case AT_TPM:	return "at-tpm";
	default:	return strerrorname_np(outcome);
	}
}

static double took(const struct sample *s)
{
	return s->ended - s->began;
}

static int by_outcome(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	const int order = strcmp(name_of(x->outcome), name_of(y->outcome));

	return order ? order : (took(x) > took(y)) - (took(x) < took(y));
}

static void print_samples(void)
{
	struct sample *first = shared->samples;
	const struct sample *end = first + shared->count;
	unsigned int n;

	qsort(first, shared->count, sizeof(*first), by_outcome);
	for (; first < end; first += n) {
		for (n = 1; first + n < end && first[n].outcome == first->outcome; n++)
			;
		printf("%s %u %.0f %.0f %.0f\n", name_of(first->outcome), n,
		       took(first), took(first + n / 2), took(first + n - 1));
	}
}

/* Print how many requests were in line when the last request began. */
static void print_together(void)
{
	double last = 0;
	unsigned int i, together = 0;

	for (i = 0; i < shared->count; i++)
		if (shared->samples[i].began > last)
			last = shared->samples[i].began;
	for (i = 0; i < shared->count; i++)
		if (shared->samples[i].outcome != EAGAIN && shared->samples[i].ended > last)
			together++;
	printf("together %u\n", together);
}

/* Make one request, as the process with this number. */
static void ask(int number, const char *request, key_serial_t ring)
{
	const double began = now();

	shared->asked[number] = began;
	note_sample(began, add_key("derived", "flood", request, strlen(request), ring) < 0 ?
			   errno : OK);
	shared->asked[number] = 0;
}

/*
 * Fork processes that wait until all of them are ready. In a child, it then
 * returns the child's number. In the parent, it returns -1, just after it has
 * released the children.
 */
static int fork_all(int processes, pid_t *pids)
{
	int ready[2], go[2], i;
	char byte;

	if (processes < 1 || processes > MAX_PROCESSES)
		usage();
	if (pipe(ready) || pipe(go))
		die("pipe");
	fflush(stdout);
	for (i = 0; i < processes; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		/* Make the process keyring before the time is measured. */
		keyctl_get_keyring_ID(KEY_SPEC_PROCESS_KEYRING, 1);
		if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1))
			_exit(1);
		return i;
	}
	close(ready[1]);
	for (i = 0; i < processes; i++)
		if (read(ready[0], &byte, 1) != 1)
			die("a child");
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	return -1;
}

static void do_once(int processes, const char *request, key_serial_t ring)
{
	pid_t pids[MAX_PROCESSES];
	const int number = fork_all(processes, pids);

	if (number >= 0) {
		ask(number, request, ring);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	print_together();
	print_samples();
}

static void do_over_quota(int processes, const char *request)
{
	char name[32];
	int i = 0;

	/* Make the keyring that is needed before the quota is full. */
	if (keyctl_join_session_keyring(NULL) < 0)
		die("session keyring");
	do
		snprintf(name, sizeof(name), "flood-%d", i++);
	while (add_key("user", name, "x", 1, KEY_SPEC_SESSION_KEYRING) >= 0);
	if (errno != EDQUOT)
		die("filling the quota");
	do_once(processes, request, KEY_SPEC_SESSION_KEYRING);
}

static void do_on(int processes, long pause, const char *request)
{
	pid_t pids[MAX_PROCESSES];
	const int number = fork_all(processes, pids);

	if (number >= 0) {
		do {
			ask(number, request, KEY_SPEC_PROCESS_KEYRING);
			sleep_ms(pause);
		} while (!stdin_ended());
		_exit(0);
	}
	puts("begun");
	fflush(stdout);
	while (wait(NULL) > 0)
		;
	print_samples();
}

static void do_kill(int processes, int line, const char *request)
{
	pid_t pids[MAX_PROCESSES];
	const int number = fork_all(processes, pids);
	int i, status, killed = 0;
	double began;

	if (number >= 0) {
		ask(number, request, KEY_SPEC_PROCESS_KEYRING);
		_exit(0);
	}
	while (__atomic_load_n(&shared->count, __ATOMIC_SEQ_CST) < (unsigned int)(processes - line + 1))
		sleep_ms(1);
	began = now();
	for (i = 0; i < processes; i++)
		if (shared->asked[i] && !kill(pids[i], SIGKILL))
			killed++;
	while (wait(&status) > 0)
		if (WIFSIGNALED(status))
			note_sample(began, --killed ? WAITING : AT_TPM);
	print_samples();
}

static void add_user_key(void)
{
	const double began = now();

	note_sample(began, add_key("user", "flood", "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0 ? errno : OK);
}

static void read_keys(void)
{
	const double began = now();
	int fd = open("/proc/keys", O_RDONLY);
	ssize_t len, total = 0;
	char buf[4096];

	while ((len = read(fd, buf, sizeof(buf))) > 0)
		total += len;
	note_sample(began, len < 0 ? errno : total ? OK : ENODATA);
	close(fd);
}

static void repeat(void (*what)(void), long pause)
{
	do {
		what();
		sleep_ms(pause);
	} while (!stdin_ended());
	print_samples();
}

static void do_exec(char **files)
{
	double began;
	int status;
	pid_t pid;

	for (; *files; files++) {
		began = now();
		pid = fork();
		if (!pid) {
			execl(*files, *files, NULL);
			_exit(1);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			die(*files);
		note_sample(began, OK);
	}
	print_samples();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	if (!strcmp(what, "once") && argc == 4)
		do_once(atoi(argv[2]), argv[3], KEY_SPEC_PROCESS_KEYRING);
	else if (!strcmp(what, "over-quota") && argc == 4)
		do_over_quota(atoi(argv[2]), argv[3]);
	else if (!strcmp(what, "on") && argc == 5)
		do_on(atoi(argv[2]), atol(argv[3]), argv[4]);
	else if (!strcmp(what, "kill") && argc == 5)
		do_kill(atoi(argv[2]), atoi(argv[3]), argv[4]);
	else if (!strcmp(what, "add") && argc == 3)
		repeat(add_user_key, atol(argv[2]));
	else if (!strcmp(what, "keys") && argc == 3)
		repeat(read_keys, atol(argv[2]));
	else if (!strcmp(what, "exec") && argc > 2)
		do_exec(argv + 2);
	else
		usage();
	return 0;
}
