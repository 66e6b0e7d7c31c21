// SPDX-License-Identifier: GPL-2.0
/*
 * names: attacks with the names of files: deleted, renamed, linked, or without
 * a name.
 *
 *	names ROW WHAT [FILE]
 *
 * P6	run as ./y: deletes ./y, copies FILE to "./y (deleted)", and makes the
 *	request
 * P6b	the same, but "./y (deleted)" is another link to its own file
 * P7	run as ./a/y: exchanges ./a and ./b, once, and then all the time while
 *	it makes requests; prints each different answer
 * P10	copies FILE into a memfd named "x", and runs that
 * P21	run as root: runs FILE by its handle, as user 1000
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#include <grp.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "ask.h"

static int copy_to(int to, const char *from)
{
	int fd = check(from, open(from, O_RDONLY | O_CLOEXEC));

	while (check("sendfile", sendfile(to, fd, NULL, 1 << 20)) > 0)
		;
	close(fd);
	return to;
}

static void p6(const char *what, const char *file)
{
	check("unlink", unlink("y"));
	close(copy_to(check("creat", creat("y (deleted)", 0755)), file));
	ask("evil", what, ASK_PROCESS_KEYRING);
}

static void p6b(const char *what)
{
	check("link", link("y", "y (deleted)"));
	check("unlink", unlink("y"));
	ask("evil", what, ASK_PROCESS_KEYRING);
}

#define P7_QUESTIONS	300
#define P7_ANSWERS	8

static void change_places(void)
{
	check("rename", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
}

/*
 * ask() prints to stdout, which is a pipe here: this program reads the answers.
 */
static void p7(const char *what)
{
	static char answers[P7_ANSWERS][256];
	const int out = check("dup", dup(1));
	int pipe_fds[2], count = 0, i, j;
	pid_t child;

	check("pipe", pipe(pipe_fds));
	dup2(pipe_fds[1], 1);
	change_places();
	ask("evil", what, ASK_PROCESS_KEYRING);	/* the loop reads it first */
	child = check("fork", fork());
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			change_places();
	}
	for (i = 0; i < P7_QUESTIONS; i++) {
		char answer[256] = "";

		if (i)
			ask("evil", what, ASK_PROCESS_KEYRING);
		check("read", read(pipe_fds[0], answer, sizeof(answer) - 1));
		for (j = 0; j < count && strcmp(answer, answers[j]); j++)
			;
		if (j == count && count < P7_ANSWERS)
			strcpy(answers[count++], answer);
		if (i % 4 == 0)
			sched_yield();
	}
	kill(child, SIGKILL);
	wait(NULL);
	for (j = 0; j < count; j++)
		check("write", write(out, answers[j], strlen(answers[j])));
}

static void p10(const char *what, const char *file)
{
	run_fd(copy_to(check("memfd", memfd_create("x", MFD_CLOEXEC)), file), what);
}

static void p21(const char *what, const char *file)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, root, fd;

	check("name_to_handle_at", name_to_handle_at(AT_FDCWD, file, &h.handle, &mount_id, 0));
	/* Make the kernel forget the name. */
	sync();
	write_file("/proc/sys/vm/drop_caches", "2");
	root = check("open", open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	fd = check("open_by_handle_at", open_by_handle_at(root, &h.handle, O_PATH | O_CLOEXEC));
	check("setgroups", setgroups(0, NULL));
	check("setresgid", setresgid(1000, 1000, 1000));
	check("setresuid", setresuid(1000, 1000, 1000));
	run_fd(fd, what);
}

int main(int argc, char **argv)
{
	const char *row = argc > 2 ? argv[1] : "", *what = argv[2], *file = argv[3];

	alarm(30);
	if (!strcmp(row, "P6"))
		p6(what, file);
	else if (!strcmp(row, "P6b"))
		p6b(what);
	else if (!strcmp(row, "P7"))
		p7(what);
	else if (!strcmp(row, "P10"))
		p10(what, file);
	else if (!strcmp(row, "P21"))
		p21(what, file);
	else
		return 2;
	return 0;
}
