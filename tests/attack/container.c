// SPDX-License-Identifier: GPL-2.0
/*
 * container: run /usr/bin/x in a container without a user namespace: mount and PID namespaces and
 * a root directory of its own, and no capability.
 *
 *	container [-u|-p] ROOT WHAT
 *
 * -u: with the host's /usr in it. -p: the same, but in the PID namespace of the caller.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#include <linux/capability.h>
#include <sys/mount.h>

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		check("PR_CAPBSET_DROP", prctl(PR_CAPBSET_DROP, cap));
	check("capset", syscall(SYS_capset, &header, none));
}

int main(int argc, char **argv)
{
	const int host_pids = argc > 1 && !strcmp(argv[1], "-p");
	const int with_usr = host_pids || (argc > 1 && !strcmp(argv[1], "-u"));
	const char *root = argv[1 + with_usr], *what = argv[2 + with_usr];

	alarm(20);
	if (argc != 3 + with_usr) {
		fprintf(stderr, "usage: container [-u|-p] ROOT WHAT\n");
		return 2;
	}
	check("unshare", unshare(CLONE_NEWNS | (host_pids ? 0 : CLONE_NEWPID)));
	if (check("fork", fork())) {
		wait(NULL);
		return 0;
	}
	alarm(20);
	check("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	check("bind", mount(root, root, NULL, MS_BIND, NULL));
	check("chdir", chdir(root));
	if (with_usr)
		check("bind /usr", mount("/usr", "usr", NULL, MS_BIND, NULL));
	check("pivot_root", syscall(SYS_pivot_root, ".", "."));
	check("umount", umount2(".", MNT_DETACH));
	check("chdir", chdir("/"));
	drop_capabilities();
	run(X, what);
}
