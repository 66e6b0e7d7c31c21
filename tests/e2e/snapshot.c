// SPDX-License-Identifier: GPL-2.0
/*
 * snapshot: write the hibernation image of the machine to a file, and go on.
 *
 *	snapshot FILE
 *
 * It works like a program that hibernates the machine; see
 * Documentation/power/userland-swsusp.rst in the kernel.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/suspend_ioctls.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char page[4096];
	int snapshot, file, resumed;
	size_t pages = 0;
	ssize_t n;

	if (argc != 2)
		errx(2, "usage: snapshot FILE");
	file = open(argv[1], O_WRONLY);
	if (file < 0)
		err(1, "%s", argv[1]);
	snapshot = open("/dev/snapshot", O_RDONLY);
	if (snapshot < 0)
		err(1, "/dev/snapshot");
	if (ioctl(snapshot, SNAPSHOT_FREEZE))
		err(1, "SNAPSHOT_FREEZE");
	if (ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, &resumed))
		err(1, "SNAPSHOT_CREATE_IMAGE");
	while ((n = read(snapshot, page, sizeof(page))) > 0) {
		if (write(file, page, n) != n)
			err(1, "write");
		pages++;
	}
	if (n < 0 || fsync(file))
		err(1, "the image");
	/* Thaw the other processes. */
	close(snapshot);
	printf("%zu pages\n", pages);
	return 0;
}
