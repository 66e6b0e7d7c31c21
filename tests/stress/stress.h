/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stress.h: common code of the programs here: random numbers from a seed, and
 * counts of the outcomes of each kind of call, over many processes.
 */
#ifndef STRESS_H
#define STRESS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_OPS		64
#define MAX_ERRNO	256
#define MAX_KEY		1024

static inline void die(const char *what)
{
	perror(what);
	exit(3);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Allocate zeroed memory that processes share. */
static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* splitmix64: any seed is good, and so are consecutive seeds. */
static unsigned long long prng_state;

static inline unsigned long long prng(void)
{
	unsigned long long z = prng_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* A random number from 0 to n - 1. */
static inline unsigned int pick(unsigned int n)
{
	return prng() % n;
}

#define PICK(array)	((array)[pick(sizeof(array) / sizeof((array)[0]))])

/* Returns true in @percent of a hundred calls. */
static inline int chance(unsigned int percent)
{
	return pick(100) < percent;
}

typedef unsigned long outcome_counts[MAX_OPS][MAX_ERRNO];

static outcome_counts *outcomes;

/*
 * Count the outcome of a call. Returns the call's result, and does not change
 * errno.
 */
static inline long count(int op, long result)
{
	const int err = result < 0 ? errno : 0;

	__atomic_fetch_add(&(*outcomes)[op][err < MAX_ERRNO ? err : MAX_ERRNO - 1], 1,
			   __ATOMIC_RELAXED);
	return result;
}

static inline const char *errno_name(int err)
{
	const char *name = err ? strerrorname_np(err) : "ok";

	return name ? name : "E-unknown";
}

/*
 * Print a line for each: the operation, the outcome, its count. Returns the
 * sum.
 */
static inline unsigned long print_counts(const char *const *names, int ops)
{
	unsigned long sum = 0;
	int op, err;

	for (op = 0; op < ops; op++) {
		for (err = 0; err < MAX_ERRNO; err++) {
			if ((*outcomes)[op][err])
				printf("%s %s %lu\n", names[op], errno_name(err), (*outcomes)[op][err]);
			sum += (*outcomes)[op][err];
		}
	}
	return sum;
}

/* Make a process of each user call ask(@again), one after the other. */
static inline void each_user(int users, void (*become)(int who), void (*ask)(int again), int again)
{
	int who, status;

	for (who = 0; who < users; who++) {
		if (!fork()) {
			become(who);
			ask(again);
			exit(0);
		}
		if (wait(&status) < 0 || status)
			exit(3);
	}
}

#endif /* STRESS_H */
