#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh: the cost of a derived key, compared with a key of type user ("make bench"). No point depends
# on a time. One point checks that after the first key, a thousand keys take no TPM command.
#
# vm: boot tpm=fresh timeout=600
# vm: boot tpm=fresh timeout=600 args="ima_policy=tcb"
# vm: not-on[debug] this measures times
# vm: long ten thousand keys of each kind, to be measured on an otherwise idle machine

. "$DERIVED/tests/lib/lib.sh"

plan_later
rounds=${BENCH_ROUNDS:-10000}
bench=$DERIVED/bin/bench

# The codes of all TPM commands that the kernel sends: tpm_transmit() sends each of them. Two
# commands of other users, which are sent all the time, are left out: IMA's TPM2_PCR_Extend (0x182;
# even reading the trace is measured) and the random number generator's TPM2_GetRandom (0x17b).
mount_tracing
echo 'p:tpm_command tpm_transmit cc=+6(%si):x32' >$tracing/kprobe_events
echo 'cc != 0x82010000 && cc != 0x7b010000' >$tracing/events/kprobes/tpm_command/filter
echo 1 >$tracing/events/kprobes/tpm_command/enable
start_tracing() { echo >$tracing/trace; }
# Print the codes as in Part 2 of the specification (the probe reads their bytes in reverse order).
tpm_commands() { sed -n 's/.* cc=0x\(..\)\(..\)0000$/0x\2\1/p' $tracing/trace; }

# measure NAME TYPE REQUEST: print a row of the table
measure() {
	local median p99
	read -r median p99 < <("$bench" "$rounds" "$2" "$3")
	if [ -z "$median" ]; then
		fail "add_key: $1"
		return
	fi
	[ -n "$base" ] || base=$median
	printf '  %-34s %9.1f %9.1f %7.2f\n' "$1" "$((median / 10))e-2" "$((p99 / 10))e-2" \
		"$((median * 100 / base))e-2"
}

start_tracing
ok 'the module loads' load_module
keyctl add derived first '32 path' @s >/dev/null
# The session takes TPM2_CreatePrimary of the null primary key, _StartAuthSession and _FlushContext.
is 'the first key takes a session, TPM2_CreatePrimary, _HMAC, _FlushContext and _GetCapability' \
	"$(tpm_commands | paste -s -d' ')" '0x0131 0x0176 0x0165 0x0131 0x0155 0x0165 0x017a'
start_tracing
"$bench" 1000 derived '32 path' >/dev/null
is 'the next thousand keys take no TPM command' "$(tpm_commands)" ''

echo
if [ "$BOOT" -eq 1 ]; then
	echo "  add_key(2), $rounds of each, $(uname -r)"
	printf '  %-34s %9s %9s %7s\n' '' 'median us' 'p99 us' 'ratio'
	base=''
	measure 'user, 32 bytes' user @32
	measure 'user, 1024 bytes' user @1024
	measure 'derived, 32 path' derived '32 path'
	measure 'derived, 64 path,noread, a mixin' derived '64 path,noread nas-disk v1'
	measure 'derived, 1024 path' derived '1024 path'
	rounds=$((rounds / 10))
	echo "  $(stat -c %s "$bench") bytes of program, no IMA policy, $rounds of each"
	measure 'derived, 32 csum' derived '32 csum'
	measure 'derived, 1024 csum' derived '1024 csum'
	unload_module && load_module root=transient
	rounds=100
	start_tracing
	echo "  root=transient, $rounds of each"
	measure 'derived, 32 path' derived '32 path'
	echo "  TPM commands for each: $(($(tpm_commands | wc -l) / rounds))"
else
	echo "  with IMA measuring (ima_policy=tcb), $rounds of each"
	base=''
	measure 'user, 32 bytes' user @32
	measure 'derived, 32 path' derived '32 path'
	measure 'derived, 32 csum' derived '32 csum'
	measure 'derived, 1024 csum' derived '1024 csum'
fi
echo
tpm_slots_empty 'nothing is left in the TPM'
done_testing
