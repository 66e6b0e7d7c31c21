#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fail-nth.sh: every allocation of a derivation fails, one by one (fail-nth.c): an errno or the right
# key, nothing left in the TPM, no memory lost (tests/vm/guest-init asks kmemleak), and the next try is right.
# But for those in the kernel's own sessions with the TPM, which take a failure for an attack.
#
# Some come to nothing but the right key: kmemleak's own records, and pages, since a slab that cannot grow
# by many tries with one.
#
# vm: boot tpm=golden
# vm: only-on[debug] the other kernels have no fault injection

. "$DERIVED/tests/lib/lib.sh"

debugfs=/sys/kernel/debug
plan_later

for kind in failslab fail_page_alloc; do
	# Those that may wait for memory, too, and without a word and a stack trace for each.
	echo N >$debugfs/$kind/ignore-gfp-wait
	echo 0 >$debugfs/$kind/verbose
done
echo 0 >$debugfs/fail_page_alloc/min-order
echo N >$debugfs/fail_page_alloc/ignore-gfp-highmem

# set_range require|reject START END: which functions' allocations count, or do not.
set_range() {
	local kind
	for kind in failslab fail_page_alloc; do
		echo "$2" >$debugfs/$kind/"$1-start"
		echo "$3" >$debugfs/$kind/"$1-end"
		echo 32 >$debugfs/$kind/stacktrace-depth
	done
}
everything() { set_range require 0 0xffffffffffffffff; }
# What the module calls: workers have other things to do, too.
only_the_module() {
	local addresses
	mapfile -t addresses < <(awk '$4 == "[derived_keys]" && $2 ~ /[tT]/ { print $1 }' /proc/kallsyms | sort)
	set_range require "0x${addresses[0]}" "0x${addresses[-1]}"
}
# addresses ERE: where the kernel's functions of such a name begin, and end.
addresses() {
	sort /proc/kallsyms | awk -v name="$1" '
		$3 ~ name { print "0x" $1; inside = 1; next }
		inside { print "0x" $1; inside = 0 }'
}
# In these, the kernel takes a failure for a TPM that somebody has put in the place of the machine's, and
# disables it until the next boot; or leaves a session in the TPM.
not_in_the_kernels_sessions() {
	mapfile -t at < <(addresses '^tpm2_(start|end)_auth_session$')
	set_range reject "${at[0]}" "${at[-1]}"
}
# What loading a module allocates itself is the kernel's; this is what the module's own beginning does.
only_its_beginning() {
	mapfile -t at < <(addresses '^do_init_module$')
	set_range require "${at[0]}" "${at[-1]}"
}

# one_by_one ARGUMENTS...: into $said goes what the program says, and why it is not well.
one_by_one() { said=$("$DERIVED/bin/fail-nth" "$@") || said="status $?: $said"; }

# failures DESC LEAST ARGUMENTS...: the program's verdict, at least so many allocations that came to an
# errno, and to none but those in $expected.  First what is taken from slabs, then pages: these are taken
# where a slab happens to have to grow, so not every time, and the n-th of both would not be the same each
# time.  $pages is how many there were so far.
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
	tap_point $? "$desc: at least $least of them came to an errno" "$said"
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
# Of a failure to hash, IMA says no more.
expected='(ENOMEM|EOPNOTSUPP)'
failures 'add_key(), csum' 9 caller add '32 csum fail-nth'
expected=ENOMEM
failures 'add_key(), the longest key, not to be read' 8 caller add '1024 path,noread fail-nth'
failures 'request_key(), with a twin' 16 caller request '64 path,noread,logon fail-nth'
failures 'reading a key' 1 caller read '64 path fail-nth'
unload_module

load_module root=transient
only_the_module
failures 'the caller, when the root is fetched' 3 caller add '32 path fail-nth'
not_in_the_kernels_sessions
failures "the worker, with the kernel's session" 1 worker add '32 path fail-nth'
set_range reject 0 0
unload_module
tpm_slots_empty 'nothing is left in the TPM by then'

use_own_sessions
load_module root=transient
only_the_module
failures 'the worker, with a session of its own' 10 worker add '32 path fail-nth'
unload_module
only_its_beginning
# With that one: what the kernel's sessions forget in the TPM when memory fails is not ours.
failures 'loading the module' 2 caller load "$module"
tpm_slots_empty 'nothing is left in the TPM'
[ $pages -ge 5 ]
tap_point $? 'pages have failed, too' "$pages"
done_testing
