# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# lib.sh: every test in the virtual machine sources it, by . "$DERIVED/tests/lib/lib.sh": tests/lib/tap.sh and
# a few helpers.

. "$DERIVED/tests/lib/tap.sh"

# errno_is DESC ERRNO ARGUMENTS-OF-ADDKEY...: add_key(2) fails with exactly this errno.
errno_is() {
	local desc=$1 want=$2
	shift 2
	out=$("$DERIVED/bin/addkey" "$@" 2>&1)
	[ "$out" = "$want" ]
	tap_point $? "$desc" "got:  '$out'
want: '$want'
addkey $*"
}

# The kernel "debug", with KASAN and the other checkers, is eight times as slow.
on_debug_kernel() { [ -e /sys/kernel/debug/kmemleak ]; }

# The kernel's tracing, for kprobes.
tracing=/sys/kernel/tracing
mount_tracing() { mountpoint -q $tracing || mount -t tracefs tracefs $tracing; }

# The module.
module=$DERIVED/derived-keys.ko
load_module() { insmod "$module" "$@"; }
# For tests of the module's own sessions. Where the kernel has sessions, the ordinary build uses those, so this
# takes the build that does not.
use_own_sessions() {
	[ ! -e "$DERIVED/own/derived-keys.ko" ] || module=$DERIVED/own/derived-keys.ko
}
unload_module() { rmmod derived_keys; }
# From now on modprobe finds the module. (depmod would take 20 s.)
install_module() {
	echo "install derived-keys /sbin/insmod $DERIVED/derived-keys.ko" >/etc/modprobe.d/derived-vm.conf
}

# klog prints what the kernel has logged since the last klog_mark, or since boot.
klog_last=''
klog_mark() {
	klog_last="lib.sh: mark $$.$((++klog_marks))"
	echo "$klog_last" >/dev/kmsg
}
# The kernel "debug" logs every program that needs more stack than those before. The module is not concerned.
klog() {
	dmesg --notime | awk -v mark="$klog_last" '
		/ used greatest stack depth: / { next }
		!mark || seen { print }
		$0 == mark { seen = 1 }'
}

# tpm_slots_empty DESC: no object and no session is left in the TPM. This uses /dev/tpm0, because the resource
# manager (/dev/tpmrm0) would only show its own view, which is empty.
tpm_slots_empty() {
	local desc=$1 left
	if left=$(tpm2_getcap -T device:/dev/tpm0 handles-transient &&
		  tpm2_getcap -T device:/dev/tpm0 handles-loaded-session); then
		is "$desc" "$left" ''
	else
		fail "$desc" "tpm2_getcap failed"
	fi
}

# as_user UID CMD...: run it as another user, without privileges, as after a login: with a session keyring of
# its own, in which the user keyring is linked.
as_user() {
	local uid=$1
	shift
	# keyctl's own message is thrown away; the command's stderr is kept.
	# shellcheck disable=SC2016
	setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all --bounding-set=-all \
		keyctl session - sh -c 'exec 2>&3 3>&-; keyctl link @u @s; exec "$@"' sh "$@" 3>&2 2>/dev/null
}

# service SETTING... -- CMD...: run it in a systemd service of its own with these settings.
service() {
	local settings=()
	while [ "$1" != -- ]; do
		settings+=(-p "$1")
		shift
	done
	systemd-run --wait --pipe --collect -q "${settings[@]}" "${@:2}" 2>&1
}

# bytes_of UID: how many bytes of quota the user's keys take.
bytes_of() { sed -n "s|^ *$1: .* \([0-9]*\)/[0-9]*\$|\1|p" /proc/key-users; }

# until_is TEXT CMD...: run the command until it prints this, at most for 20 s; print what it printed last.
until_is() {
	local want=$1 got=''
	shift
	for _ in $(seq 80); do
		got=$("$@" 2>&1)
		[ "$got" != "$want" ] || break
		sleep 0.25
	done
	echo "$got"
}

# ask_observer WORDS...: send a line to the test's observer ("# vm: observer" in tests/vm/header.py), and print
# its answer, which is a line, too.
ask_observer() {
	local answer
	{
		echo "$*" >&0
		read -r -t 120 answer || answer='the observer does not answer'
	} <>/dev/ttyS3
	echo "$answer"
}
