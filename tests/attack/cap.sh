#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cap.sh: attacks on the capped root by a program that may open the TPM device, by another system on the machine, and by
# root: rows K of the table in Documentation/threat-model.rst. cap.py is the attacker. The first rows are tried by root
# and by a member of the group tss, on /dev/tpmrm0 and on /dev/tpm0, against the plain root and the capped root, before
# the module is loaded and after it. A row that succeeds is a limit that the document names.
#
# Boot 1: the golden TPM, cap=13; at the end the TPM alone is reset. Boot 2: a system that is measured into PCRs 7, 8, 9
# and 11; it is left by kexec. Boot 3: another system with the same loader, which replays what it can; at the end
# TPM2_Clear. Boot 4: after TPM2_Clear, and TPMs of another kind (cap-tpms.py).
#
# vm: boot tpm=golden timeout=900 proxy="any:delay=0"
# vm: boot tpm=golden timeout=600
# vm: boot tpm=golden timeout=300
# vm: boot tpm=golden timeout=600
# vm: observer ../e2e/tpm.observer
# vm: long[7.3] four boots

. "$DERIVED/tests/lib/lib.sh"

parameters=/sys/module/derived_keys/parameters
test_module=$DERIVED/test/derived-keys.ko	# can be unloaded after the cap
state=/root/cap.state				# from boot to boot
prog=/opt/derived-keys/prog
request='64 path,noread,capped' purpose='nas-disk v1'
plain_root=ec9d3797d6b708abeaf3437c6fde20f3e3d938161718e8a19242e43908f5a775
capped_root=6a254f78d9d34591764a98dde646517be606938f85f603ec59618bed65859c4e
capped_check=1e8ddf4b9293fa37 capped_kcv=3824dc44ec2bb7aa
event=f37535042616a2656b3fa5ef912f353dfb0a8d99b3583e36cd2db1b1bd3a3bff
zero=$(printf '%064d' 0)
closed=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(bytes.fromhex(sys.argv[1])).hexdigest())' "$zero$event")

status() { sed -n "s/^$1: //p" $parameters/status; }
pcr() { tr '[:upper:]' '[:lower:]' <"/sys/class/tpm/tpm0/pcr-sha256/$1"; }
ours() { klog | grep '^derived: '; }

# as_who WHO CMD...: as root, or as a user without privileges in the group tss.
as_who() {
	local who=$1
	shift
	[ "$who" = tss ] || { "$@"; return; }
	setpriv --reuid 1000 --regid 1000 --groups tss --inh-caps=-all --bounding-set=-all "$@"
}
# attacker WHO DEVICE ARGUMENTS-OF-CAP.PY...
attacker() { as_who "$1" python3 "$DERIVED/tests/attack/cap.py" "/dev/$2" "${@:3}" 2>&1; }
fetch() { attacker tss tpmrm0 fetch "$@"; }
# check_value ROOT: its root check value.
check_value() {
	python3 -c 'import hmac, sys; print(hmac.digest(bytes.fromhex(sys.argv[1]),
		b"\0\0\0\1derived-keys v1 root check\0\0\0\1\0", "sha256")[:8].hex())' "$1"
}
# shown REQUEST [PROGRAM]: what /proc/keys says of the key that the program gets; "refused" without one.
shown() {
	# shellcheck disable=SC2016
	keyctl session - bash -c '"$0" capped "$1" derived; sed -n "s/.* capped: //p" /proc/keys' "${2-$prog}" "$1" \
		2>/dev/null | grep . || echo refused
}
served() { is "$1: the key is served" "$(shown "$request,kcv=$2 $purpose")" "$request kcv:$2"; }
refused_with() { errno_is "$1" "$2" derived capped '64 path,capped,kcv=0123456789abcdef v1' @s; }

mkdir -p /opt/derived-keys
"$DERIVED/tests/vectors/make-tiny-elf" a /root/tiny-a
install -m 755 /root/tiny-a $prog
install -m 755 /root/tiny-a /opt/derived-keys/other
# As udev and the packages of tpm2-tss do.
chgrp tss /dev/tpm0 /dev/tpmrm0
chmod 660 /dev/tpm0 /dev/tpmrm0

# row | the plain root | the capped root before the cap | after it | what
# "root": the attacker has the root secret. "-": there is no such attack on the plain key.
table='
K1|POLICY_FAIL|root|POLICY_FAIL|TPM2_HMAC in a policy session (the plain key has no policy)
K1b|-|root|VALUE|the same, with the values that the policy demands given to TPM2_PolicyPCR
K1c|-|ATTRIBUTES|ATTRIBUTES|the same, in a trial session
K2|root|AUTH_UNAVAILABLE|AUTH_UNAVAILABLE|TPM2_HMAC by password
K3|root|AUTH_UNAVAILABLE|AUTH_UNAVAILABLE|TPM2_HMAC in an HMAC session
K4|SIZE|SIZE|POLICY_FAIL|TPM2_Sign of the input of the root secret
K4b|signs|signs|POLICY_FAIL|TPM2_Sign of a digest
K4c|signs|signs|POLICY_FAIL|TPM2_Quote
K5|root|root|POLICY_FAIL|TPM2_HMAC_Start
K6|root|root|POLICY_FAIL|primary key whose context was saved before
K7|root|root|POLICY_FAIL|persistent copy of the primary key, made before
K8|-|root|PCR_CHANGED|policy session that was satisfied before, and saved
K9|root|root|root|HMAC sequence that was begun before, and saved
K10|answers|SIZE|SIZE|TPM2_VerifySignature of a guess that is right
K10b|SIGNATURE|SIZE|SIZE|TPM2_VerifySignature of a guess that is wrong
K11|nothing secret|nothing secret|nothing secret|TPM2_ReadPublic
K11b|nothing secret|POLICY_FAIL|POLICY_FAIL|TPM2_Certify
K11c|AUTH_TYPE|POLICY_FAIL|POLICY_FAIL|TPM2_Duplicate
K11d|ATTRIBUTES|ATTRIBUTES|POLICY_FAIL|TPM2_Unseal
K11e|TYPE|POLICY_FAIL|POLICY_FAIL|TPM2_ObjectChangeAuth
K12|-|another root|another root|primary key of the same template with a password
K12b|-|another root|another root|primary key of the same template without a policy
K13|-|LOCALITY|LOCALITY|TPM2_PCR_Reset of the cap PCR
K14|-|INITIALIZE|INITIALIZE|TPM2_Startup(CLEAR)
K14b|-|root|POLICY_FAIL|TPM2_Shutdown(CLEAR)
K15|-|BAD_AUTH|BAD_AUTH|TPM2_PCR_Allocate by an empty password of the platform, which the firmware has set
'

# Open the cap PCR by unbinding the TPM's driver, which sends TPM2_Shutdown(CLEAR), and suspending to RAM.
opened_by_sleep() {
	local device driver
	device=$(readlink -f /sys/class/tpm/tpm0/device)
	driver=$(readlink -f "$device/driver")
	echo "${device##*/}" >"$driver/unbind"
	ask_observer wake
	echo mem >/sys/power/state
	ask_observer woken
	echo "${device##*/}" >"$driver/bind"
	device=$(readlink -f "$device"/tpm/tpm*)
	attacker root "${device##*/}" fetch capped:13
}

declare -A before after
# attack_all PHASE: try all rows by each attacker. What was prepared before is used.
attack_all() {
	local -n results=$1
	local who device row key result number=0
	for device in tpmrm0 tpm0; do
		for who in root tss; do
			number=$((number + 1))
			while read -r row key result; do
				# shellcheck disable=SC2034 # it is "before" or "after"
				results["$who $device $row $key"]=$result
			done < <(attacker $who $device attack /run/cap/$number | tee "/run/cap/$1-$number")
		done
	done
}
# prepared ACTION: prepare or tidy.
prepared() {
	local who device number=0
	for device in tpmrm0 tpm0; do
		for who in root tss; do
			number=$((number + 1))
			mkdir -p /run/cap/$number
			[ $who = root ] || chown 1000 /run/cap/$number
			ok "as $who, /dev/$device: $1" attacker $who $device "$1" /run/cap/$number
		done
	done
}

golden() {
	local row plain want_before want what who device
	[ "$(stat -c %G%a /dev/tpm0)" = tss660 ] || bail_out 'the group tss has not got the TPM'
	prepared prepare
	attack_all before
	prepared tidy
	prepared prepare
	is 'K26, a program that runs before the module has the capped root' "$(fetch capped:13)" $capped_root
	is 'PCR 13 is zero' "$(pcr 13)" "$zero"
	klog_mark
	ok 'the module loads with cap=13' load_module cap=13
	is 'the capped root is held' "$(status capped)" held
	is 'it is the golden one' "$(status 'capped root check')" $capped_check
	attack_all after
	for device in tpmrm0 tpm0; do
		for who in root tss; do
			while IFS='|' read -r row plain want_before want what; do
				[ -n "$row" ] || continue
				is "$row, $what, as $who, /dev/$device: $want" \
					"plain: ${after["$who $device $row plain"]}, before: ${before["$who $device $row capped"]}, after: ${after["$who $device $row capped"]}" \
					"plain: $plain, before: $want_before, after: $want"
			done <<<"$table"
		done
	done
	prepared tidy
	is 'K13, tpm2_pcrreset is refused' "$(as_who root tpm2_pcrreset -T device:/dev/tpmrm0 13 2>&1 | grep -c 'bad locality')" 1
	is 'PCR 13 is closed' "$(pcr 13)" "$closed"
	is 'with all that, the log has no alert' "$(ours | grep -c 'lost its PCRs')" 0
	served 'after the attacks' $capped_kcv

	is 'K25, another program gets another key' "$(shown "$request,kcv=$capped_kcv $purpose" /opt/derived-keys/other)" refused
	like 'K25, the log has its kcv, which is another' "$(ours)" 'kcv'
	is 'K25, a plain request of the program has another key' \
		"$(shown "64 path,noread,kcv=$capped_kcv $purpose")" refused

	fails 'K18, the module cannot be unloaded' unload_module

	# The TPM alone is reset.
	klog_mark
	is 'the TPM is reset' "$(ask_observer reset)" ok
	is 'K17, PCR 13 is zero' "$(pcr 13)" "$zero"
	is 'K17, the attacker has the capped root' "$(fetch capped:13)" $capped_root
	echo 1 >$parameters/forget
	is 'the plain root is fetched again' "$(shown '64 path')" '64 path kcv:f0c22affd2793249'
	like 'K17, the log has an alert' "$(klog)" \
		'^derived: the TPM lost its PCRs: PCR 13 was open, and another program could fetch the capped root. It is closed again$'
	is 'K17, PCR 13 is closed again' "$(pcr 13)" "$closed"
	is 'K17, from then on the attacker is refused' "$(fetch capped:13)" POLICY_FAIL

	# The attacker covers its tracks.
	klog_mark
	is 'the TPM is reset again' "$(ask_observer reset)" ok
	is 'K17b, the attacker has the capped root' "$(fetch capped:13)" $capped_root
	attacker tss tpmrm0 extend 13=$event
	is 'K17b, it closes PCR 13 itself' "$(pcr 13)" "$closed"
	echo 1 >$parameters/forget
	is 'the plain root is fetched once more' "$(shown '64 path')" '64 path kcv:f0c22affd2793249'
	like 'K17b, the log has an alert' "$(klog)" '^derived: the TPM was reset or cleared, and not the machine: PCR 13 may have been open'

	# By force. The command does not return.
	rmmod -f derived_keys &
	sleep 3
	is 'K18b, the module cannot be unloaded by force' "$(status capped 2>&1)" gone
	is 'K18b, a key is still served' "$(shown '64 path')" '64 path kcv:f0c22affd2793249'
	like 'K18b, the log says so' "$(ours)" 'an unload by force is refused: PCR 13 has to stay closed'
	# (Without the module, the attacker goes on.)
	[ -e $parameters ] || note "K18b, after suspend without a TPM driver the attacker has: $(opened_by_sleep)"
}

# Firmware and boot loader of a system, simulated: PCR 7 names the signer, 8, 9 and 11 what was loaded.
signer=1111111111111111111111111111111111111111111111111111111111111111
other_signer=2222222222222222222222222222222222222222222222222222222222222222
event_log=('8=3333333333333333333333333333333333333333333333333333333333333333'
	'9=4444444444444444444444444444444444444444444444444444444444444444'
	'9=5555555555555555555555555555555555555555555555555555555555555555'
	'11=6666666666666666666666666666666666666666666666666666666666666666')

remember() { declare -p "$1" | sed 's/^declare --/declare -g/' >>$state; }

measured() {
	local number
	attacker root tpm0 extend 7=$signer "${event_log[@]}"
	module=$test_module
	replayable=$(fetch capped:8,9,11,13)
	bound=$(fetch capped:7,8,9,11,13)
	like 'before the module, both roots can be computed' "$replayable $bound" '^[0-9a-f]{64} [0-9a-f]{64}$'
	klog_mark
	for pcrs in 8 8,9,11; do
		fails "K20b, cap_pcrs=$pcrs is refused" load_module cap=13 cap_pcrs=$pcrs
	done
	like 'K20b, the log says why' "$(ours)" 'cap_pcrs= needs PCR 4 or 7: another system can bring 8 to 15 to any value'
	fails 'K13b, cap=16 is refused' load_module cap=16
	resettable=$(fetch capped:16)
	attacker root tpm0 extend 16=$event
	is 'K13b, a PCR 16 that was extended keeps the attacker off' "$(fetch capped:16)" POLICY_FAIL
	attacker tss tpmrm0 reset 16
	is 'K13b, TPM2_PCR_Reset gives its root back' "$(fetch capped:16)" "$resettable"

	ok 'the module loads with cap_pcrs=7,8,9,11' load_module cap=13 cap_pcrs=7,8,9,11
	is 'the capped root is held' "$(status capped)" held
	bound_check=$(status 'capped root check')
	is 'it is the one that is bound to the PCRs' "$bound_check" "$(check_value "$bound")"
	bound_policy=$(status 'capped policy')
	is 'and the policy, too' "$(attacker root tpm0 policy capped:7,8,9,11,13 | cut -d' ' -f1)" "$bound_policy"
	echo "$bound_check" >$parameters/expect_capped_root
	bound_kcv=$(shown "$request $purpose" | sed -n 's/.* kcv://p')
	like 'there is a key' "$bound_kcv" '^[0-9a-f]{16}$'
	remember replayable
	remember bound
	remember bound_check
	remember bound_policy
	remember bound_kcv

	unload_module
	klog_mark
	for number in 12 13; do
		ok "K19, the module loads once more, with cap=$number" load_module cap=$number
		is "K19, cap=$number: the state is late" "$(status capped)" late
		refused_with "K19, cap=$number: a request gets EACCES" EACCES
		unload_module
	done
	like 'K19, the log says that another cap PCR was closed' "$(ours)" 'another cap PCR, 13, was closed earlier in this boot'
	like 'K19, the log says that the PCR was closed' "$(ours)" ': PCR 13 was closed earlier in this boot'
	is 'K19, PCR 12 is closed all the same' "$(pcr 12)" "$closed"

	is 'K24, a member of tss extends PCR 14' "$(attacker tss tpmrm0 extend 14=$signer)" ''
	klog_mark
	ok 'K24, the module loads' load_module cap=14
	is 'K24, the state is late' "$(status capped)" late
	is 'K24, status says why' "$(status 'capped reason')" 'PCR 14 is used by something else: it was not zero'
	refused_with 'K24, a capped request gets EACCES' EACCES
	is 'K24, the plain key is served' "$(shown '64 path')" '64 path kcv:f0c22affd2793249'
	is 'K24, but the attacker has no root either' "$(fetch capped:14)" POLICY_FAIL
	unload_module

	ok 'another kernel is loaded' kexec --load --kexec-file-syscall --reuse-cmdline \
		--append=vm_kexec=1 --initrd="$DERIVED/initrd" "/boot/vmlinuz-$(uname -r)"
	echo "$tap_count" >/root/cap.count
	sync
	kexec --exec
	sleep 60
	bail_out 'kexec did not start the other kernel'
}

after_kexec() {
	tap_count=$(cat /root/cap.count)
	# shellcheck source=/dev/null
	. $state
	is 'K19b, kexec: PCR 13 is still closed' "$(pcr 13)" "$closed"
	is 'K19b, kexec: the attacker is refused' "$(fetch capped:7,8,9,11,13)" POLICY_FAIL
	is 'K19b, kexec: the policy is the same' "$(attacker root tpm0 policy capped:7,8,9,11,13 | cut -d' ' -f1)" "$bound_policy"
	ok 'K19b, kexec: the module loads' load_module cap=13 cap_pcrs=7,8,9,11
	is 'K19b, kexec: the state is late' "$(status capped)" late
	refused_with 'K19b, kexec: a request gets EACCES' EACCES
}

another_system() {
	local own
	# shellcheck source=/dev/null
	. $state
	attacker root tpm0 extend 7=$other_signer
	is 'K23, without cap_pcrs=: another system has the capped root' "$(fetch capped:13)" $capped_root
	is 'before the replay, PCRs 8, 9 and 11 do not fit' "$(fetch "capped:8,9,11,13" | grep -c "$replayable")" 0
	attacker root tpm0 extend "${event_log[@]}"
	is 'K20, the other system replays PCRs 8, 9 and 11, and has the root that is bound to them' \
		"$(fetch capped:8,9,11,13)" "$replayable"
	is 'K23b, with PCR 7 in the policy, the other system is refused' \
		"$(fetch "capped:7,8,9,11,13:$bound_policy")" POLICY_FAIL
	like 'K23b, the root of its own PCRs is another' "$(fetch capped:7,8,9,11,13 | grep -v "$bound")" '^[0-9a-f]{64}$'

	klog_mark
	ok 'the other system loads the module' load_module cap=13 cap_pcrs=7,8,9,11
	is 'K23c, its capped root is held' "$(status capped)" held
	isnt 'K23c, the root check value is another' "$(status 'capped root check')" "$bound_check"
	is 'K23c, a request with kcv= is refused' "$(shown "$request,kcv=$bound_kcv $purpose")" refused
	errno_is 'K23c, the errno is EKEYREJECTED' EKEYREJECTED derived capped "$request,kcv=$bound_kcv $purpose" @s
	is 'K23c, a request without it is refused' "$(shown "$request $purpose")" refused
	own=$(klog | sed -n 's/.*This key has kcv=\([0-9a-f]*\), .*/\1/p' | head -n 1)
	served 'K23c, with its own kcv=' "$own"

	# At the end: the owner's keys are destroyed.
	fails 'K16, TPM2_Clear by the owner is refused' as_who tss tpm2_clear -T device:/dev/tpmrm0 -c o
	fails 'K16, TPM2_Clear by the platform is refused' as_who tss tpm2_clear -T device:/dev/tpmrm0 -c p
	ok 'K16, a member of tss clears the TPM by the lockout authorization' as_who tss tpm2_clear -T device:/dev/tpmrm0 -c l
	isnt 'K16, the plain root of the TPM is another' "$(fetch plain)" $plain_root
	served 'K16, in this boot' "$own"
	is 'K16, PCR 13 is still closed' "$(pcr 13)" "$closed"
	is 'K16, the attacker is refused' "$(fetch capped:13)" POLICY_FAIL
}

cleared() {
	klog_mark
	module=$test_module
	ok 'after TPM2_Clear, the module loads' load_module cap=13 expect_capped_root=$capped_check
	is 'K16, the capped root is held' "$(status capped)" held
	isnt 'K16, it is another one' "$(status 'capped root check')" $capped_check
	errno_is 'K16, expect_capped_root= refuses with EKEYREJECTED' EKEYREJECTED derived capped "$request $purpose" @s
	unload_module
	# Other TPMs: remove the machine's own.
	local device
	device=$(readlink -f /sys/class/tpm/tpm0/device)
	echo "${device##*/}" >"$(readlink -f "$device/driver")/unbind" || bail_out "the TPM's driver does not let go"
	modprobe tpm_vtpm_proxy || bail_out 'there is no tpm_vtpm_proxy'
	# It prints points, and the last number.
	python3 "$DERIVED/tests/attack/cap-tpms.py" "$test_module" "$tap_count" /run/cap.count
	tap_count=$(cat /run/cap.count)
}

plan_later
mkdir -p /run/cap
if grep -qw vm_kexec=1 /proc/cmdline; then
	after_kexec
else
	case $BOOT in
	1) golden ;;
	2) measured ;;
	3) another_system ;;
	4) cleared ;;
	esac
fi
done_testing
