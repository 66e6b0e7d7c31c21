// SPDX-License-Identifier: GPL-2.0
/*
 * container: run /usr/bin/x in a container without a user namespace: with its
 * own mount namespace, PID namespace and root directory, and no capabilities.
 *
 *	container [-u|-p] ROOT WHAT
 *	container -l LOADER WHAT
 *
 * -u: the container has the host's /usr. -p: the same, but in the PID namespace
 * of the caller. -l: with the host's root directory, and with LOADER bound over
 * the loader of the host's programs.
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#include <linux/capability.h>
#include <sys/mount.h>

#define HOST_LOADER	"/lib64/ld-linux-x86-64.so.2"

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		check("PR_CAPBSET_DROP", prctl(PR_CAPBSET_DROP, cap));
	check("capset", syscall(SYS_capset, &header, none));
}

static void enter_root(const char *root, int with_usr)
{
	check("bind", mount(root, root, NULL, MS_BIND, NULL));
	check("chdir", chdir(root));
	if (with_usr)
		check("bind /usr", mount("/usr", "usr", NULL, MS_BIND, NULL));
	check("pivot_root", syscall(SYS_pivot_root, ".", "."));
	check("umount", umount2(".", MNT_DETACH));
	check("chdir", chdir("/"));
}

int main(int argc, char **argv)
{
	const char option = argc == 4 && argv[1][0] == '-' ? argv[1][1] : 0;

	alarm(20);
	if (argc != 3 + !!option || (option && !strchr("upl", option))) {
		fprintf(stderr, "usage: container [-u|-p] ROOT WHAT | -l LOADER WHAT\n");
		return 2;
	}
	check("unshare", unshare(CLONE_NEWNS | (option == 'p' ? 0 : CLONE_NEWPID)));
	if (check("fork", fork())) {
		wait(NULL);
		return 0;
	}
	alarm(20);
	check("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (option == 'l')
		check("bind", mount(argv[2], HOST_LOADER, NULL, MS_BIND, NULL));
	else
		enter_root(argv[argc - 2], !!option);
	drop_capabilities();
	run(X, argv[argc - 1]);
}
