// SPDX-License-Identifier: GPL-2.0
/*
 * becomes-x: the attacker's program. Its file gets X's bytes after it was
 * started and before it is hashed. Both files must be of the same size.
 *
 *	becomes-x WHAT [HOW FILE]
 *
 * WHAT is described in ask.h. Without HOW, the file is not changed. HOW is
 *
 * write	FILE is the place where the file system keeps the program: write
 *		X's bytes into FILE
 * image	FILE is an image or a device with the file system: overwrite the
 *		program's bytes in it by X's
 * swap		the file system is two-faces.c, which swaps the bytes when FILE
 *		is looked up
 * silence	the same, but the file system never answers from then on
 * wait		FILE is a FIFO: wait for its end
 * open, truncate
 *		FILE is the program: try to open it for writing, or to truncate
 *		it; the kernel should refuse that
 *
 * It prints to stderr how long the answer took.
 */
#define _GNU_SOURCE
#include "attack.h"

#include <time.h>

#include "ask.h"

struct bytes {
	unsigned char *data;
	size_t size;
};

/*
 * Reads the file. A mapping would keep the pages in memory, and would also show
 * the bytes that the file gets later.
 */
static struct bytes contents(const char *path)
{
	const int fd = check(path, open(path, O_RDONLY | O_CLOEXEC));
	const off_t end = check("lseek", lseek(fd, 0, SEEK_END));
	struct bytes b = { malloc(end), 0 };
	ssize_t n;

	while ((n = check("pread", pread(fd, b.data + b.size, end - b.size, b.size))) > 0)
		b.size += n;
	close(fd);
	return b;
}

static int same(struct bytes a, struct bytes b)
{
	return a.size == b.size && !memcmp(a.data, b.data, a.size);
}

static void write_at(const char *path, struct bytes b, off_t where)
{
	const int fd = check(path, open(path, O_WRONLY | O_CLOEXEC));
	size_t done;

	for (done = 0; done < b.size; )
		done += check("pwrite", pwrite(fd, b.data + done, b.size - done, where + done));
	check("fsync", fsync(fd));
	close(fd);
}

static void write_into_image(const char *path, struct bytes self, struct bytes x)
{
	const struct bytes image = contents(path);
	const unsigned char *found = memmem(image.data, image.size, self.data, self.size);

	errno = ENOENT;
	check("image", found ? 0 : -1);
	write_at(path, x, found - image.data);
}

static void wait_for_end(const char *path)
{
	const int fd = check(path, open(path, O_RDONLY | O_CLOEXEC));
	char byte;

	while (check("read", read(fd, &byte, 1)))
		;
	close(fd);
}

/* Drop the cached pages of the file, so that the kernel reads it again. */
static void forget_contents(void)
{
	const int fd = check("exe", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *how = argc == 4 ? argv[2] : "", *file = argv[3];
	struct bytes self, x;
	struct timespec begin, end;
	struct stat st;

	alarm(60);
	if (argc != 2 && argc != 4)
		return 2;
	if (*how) {
		self = contents("/proc/self/exe");
		x = contents(X);
		errno = EINVAL;
		check("size", self.size == x.size ? 0 : -1);
	}
	forget_executable();

	if (!strcmp(how, "write"))
		write_at(file, x, 0);
	else if (!strcmp(how, "image"))
		write_into_image(file, self, x);
	else if (!strcmp(how, "swap") || !strcmp(how, "silence"))
		stat(file, &st);
	else if (!strcmp(how, "wait"))
		wait_for_end(file);
	else if ((!strcmp(how, "open") && open(file, O_WRONLY) == -1) ||
		 (!strcmp(how, "truncate") && truncate(file, 0) == -1))
		return printf("evil %s\n", strerrorname_np(errno)) < 0;

	if (*how && strcmp(how, "silence") && strcmp(how, "wait")) {
		forget_contents();
		errno = ESTALE;
		check("swap", same(contents("/proc/self/exe"), x) ? 0 : -1);
		forget_contents();
	}

	clock_gettime(CLOCK_MONOTONIC, &begin);
	ask("evil", argv[1], ASK_PROCESS_KEYRING);
	clock_gettime(CLOCK_MONOTONIC, &end);
	fprintf(stderr, "answered in %ld us\n", (end.tv_sec - begin.tv_sec) * 1000000L +
		(end.tv_nsec - begin.tv_nsec) / 1000);
	return 0;
}
