#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel-sessions.sh: the kernel's own sessions with the TPM (CONFIG_TCG_TPM2_HMAC), and the outcome
# when a session cannot be started, when the TPM refuses, is slow or is reset, and when another
# party answers. tpm-answers.sh tests the module's own sessions; its tpm-answers.py also has the
# cases at each command of the kernel's sessions.
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

# by_rules [RULE...]: from now on the TPM answers by these rules. Prints what the commands before
# have left in the TPM; /run/seen then has these commands.
by_rules() {
	local answer
	answer=$(ask_observer case "$@")
	echo "${answer#*|}" >/run/seen
	echo "${answer%%|*}"
}
# unsent RULE: print a message if the command of that rule was not sent to the TPM.
unsent() {
	[ $# -eq 0 ] || tr ' ' '\n' </run/seen | grep -qx "${1%%@*}" || echo "$1 was not for any command"
}
# ask: make a request. Prints the errno; or "ok" for a key from the golden root, by a session of the
# kernel's.
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
# case_of OUTCOME DESC [RULE]: a request with this rule has this outcome and leaves nothing in the
# TPM; the next request gives the right key.
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
# refused OUTCOME DESC REASON RULE: as case_of, and the log gives the reason. The log has one line a
# minute for each cause.
refused() {
	case_of "$1" "$2" "${@:4}"
	like "$2: the log says why" "$said" "derived: .*$3"
}

# Keep the kernel's random number generator from asking the TPM.
rng=/sys/class/misc/hw_random/rng_current
[ ! -e $rng ] || echo none >$rng
ok 'the module loads' load_module
case $BOOT in
1)
	case_of ok 'an honest TPM'
	case_of ok 'a TPM that does not tell its number of slots' GetCapability@1:rc=0x101
	case_of ok 'a TPM that gives a malformed answer instead' GetCapability@1:cut=15
	refused EAGAIN 'no session slot' 'no memory, or no slot in the TPM, for a session' \
		StartAuthSession@1:rc=0x903
	refused EIO 'a session that fails' 'nonsense to TPM2_StartAuthSession' StartAuthSession@1:rc=0x101
	case_of EIO 'an answer without a session' HMAC@1:flip=1/3

	# If a TPM does not load the null primary key, the kernel believes that the TPM was replaced by
	# another.
	rules=ContextLoad@1:rc=0x101 kernels=''
	;;
2)
	# A TPM that was reset has another null seed.
	case_of ok 'an honest TPM'
	rules=ContextLoad@1:reset kernels=80000000
	;;
3)
	# A TPM that was reset has also lost the session in which it is asked. The kernel notices
	# that at once, and that the TPM was reset at the next request.
	case_of ok 'an honest TPM'
	by_rules HMAC@1:reset >/dev/null
	is 'a TPM that is reset before TPM2_HMAC: EIO, and nothing is left in it' "$(ask) $(by_rules)" 'EIO '
	is "the next try: EIO, and nothing of the module's is left in the TPM" "$(ask) $(by_rules)" 'EIO 80000000'
	klog_mark
	is 'after that the TPM is disabled: ENXIO' "$(ask)" ENXIO
	like 'the log says that the TPM is disabled' "$(klog)" 'derived: .*the TPM is disabled, suspended or gone'
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
# After a reset, the kernel makes a new null primary key, to compare it with the old one, and leaves
# it in the TPM.
is "nothing of the module's is left in the TPM" "$(by_rules)" "$kernels"
klog_mark
is 'after that the TPM is disabled: ENXIO' "$(ask)" ENXIO
like 'the log says that the TPM is disabled' "$(klog)" 'derived: .*the TPM is disabled, suspended or gone'
done_testing
