# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# lib.sh: what a test script in the virtual machine sources: TAP output and a few helpers.
#
#	. "$DERIVED/tests/lib/lib.sh"
#	plan 2				# or plan_later, and done_testing at the end
#	ok 'a key can be added' keyctl add user name payload @u
#	is 'one and one' "$((1 + 1))" 2
#
# A script goes on after a failed point; the host judges by what was printed.

tap_count=0

plan() { echo "1..$1"; }
plan_later() { :; }
done_testing() { echo "1..$tap_count"; }
note() { echo "# ${*//$'\n'/$'\n'# }"; }
bail_out() { echo "Bail out! $*"; exit 1; }

# Print a point: its status (0 is ok), its description, and, if it failed, what to know about it.
# "#" would begin a directive, so it is escaped.
tap_point() {
	local status=$1 desc=${2//[$'\n\r']/ } word=ok
	shift 2
	tap_count=$((tap_count + 1))
	[ "$status" -eq 0 ] || word='not ok'
	echo "$word $tap_count - ${desc//#/\\#}"
	[ "$status" -eq 0 ] || note "$@"
	return "$status"
}

pass() { tap_point 0 "$1"; }
fail() { tap_point 1 "$1" "${*:2}"; }

# skip DESC WHY: a point that is not tested here; the script's header must list it.
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - ${1//#/\\#} # SKIP $2"
}

# ok DESC CMD...: the command must succeed.  fails DESC CMD...: it must not.
# What it printed is in $out afterwards.
ok() {
	local desc=$1 status=0
	shift
	out=$("$@" 2>&1) || status=$?
	tap_point $status "$desc" "command: $*
exit status: $status
output: $out"
}
fails() {
	local desc=$1 status=0
	shift
	out=$("$@" 2>&1) || status=$?
	# 126 and 127: the shell could not run it at all, which proves nothing.
	[ $status -ne 0 ] && [ $status -lt 126 ]
	tap_point $? "$desc" "command: $*
exit status: $status
output: $out"
}

is() {
	[ "$2" = "$3" ]
	tap_point $? "$1" "got:  '$2'
want: '$3'"
}

# isnt DESC GOT UNWANTED: nothing at all is not "something else".
isnt() {
	[ -n "$2" ] && [ "$2" != "$3" ]
	tap_point $? "$1" "got:      '$2'
unwanted: '$3'"
}

# like DESC TEXT ERE: some line of TEXT matches.  unlike: none does, and there is some text.
like() {
	grep -qE -e "$3" <<<"$2"
	tap_point $? "$1" "text: $2
does not match: $3"
}
unlike() {
	[ -n "$2" ] && ! grep -qE -e "$3" <<<"$2"
	tap_point $? "$1" "text: '$2'
is empty or matches: $3"
}

# errno_is DESC ERRNO ARGUMENTS-OF-ADDKEY...: the call fails with just this errno.
errno_is() {
	local desc=$1 want=$2
	shift 2
	out=$("$DERIVED/bin/addkey" "$@" 2>&1)
	[ "$out" = "$want" ]
	tap_point $? "$desc" "got:  '$out'
want: '$want'
addkey $*"
}

# Under KASAN and the like everything takes eight times as long.
on_debug_kernel() { [ -e /sys/kernel/debug/kmemleak ]; }

# The kernel's tracing, for kprobes.
tracing=/sys/kernel/tracing
mount_tracing() { mountpoint -q $tracing || mount -t tracefs tracefs $tracing; }

# The module.
module=$DERIVED/derived-keys.ko
load_module() { insmod "$module" "$@"; }
# For tests of the module's own sessions: where the kernel has some, it would use those.
use_own_sessions() {
	[ ! -e "$DERIVED/own/derived-keys.ko" ] || module=$DERIVED/own/derived-keys.ko
}
unload_module() { rmmod derived_keys; }
# modprobe finds it from now on.  depmod would take 20 s.
install_module() {
	echo "install derived-keys /sbin/insmod $DERIVED/derived-keys.ko" >/etc/modprobe.d/derived-vm.conf
}

# What the kernel logged since the last klog_mark (or since boot).
klog_last=''
klog_mark() {
	klog_last="lib.sh: mark $$.$((++klog_marks))"
	echo "$klog_last" >/dev/kmsg
}
# What the kernel "debug" says of every program that needs more stack is not about us.
klog() {
	dmesg --notime | awk -v mark="$klog_last" '
		/ used greatest stack depth: / { next }
		!mark || seen { print }
		$0 == mark { seen = 1 }'
}

# tpm_slots_empty DESC: nothing of ours is left in the TPM.  Asked through /dev/tpm0, since the
# resource manager would show its own, empty, view.
tpm_slots_empty() {
	local desc=$1 left
	if left=$(tpm2_getcap -T device:/dev/tpm0 handles-transient &&
		  tpm2_getcap -T device:/dev/tpm0 handles-loaded-session); then
		is "$desc" "$left" ''
	else
		fail "$desc" "tpm2_getcap failed"
	fi
}

# as_user UID CMD...: as another user with no privileges, as after a login: a session keyring of
# its own, linked to the user keyring.
as_user() {
	local uid=$1
	shift
	# keyctl's own message is thrown away, the command's stderr is kept.
	# shellcheck disable=SC2016
	setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all --bounding-set=-all \
		keyctl session - sh -c 'exec 2>&3 3>&-; keyctl link @u @s; exec "$@"' sh "$@" 3>&2 2>/dev/null
}

# service SETTING... -- CMD...: run in a service of its own, as systemd makes it from these settings.
service() {
	local settings=()
	while [ "$1" != -- ]; do
		settings+=(-p "$1")
		shift
	done
	systemd-run --wait --pipe --collect -q "${settings[@]}" "${@:2}" 2>&1
}

# bytes_of UID: how many bytes of quota a user's keys take.
bytes_of() { sed -n "s|^ *$1: .* \([0-9]*\)/[0-9]*\$|\1|p" /proc/key-users; }

# until_is TEXT CMD...: until the command prints this, or for 20 s; prints what it printed last.
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

# ask_observer WORDS...: what the test's observer ("# vm: observer" in tests/vm/vm) answers, a line.
ask_observer() {
	local answer
	{
		echo "$*" >&0
		read -r -t 120 answer || answer='the observer does not answer'
	} <>/dev/ttyS3
	echo "$answer"
}
