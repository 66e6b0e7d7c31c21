# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# roots.sh: helpers for scripts that build or run programs in the roots of tests/vm/root and
# tests/vm/debug-kernel.

# as_root CMD...: run it as root, with sudo if necessary.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# in_root BASE CMD...: run it in BASE/root, with /proc mounted, which objtool needs. It has its own namespaces, so
# in no case a mount or a process is left behind.
in_root() {
	local base=$1
	shift
	as_root unshare --mount --pid --fork --kill-child --mount-proc="$base/root/proc" \
		chroot "$base/root" "$@"
}

# in_root_with_tree BASE CMD...: the same, with a temporary copy of BASE/tree on /mnt/tree. The copy is an overlay,
# so only changed files take memory.
in_root_with_tree() {
	# shellcheck disable=SC2016
	as_root unshare --mount --pid --fork --kill-child --mount-proc="$1/root/proc" /bin/sh -euc '
		mount -t tmpfs -o mode=755 tmpfs "$1/root/mnt"
		cd "$1/root/mnt"
		mkdir upper work tree
		mount -t overlay overlay -o "lowerdir=$1/tree,upperdir=upper,workdir=work" tree
		root=$1/root
		shift
		exec chroot "$root" "$@"' sh "$@"
}
