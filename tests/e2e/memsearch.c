// SPDX-License-Identifier: GPL-2.0
/*
 * memsearch: find any of many strings of eight bytes in a file, at any offset.
 *
 *	memsearch FILE <NEEDLES
 *
 * NEEDLES is any number of strings of eight bytes, without separators. Prints
 * "searched BYTES"; BYTES includes the holes of the file, which cannot match.
 * Then it prints for each match, in ascending order, the offset in FILE and the
 * number of the needle, from 0. A needle that is given twice matches twice.
 *
 * It runs on the host, whose C library may be older, and is therefore static.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_NEEDLES	(1 << 17)
#define FILTER_BITS	20

struct needle {
	uint64_t value;
	uint32_t number;
};

static struct needle needles[MAX_NEEDLES];
static size_t count;
static uint8_t filter[1 << (FILTER_BITS - 3)];

static uint32_t hash(uint64_t value)
{
	return value * 0x9e3779b97f4a7c15 >> (64 - FILTER_BITS);
}

static int compare(const void *a, const void *b)
{
	const struct needle *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Search for the needle, after the filter has reported a possible match. */
static void look_up(off_t offset, uint64_t value)
{
	size_t low = 0, high = count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (needles[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && needles[low].value == value; low++)
		printf("%jd %u\n", (intmax_t)offset, needles[low].number);
}

int main(int argc, char **argv)
{
	off_t size, begin, end, i;
	const uint8_t *map;
	uint64_t value;
	int fd;

	if (argc != 2)
		errx(2, "usage: memsearch FILE <NEEDLES");
	while (fread(&value, sizeof(value), 1, stdin) == 1) {
		if (count == MAX_NEEDLES)
			errx(2, "too many needles");
		needles[count] = (struct needle){ value, count };
		count++;
		filter[hash(value) >> 3] |= 1 << (hash(value) & 7);
	}
	if (!count)
		errx(2, "no needles");
	qsort(needles, count, sizeof(needles[0]), compare);

	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(2, "%s", argv[1]);
	size = lseek(fd, 0, SEEK_END);
	if (size < (off_t)sizeof(value))
		errx(2, "%s is empty", argv[1]);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(2, "%s", argv[1]);
	printf("searched %jd\n", (intmax_t)size);

	for (end = 0; (begin = lseek(fd, end, SEEK_DATA)) >= 0;) {
		end = lseek(fd, begin, SEEK_HOLE);
		/*
		 * A string that begins before a hole and ends in it counts, and
		 * the reverse.
		 */
		begin = begin > 7 ? begin - 7 : 0;
		for (i = begin; i < end && i <= size - (off_t)sizeof(value); i++) {
			memcpy(&value, map + i, sizeof(value));
			if (filter[hash(value) >> 3] & 1 << (hash(value) & 7))
				look_up(i, value);
		}
	}
	return 0;
}
