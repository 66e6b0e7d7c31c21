// SPDX-License-Identifier: GPL-2.0
/*
 * snapshot: write the hibernation image of the machine to a file, and go on; or resume from it.
 *
 *	snapshot FILE
 *	snapshot --resume FILE
 *
 * It works like a program that hibernates the machine; see
 * Documentation/power/userland-swsusp.rst in the kernel. The first form prints how many pages it
 * wrote. The second form does not return: the image takes the place of the running kernel, and in the
 * image the first form prints "resumed".
 */
#include <err.h>
#include <fcntl.h>
#include <linux/suspend_ioctls.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static char page[4096];

static void resume(const char *path)
{
	int snapshot, file;
	ssize_t n;

	file = open(path, O_RDONLY);
	if (file < 0)
		err(1, "%s", path);
	snapshot = open("/dev/snapshot", O_WRONLY);
	if (snapshot < 0)
		err(1, "/dev/snapshot");
	/* The kernel takes no more when the image is complete. */
	do {
		if (read(file, page, sizeof(page)) != sizeof(page))
			err(1, "read");
		n = write(snapshot, page, sizeof(page));
	} while (n == sizeof(page));
	if (n)
		err(1, "the image");
	if (ioctl(snapshot, SNAPSHOT_FREEZE))
		err(1, "SNAPSHOT_FREEZE");
	ioctl(snapshot, SNAPSHOT_ATOMIC_RESTORE);
	err(1, "SNAPSHOT_ATOMIC_RESTORE");
}

int main(int argc, char **argv)
{
	int snapshot, file, in_suspend;
	size_t pages = 0;
	ssize_t n;

	if (argc == 3 && !strcmp(argv[1], "--resume"))
		resume(argv[2]);
	if (argc != 2)
		errx(2, "usage: snapshot [--resume] FILE");
	file = open(argv[1], O_WRONLY);
	if (file < 0)
		err(1, "%s", argv[1]);
	snapshot = open("/dev/snapshot", O_RDONLY);
	if (snapshot < 0)
		err(1, "/dev/snapshot");
	if (ioctl(snapshot, SNAPSHOT_FREEZE))
		err(1, "SNAPSHOT_FREEZE");
	if (ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, &in_suspend))
		err(1, "SNAPSHOT_CREATE_IMAGE");
	while (in_suspend && (n = read(snapshot, page, sizeof(page))) > 0) {
		if (write(file, page, n) != n)
			err(1, "write");
		pages++;
	}
	if (in_suspend && (n < 0 || fsync(file)))
		err(1, "the image");
	/* Thaw the other processes. */
	close(snapshot);
	if (in_suspend)
		printf("%zu pages\n", pages);
	else
		printf("resumed\n");
	return 0;
}
