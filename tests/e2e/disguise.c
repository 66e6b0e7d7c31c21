// SPDX-License-Identifier: GPL-2.0
/*
 * disguise: become a process whose executable cannot be trusted, then request a
 * key.
 *
 *	disguise plain|deleted|replaced|memfd|remapped|exe=FILE [REQUEST
 *	[TIMES]]
 *
 * plain:	it changes nothing
 * deleted:	it deletes its executable first
 * replaced:	it gives the name of its executable to another file first
 * memfd:	it runs from a memfd
 * remapped:	it unmaps its executable first, which exe= needs, too
 * exe=FILE:	prctl(PR_SET_MM_EXE_FILE) makes FILE its executable (needs
 *		CAP_SYS_RESOURCE)
 *
 * Prints the target of /proc/self/exe; then "ok", or the errno of add_key(2) by
 * name, and how many requests in a row had this outcome. It makes TIMES
 * requests. The defaults are "32 path" for REQUEST, and 1 for TIMES.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static char exe[PATH_MAX];

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static void read_exe(void)
{
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (len < 0)
		die("/proc/self/exe");
	exe[len] = 0;
}

/* Replace each mapping of the executable by an anonymous copy. */
static void remap(void)
{
	struct { uintptr_t from, to; int prot; } maps[32];
	FILE *file = fopen("/proc/self/maps", "r");
	char *line = NULL, r, w, x, *copy;
	size_t size = 0, len;
	int n = 0, i;

	if (!file)
		die("/proc/self/maps");
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (!strchr(line, '/') || strcmp(strchr(line, '/'), exe))
			continue;
		if (n == 32 || sscanf(line, "%lx-%lx %c%c%c", &maps[n].from, &maps[n].to, &r, &w, &x) != 5)
			die("/proc/self/maps");
		maps[n++].prot = (r == 'r' ? PROT_READ : 0) | (w == 'w' ? PROT_WRITE : 0) |
				 (x == 'x' ? PROT_EXEC : 0);
	}
	free(line);
	fclose(file);
	for (i = 0; i < n; i++) {
		len = maps[i].to - maps[i].from;
		copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (copy == MAP_FAILED)
			die("mmap");
		memcpy(copy, (void *)maps[i].from, len);
		if (mprotect(copy, len, maps[i].prot) ||
		    mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, maps[i].from) == MAP_FAILED)
			die("mremap");
	}
}

static void set_exe(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		die(path);
	remap();
	if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0))
		die("PR_SET_MM_EXE_FILE");
	close(fd);
}

/* Make a copy of the executable. A copy in a memfd stays open. */
static int copy_exe(int out)
{
	int in = open(exe, O_RDONLY);
	char buf[4096];
	ssize_t n;

	if (in < 0 || out < 0)
		die("copy");
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			die("write");
	close(in);
	return out;
}

static void replace(void)
{
	char other[PATH_MAX + 8];

	snprintf(other, sizeof(other), "%s.new", exe);
	close(copy_exe(open(other, O_WRONLY | O_CREAT | O_TRUNC, 0755)));
	if (rename(other, exe))
		die("rename");
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	char *request = argc > 2 ? argv[2] : "32 path";
	char *again[] = { argv[0], "plain", request, argc > 3 ? argv[3] : NULL, NULL };
	const char *last = "", *now;
	int times = argc > 3 ? atoi(argv[3]) : 1, row = 0;

	read_exe();
	if (!strcmp(how, "deleted")) {
		if (unlink(exe))
			die("unlink");
	} else if (!strcmp(how, "replaced")) {
		replace();
	} else if (!strcmp(how, "memfd")) {
		fexecve(copy_exe(memfd_create("disguise", MFD_CLOEXEC)), again, environ);
		die("fexecve");
	} else if (!strcmp(how, "remapped")) {
		remap();
	} else if (!strncmp(how, "exe=", 4)) {
		set_exe(how + 4);
	} else if (strcmp(how, "plain")) {
		fprintf(stderr, "usage: disguise plain|deleted|replaced|memfd|remapped|exe=FILE [REQUEST [TIMES]]\n");
		return 2;
	}

	read_exe();
	puts(exe);
	while (times-- > 0) {
		now = "ok";
		if (add_key("derived", "disguise", request, strlen(request), KEY_SPEC_PROCESS_KEYRING) < 0)
			now = strerrorname_np(errno);
		if (row && strcmp(now, last)) {
			printf("%s %d\n", last, row);
			row = 0;
		}
		last = now;
		row++;
	}
	printf("%s %d\n", last, row);
	return 0;
}
