#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel-sessions.sh: the kernel's own sessions with the TPM (CONFIG_TCG_TPM2_HMAC), and what comes of it
# when one cannot be started, or the TPM refuses, dawdles, is reset, or is not who answers.
# tpm-answers.sh is about the module's own, and its tpm-answers.py has the cases at each command of these,
# too.
#
# vm: boot tpm=golden proxy="any:delay=0"
# vm: boot tpm=golden proxy="any:delay=0"
# vm: boot tpm=golden proxy="any:delay=0"
# vm: boot tpm=golden proxy="any:delay=0"
# vm: observer ../e2e/tpm.observer
# vm: only-on[debug] Debian's kernels have no such sessions
# vm: long four minutes

[ "$BOOT" -lt 4 ] || exec python3 "$DERIVED/tests/e2e/tpm-answers.py" kernel

. "$DERIVED/tests/lib/lib.sh"

plan_later
parameters=/sys/module/derived_keys/parameters
request='32 path kernel-sessions v1'
root_check=$(awk -F'\t' '$1 == "root" && $2 == "golden" { print $3 }' "$DERIVED/tests/vectors/golden.tsv")

# The TPM answers by these rules from now on; prints what what came before has left in it.  The
# commands that came stand in /run/seen then.
by_rules() {
	local answer
	answer=$(ask_observer case "$@")
	echo "${answer#*|}" >/run/seen
	echo "${answer%%|*}"
}
# unsent RULE: what should have been sent and was not, to a TPM that answered by it.
unsent() {
	[ $# -eq 0 ] || tr ' ' '\n' </run/seen | grep -qx "${1%%@*}" || echo "$1 was not for any command"
}
# ask: the errno; or "ok", if it is of the golden root, in a session of the kernel's.
ask() {
	local said
	echo 1 >$parameters/forget	# a failure is remembered for a while
	if ! said=$("$DERIVED/bin/addkey" derived sessions "$request" @s 2>&1); then
		echo "$said"
	elif [ "$(sed -n "s/^root check: //p; s/^session: \(the kernel's\),.*/\1/p" $parameters/status |
		  sort | paste -s -d' ')" = "$root_check the kernel's" ]; then
		echo ok
	else
		cat $parameters/status
	fi
}
# case_of OUTCOME DESC [RULE]: what comes of a request, and that nothing is left; then the next is right.
case_of() {
	local want=$1 desc=$2 got
	shift 2
	by_rules "$@" >/dev/null
	klog_mark
	got=$(ask)
	said=$(klog)
	is "$desc: $want, and nothing is left in the TPM" "$got $(by_rules)$(unsent "$@")" "$want "
	[ "$want" = ok ] ||
		is "$desc: the next try gives the key, and leaves nothing" "$(ask) $(by_rules)" 'ok '
}
# Of each cause there is one line a minute.
refused() {
	case_of "$1" "$2" "${@:4}"
	like "$2: the log says why" "$said" "derived: .*$3"
}

# Nobody else is to ask the TPM for anything.
rng=/sys/class/misc/hw_random/rng_current
[ ! -e $rng ] || echo none >$rng
ok 'the module loads' load_module
case $BOOT in
1)
	case_of ok 'an honest TPM'
	case_of ok 'a TPM that does not say how many slots it has' GetCapability@1:rc=0x101
	case_of ok 'a TPM that says something else instead' GetCapability@1:cut=15
	refused EAGAIN 'no session slot' 'no memory, or no slot in the TPM, for a session' \
		StartAuthSession@1:rc=0x903
	refused EIO 'a session that fails' 'nonsense to TPM2_StartAuthSession' StartAuthSession@1:rc=0x101
	case_of EIO 'an answer without a session' HMAC@1:flip=1/3

	# The kernel takes a TPM that does not load the null primary key for one that somebody has put in
	# the place of the machine's.
	rules=ContextLoad@1:rc=0x101 kernels=''
	;;
2)
	# One that was reset has another null seed.
	case_of ok 'an honest TPM'
	rules=ContextLoad@1:reset kernels=80000000
	;;
3)
	# Nor has it the session any more in which it is asked: that the kernel finds out at once, and what it
	# was at the next request.
	case_of ok 'an honest TPM'
	by_rules HMAC@1:reset >/dev/null
	is 'a TPM that is reset before TPM2_HMAC: EIO, and nothing is left in it' "$(ask) $(by_rules)" 'EIO '
	is 'the next try: EIO, and nothing of ours is left in the TPM' "$(ask) $(by_rules)" 'EIO 80000000'
	klog_mark
	is 'after that there is no TPM: ENXIO' "$(ask)" ENXIO
	like 'the log says so' "$(klog)" 'derived: .*the TPM is disabled, suspended or gone'
	done_testing
	exit
	;;
esac
ok 'the module unloads' unload_module
ok 'the module loads' load_module
by_rules "$rules" >/dev/null
klog_mark
is "$rules: EIO" "$(ask)" EIO
like 'the log says that the kernel has disabled the TPM' "$(klog)" 'derived: .*the kernel has disabled the TPM'
# Of a TPM that was reset the kernel makes a null primary key anew, to compare, and leaves it there.
is 'nothing of ours is left in the TPM' "$(by_rules)" "$kernels"
klog_mark
is 'after that there is no TPM: ENXIO' "$(ask)" ENXIO
like 'the log says so' "$(klog)" 'derived: .*the TPM is disabled, suspended or gone'
done_testing
