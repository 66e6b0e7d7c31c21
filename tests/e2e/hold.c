// SPDX-License-Identifier: GPL-2.0
/*
 * hold: request keys, have the observer keep a copy of all memory at once, and
 * then do nothing.
 *
 *	hold REQUEST... <>/dev/ttyS3
 *
 * It adds the keys to the thread keyring; a refused request is no error.
 * Another process tells the observer "keep" and prints its answer. This process
 * then waits to be killed.
 *
 * Between the last request and the wait there is no system call, no page fault
 * and no allocation. So the observer sees the stack and the free memory as the
 * last request left them.
 *
 * gcc: -static
 */
#include <err.h>
#include <keyutils.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void have_kept(const atomic_int *now)
{
	char answer[200];
	ssize_t n;

	/* The first write allocates a buffer. The last one does not. */
	if (write(STDIN_FILENO, "keep", 4) != 4)
		err(1, "write");
	while (!atomic_load(now))
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	if (write(STDIN_FILENO, "\n", 1) != 1)
		err(1, "write");
	do {
		n = read(STDIN_FILENO, answer, sizeof(answer));
		if (n <= 0 || write(STDOUT_FILENO, answer, n) != n)
			err(1, "read");
	} while (answer[n - 1] != '\n');
}

int main(int argc, char **argv)
{
	atomic_int *now;
	int i;

	if (argc < 2)
		errx(2, "usage: hold REQUEST... <>/dev/ttyS3");
	now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (now == MAP_FAILED)
		err(1, "mmap");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		have_kept(now);
		return 0;
	}

	if (mlockall(MCL_CURRENT))
		err(1, "mlockall");
	for (i = 1; i < argc; i++)
		add_key("derived", "hold", argv[i], strlen(argv[i]), KEY_SPEC_THREAD_KEYRING);
	atomic_store(now, 1);
	pause();
	return 0;
}
