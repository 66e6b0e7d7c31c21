#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fail-nth.sh: every allocation of a derivation fails, one by one (fail-nth.c). Each time there is
# an errno or the right key, nothing is left in the TPM, no memory is leaked (tests/vm/guest-init asks
# kmemleak), and the next try gives the right key. Allocations in the kernel's own sessions with the
# TPM are left out: the kernel takes a failure there for an attack.
#
# After some failures the request still gives the right key: failures of kmemleak's own records, and of
# pages, because a slab that cannot grow by several pages tries to grow by one.
#
# vm: boot tpm=golden
# vm: only-on[debug] the other kernels have no fault injection

. "$DERIVED/tests/lib/lib.sh"

debugfs=/sys/kernel/debug
plan_later

for kind in failslab fail_page_alloc; do
	# Also fail allocations that may wait for memory, and do not log each failure with a stack
	# trace.
	echo N >$debugfs/$kind/ignore-gfp-wait
	echo 0 >$debugfs/$kind/verbose
done
echo 0 >$debugfs/fail_page_alloc/min-order
echo N >$debugfs/fail_page_alloc/ignore-gfp-highmem

# set_range require|reject START END: only allocations by functions in this range fail, or all others.
set_range() {
	local kind
	for kind in failslab fail_page_alloc; do
		echo "$2" >$debugfs/$kind/"$1-start"
		echo "$3" >$debugfs/$kind/"$1-end"
		echo 32 >$debugfs/$kind/stacktrace-depth
	done
}
everything() { set_range require 0 0xffffffffffffffff; }
# Only what the module calls: the workers have other work, too.
only_the_module() {
	local addresses
	mapfile -t addresses < <(awk '$4 == "[derived_keys]" && $2 ~ /[tT]/ { print $1 }' /proc/kallsyms | sort)
	set_range require "0x${addresses[0]}" "0x${addresses[-1]}"
}
# addresses ERE: print where the kernel's functions with such names begin and end.
addresses() {
	sort /proc/kallsyms | awk -v name="$1" '
		$3 ~ name { print "0x" $1; inside = 1; next }
		inside { print "0x" $1; inside = 0 }'
}
# If an allocation fails in these functions, the kernel believes that the TPM was replaced by
# another, and disables it until the next boot; or it leaves a session in the TPM.
not_in_the_kernels_sessions() {
	mapfile -t at < <(addresses '^tpm2_(start|end)_auth_session$')
	set_range reject "${at[0]}" "${at[-1]}"
}
# The kernel's own allocations for loading a module are left out; these are the allocations of the
# module's own initialization.
only_its_beginning() {
	mapfile -t at < <(addresses '^do_init_module$')
	set_range require "${at[0]}" "${at[-1]}"
}

# one_by_one ARGUMENTS...: set $said to the output of the program, with its exit status if it fails.
one_by_one() { said=$("$DERIVED/bin/fail-nth" "$@") || said="status $?: $said"; }

# failures DESC LEAST ARGUMENTS...: check the program's output: at least LEAST failed allocations
# led to an errno, and to none but those in $expected. First the allocations from slabs fail, then
# those of pages. Pages are allocated only if a slab has to grow, so not every time, and the n-th
# allocation of both kinds together would not be the same each time. $pages is the number of failed
# pages so far.
expected=ENOMEM pages=0
failures() {
	local desc=$1 least=$2 said errnos
	shift 2
	echo 64 >$debugfs/fail_page_alloc/min-order
	one_by_one "$@"
	like "$desc" "$said" "^[0-9]+ failed:( $expected [0-9]+,)+ right [0-9]+\$"
	note "$said"
	errnos=$(grep -oE 'E[A-Z]+ [0-9]+' <<<"$said" | awk '{ n += $2 } END { print n + 0 }')
	[ "$errnos" -ge "$least" ]
	tap_point $? "$desc: at least $least failures led to an errno" "$said"
	echo 0 >$debugfs/fail_page_alloc/min-order

	echo Y >$debugfs/failslab/ignore-gfp-wait
	one_by_one "$@"
	like "$desc, pages" "$said" "^[0-9]+ failed:( $expected [0-9]+,)* right [0-9]+\$"
	note "$said"
	[[ ! $said =~ ^[0-9]+ ]] || pages=$((pages + BASH_REMATCH[0]))
	echo N >$debugfs/failslab/ignore-gfp-wait
}

load_module
everything
failures 'add_key(), path' 8 caller add '32 path fail-nth'
# If hashing fails, IMA does not report why.
expected='(ENOMEM|EOPNOTSUPP)'
failures 'add_key(), csum' 9 caller add '32 csum fail-nth'
expected=ENOMEM
failures 'add_key(), the longest key, noread' 8 caller add '1024 path,noread fail-nth'
failures 'request_key(), with a twin' 16 caller request '64 path,noread,logon fail-nth'
failures 'reading a key' 1 caller read '64 path fail-nth'
unload_module

load_module root=transient
only_the_module
failures 'the caller, during a fetch' 3 caller add '32 path fail-nth'
not_in_the_kernels_sessions
failures "the worker, with the kernel's session" 1 worker add '32 path fail-nth'
set_range reject 0 0
unload_module
tpm_slots_empty "nothing is left in the TPM after the kernel's sessions"

use_own_sessions
load_module root=transient
only_the_module
failures "the worker, with the module's own session" 10 worker add '32 path fail-nth'
unload_module
only_its_beginning
# Load the build with own sessions: if memory fails, the kernel's sessions may leave something in
# the TPM, which is not the module's fault.
failures 'loading the module' 2 caller load "$module"
tpm_slots_empty 'nothing is left in the TPM'
[ $pages -ge 5 ]
tap_point $? 'allocations of pages have failed, too' "$pages"
done_testing
