/* SPDX-License-Identifier: GPL-2.0 */
/*
 * attack.h: common code of the attacks. If a step of an attack fails, the
 * attack prints "evil STEP:ERRNO". So an attack that failed before it reached
 * the module is not taken for an attack that the module refused.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define X	"/usr/bin/x"

__attribute__((noreturn))
static inline void failed(const char *step)
{
	printf("evil %s:%s\n", step, strerrorname_np(errno));
	fflush(stdout);
	_exit(1);
}

/* check("step", call()): returns the call's result; -1 ends the attack. */
static inline long check(const char *step, long result)
{
	if (result == -1)
		failed(step);
	return result;
}

static inline void write_file(const char *path, const char *text)
{
	int fd = check(path, open(path, O_WRONLY));

	check(path, write(fd, text, strlen(text)));
	close(fd);
}

/* Enter a new user namespace as its root, and the new namespaces of @flags. */
static inline void enter_user_ns(int flags)
{
	const uid_t uid = getuid();
	const gid_t gid = getgid();
	char map[32];

	check("unshare", unshare(CLONE_NEWUSER | flags));
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
}

static inline void run(const char *program, const char *what)
{
	execl(program, program, what, NULL);
	failed("exec");
}

static inline void run_fd(int fd, const char *what)
{
	char *const argv[] = { X, (char *)what, NULL };

	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	failed("execveat");
}

/*
 * Unmap the executable of this program while the program runs: replace each
 * mapping of it by an anonymous copy at the same address. mremap(2) replaces a
 * mapping in one step, so the running code is never missing.
 */
static inline void forget_executable(void)
{
	static char maps[16384];
	char self[256] = "", name[256];
	unsigned long start, end;
	size_t len = 0;
	ssize_t n;
	char *line;
	void *copy;
	int fd;

	check("readlink", readlink("/proc/self/exe", self, sizeof(self) - 1));
	fd = check("maps", open("/proc/self/maps", O_RDONLY));
	while ((n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += n;
	close(fd);

	for (line = strtok(maps, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255[^\n]", &start, &end, name) != 3 ||
		    strcmp(name, self))
			continue;
		copy = mmap(NULL, end - start, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		check("mmap", copy == MAP_FAILED ? -1 : 0);
		memcpy(copy, (void *)start, end - start);
		copy = mremap(copy, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED,
			      (void *)start);
		check("mremap", copy == MAP_FAILED ? -1 : 0);
	}
}

union fd_message {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static inline void send_fd(int to, int fd)
{
	union fd_message u = {};
	struct iovec iov = { .iov_base = "f", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	check("sendmsg", sendmsg(to, &msg, 0));
}

static inline int receive_fd(int from)
{
	union fd_message u = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};
	int fd;

	check("recvmsg", recvmsg(from, &msg, 0));
	if (!CMSG_FIRSTHDR(&msg))
		exit(1);	/* the sender has said why */
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

#endif /* ATTACK_H */
