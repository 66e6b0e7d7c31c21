#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# million.sh: 50,000 derivations one after the other (on the kernel "debug": 5,000), and 200 that each
# go to the TPM: memory, quotas and TPM slots are afterwards what they were after the first tenth.  The
# rates are printed.
# million-long.sh is the same with a million.
#
# vm: boot tpm=golden timeout=300
# vm: long[7.3] minutes of derivations

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/stress.sh"

plan_later
count=${MILLION:-50000}
transient=${MILLION_TRANSIENT:-200}
# What may be more at the end than after the first tenth, in KiB.  Slabs that are half empty stay the
# kernel's, and how many these are depends on when the garbage collector ran: some hundred KiB have
# been seen.  A leak of the smallest object there is (8 bytes) in every one of a million derivations
# is 7 MiB, of 32 bytes in every one of 50,000 is 1.4 MiB.
allowance=1024
# MemAvailable also shrinks by what others do: the kernel's log, the page tables of this script.
memory_allowance=8192
if on_debug_kernel; then
	# KASAN keeps what was freed, up to 1/32 of all memory, to see who still uses it; kmemleak takes
	# its own, and finds the leaks.
	allowance=65536 memory_allowance=131072 count=$((count / 10))
fi

# The program is on a file system of its own.  Who does not put back what he took of it, the open
# file, its directory entry or its mount, keeps that from being unmounted.
mkdir /run/own
mount -t tmpfs own /run/own
install "$DERIVED/bin/million" /run/own/million

# column N LINE-NUMBER: of what million printed.
column() { awk -v n="$1" -v line="$2" 'NF == 7 && ++lines == line { print $n }' <<<"$out"; }
# derivations ROOT COUNT
derivations() {
	local made seconds grown less
	out=$(/run/own/million "$2" 2>&1)
	tap_point $? "$1: $2 keys are derived, each that can be read as its first" "$out"
	made=$(column 1 10) seconds=$(column 2 10)
	note "$1: $(awk -v n="$made" -v s="$seconds" 'BEGIN { printf "%d in %.0f s, %.0f each second", n, s, n / s }')"
	note "$1: made, seconds, MemAvailable and SUnreclaim in KiB, keys alive, keys and bytes that count"
	note "$out"
	is "$1: all of them" "$made" "$2"
	[ "$made" = "$2" ] || return
	grown=$(($(column 4 10) - $(column 4 1))) less=$(($(column 3 1) - $(column 3 10)))
	[ $grown -le $allowance ]
	tap_point $? "$1: the kernel's memory does not grow" "$grown KiB more, of which $allowance may be"
	[ $less -le $memory_allowance ]
	tap_point $? "$1: nor does what is left for others shrink" "$less KiB, of which $memory_allowance may be"
	is "$1: no key stays, and no bytes of the quota" \
		"$(awk 'NF == 7 { print $5, $6, $7 }' <<<"$out" | sort -u | wc -l)" 1
}

ok 'the module loads' load_module
# shellcheck disable=SC2119 # nobody but root
begin_stress
derivations cached "$count"
is 'one root is in the log' "$(dmesg | grep -c '^.*derived: root check value')" 1
ok 'the module unloads after that' unload_module
ok 'the module loads with root=transient' load_module root=transient
derivations transient "$transient"
ok 'nothing is kept of the file system of the program that asked' umount /run/own
# shellcheck disable=SC2119
well_afterwards
done_testing
