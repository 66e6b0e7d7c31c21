#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# million.sh: 50,000 derivations one after the other (on the kernel "debug": 5,000), and 200
# derivations with a fetch each. Afterwards, memory, quotas and TPM slots are as they were after the
# first tenth. The rates are printed. million-long.sh is the same with a million derivations.
#
# vm: boot tpm=golden timeout=300
# vm: long[7.3] minutes of derivations

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/stress.sh"

plan_later
count=${MILLION:-50000}
transient=${MILLION_TRANSIENT:-200}
# The allowed growth from the first tenth to the end, in KiB. The kernel keeps slabs that are half
# empty, and their number depends on the moment of the last garbage collection: some hundred KiB
# have been seen. A leak of the smallest possible object (8 bytes) in each of a million derivations
# is 7 MiB; a leak of 32 bytes in each of 50,000 is 1.4 MiB.
allowance=1024
# MemAvailable also shrinks for other reasons: the kernel's log, the page tables of this script.
memory_allowance=8192
if on_debug_kernel; then
	# KASAN keeps freed memory, up to 1/32 of all memory, to detect its further use; kmemleak needs
	# memory itself, and finds the leaks.
	allowance=65536 memory_allowance=131072 count=$((count / 10))
fi

# The program is on a file system of its own. A leaked reference to the open file, its directory
# entry or its mount would keep that file system from being unmounted.
mkdir /run/own
mount -t tmpfs own /run/own
install "$DERIVED/bin/million" /run/own/million

# column N LINE-NUMBER: print a field of million's output.
column() { awk -v n="$1" -v line="$2" 'NF == 7 && ++lines == line { print $n }' <<<"$out"; }
# derivations ROOT COUNT
derivations() {
	local made seconds grown less
	out=$(/run/own/million "$2" 2>&1)
	tap_point $? "$1: $2 keys are derived; each that can be read is the same as its first one" "$out"
	made=$(column 1 10) seconds=$(column 2 10)
	note "$1: $(awk -v n="$made" -v s="$seconds" 'BEGIN { printf "%d in %.0f s, %.0f each second", n, s, n / s }')"
	note "$1: made, seconds, MemAvailable and SUnreclaim in KiB, keys alive, keys and bytes that count"
	note "$out"
	is "$1: all of these keys were made" "$made" "$2"
	[ "$made" = "$2" ] || return
	grown=$(($(column 4 10) - $(column 4 1))) less=$(($(column 3 1) - $(column 3 10)))
	[ $grown -le $allowance ]
	tap_point $? "$1: the kernel's memory does not grow" "$grown KiB more; $allowance are allowed"
	[ $less -le $memory_allowance ]
	tap_point $? "$1: the available memory does not shrink" "$less KiB less; $memory_allowance are allowed"
	is "$1: no key stays, and no bytes of the quota" \
		"$(awk 'NF == 7 { print $5, $6, $7 }' <<<"$out" | sort -u | wc -l)" 1
}

ok 'the module loads' load_module
# shellcheck disable=SC2119 # only root
begin_stress
derivations cached "$count"
is 'the log has one line about the root' "$(dmesg | grep -c '^.*derived: root check value')" 1
ok 'the module unloads after these derivations' unload_module
ok 'the module loads with root=transient' load_module root=transient
derivations transient "$transient"
ok "no reference to the program's file system is left" umount /run/own
# shellcheck disable=SC2119
well_afterwards
done_testing
