#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped.sh: the capped root and its keys: the golden values, pins, states and errnos.
#
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=none
# vm: long[7.3] six boots

. "$DERIVED/tests/lib/lib.sh"

plan_later
parameters=/sys/module/derived_keys/parameters
prog=/opt/derived-keys/prog
request='path,noread,capped'
root13=1e8ddf4b9293fa37 root8=8144321f7922752c
kcv13=3824dc44ec2bb7aa kcv8=a799a2692f9d4457
event=f37535042616a2656b3fa5ef912f353dfb0a8d99b3583e36cd2db1b1bd3a3bff
# after_event HASH: the value of a PCR that was zero, after the cap event, in the bank of that hash.
after_event() {
	python3 -c 'import hashlib, sys; h = lambda b: hashlib.new(sys.argv[1], b).digest()
event = h(b"derived-keys v1 cap"); print(h(bytes(len(event)) + event).hex())' "$1"
}
closed=$(after_event sha256)
zero=$(printf '0%.0s' {1..64})

status() { sed -n "s/^$1: //p" $parameters/status; }
pcr() { tr '[:upper:]' '[:lower:]' <"/sys/class/tpm/tpm0/pcr-sha256/$1"; }
ours() { klog | grep '^derived: '; }

mkdir -p /opt/derived-keys
"$DERIVED/tests/vectors/make-tiny-elf" a /root/tiny-a
install -m 755 /root/tiny-a $prog

# shown REQUEST: what /proc/keys says of the key that the golden program gets; "refused" without one.
shown() {
	# shellcheck disable=SC2016
	keyctl session - bash -c '"$0" capped "$1" derived; sed -n "s/.* capped: //p" /proc/keys' $prog "$1" 2>/dev/null |
		grep . || echo refused
}
refused_with() { errno_is "$1" "$2" derived capped '64 path,capped,kcv=0123456789abcdef v1' @s; }
plain_is_served() { is "$1: a plain key is served" "$(shown '64 path')" '64 path kcv:f0c22affd2793249'; }

# Count the commands that the module sends. (The kernel's random generator uses the TPM, too.)
count_commands() {
	mount_tracing
	echo 'p:send derived_tpm_send' >$tracing/kprobe_events
	echo 1 >$tracing/events/kprobes/send/enable
}
commands() { awk '$1 == "send" { print $2 }' $tracing/kprobe_profile; }

held() {
	klog_mark
	is 'before, PCR 13 is zero' "$(pcr 13)" "$zero"
	ok 'the module loads with cap=13' load_module cap=13
	is 'the capped root is held' "$(status capped)" held
	is 'status has the golden root check value' "$(status 'capped root check')" $root13
	is 'status has the PCRs' "$(status 'capped PCRs')" 13
	is 'status has the policy' "$(status 'capped policy')" \
		ea07badf162f2c454bdf5aa5e4976b6f7189f2023edfa316fdf58c15d26ec814
	like 'status says when PCR 13 was closed' "$(status 'capped after')" '^[0-9]+ s$'
	like 'the log has root check value, PCRs, policy, and the time' "$(ours)" \
		"capped root check value $root13, PCRs 13, policy ea07badf[0-9a-f]{56}, session: own, .*\. PCR 13 was closed [0-9]+ s after the boot"
	is 'PCR 13 is closed by the cap event, in the SHA-256 bank' "$(pcr 13)" "$closed"
	for other in 8 9 11 12 14 15; do
		is "PCR $other is untouched" "$(pcr $other)" "$zero"
	done
	is 'the cap event is in the SHA-1 bank, as its own hash' \
		"$(tr '[:upper:]' '[:lower:]' </sys/class/tpm/tpm0/pcr-sha1/13)" \
		"$(after_event sha1)"
	tpm_slots_empty 'nothing is left in the TPM'
	is 'the plain root is held, too' "$(status 'root check')" 0799323ee1140706

	count_commands
	is 'the golden key' "$(shown "64 $request,kcv=$kcv13 nas-disk v1")" "64 $request kcv:$kcv13"
	plain_is_served 'held'
	klog_mark
	is 'no capped key without kcv= or expect_capped_root=' "$(shown "64 $request nas-disk v1")" refused
	like 'the log has what the request needs: kcv, root check value and PCRs' "$(ours)" \
		"refused: a capped key needs kcv=, .* This key has kcv=$kcv13, of the capped root with check value $root13 \(PCRs 13\)$"
	errno_is 'the errno is EKEYREJECTED' EKEYREJECTED derived capped "64 $request nas-disk v1" @s
	klog_mark
	is 'a wrong kcv= is refused' "$(shown "64 $request,kcv=0123456789abcdef nas-disk v1")" refused
	like 'the log has both check values, the root check value and the PCRs' "$(ours)" \
		"refused: the key's check value is $kcv13, and kcv=0123456789abcdef was asked for \(capped root check value $root13, PCRs 13\)$"
	is 'the kcv of the same request without capped is refused' \
		"$(shown "64 $request,kcv=$(shown '64 path,noread nas-disk v1' | sed 's/.*kcv://') nas-disk v1")" refused
	for value in '' x 0123456789abcde 0123456789ABCDEF; do
		fails "expect_capped_root cannot be '$value'" bash -c "echo $value >$parameters/expect_capped_root"
	done
	fails 'a user cannot write expect_capped_root' \
		setpriv --reuid 1000 --regid 1000 --clear-groups bash -c "echo $root13 >$parameters/expect_capped_root"
	ok 'expect_capped_root can be written' bash -c "echo $root13 >$parameters/expect_capped_root"
	is 'expect_capped_root is shown' "$(cat $parameters/expect_capped_root)" $root13
	is 'with it, a capped key needs no kcv=' "$(shown "64 $request nas-disk v1")" "64 $request kcv:$kcv13"
	fails 'expect_capped_root can be written once' bash -c "echo $root8 >$parameters/expect_capped_root"
	like 'the second time the errno is EPERM' "$out" 'not permitted'
	is 'expect_capped_root is as before' "$(cat $parameters/expect_capped_root)" $root13

	# A twin, for a consumer that takes logon keys.
	is 'a capped key with a twin' "$(keyctl session - bash -c "keyctl request2 derived twin '64 $request,logon v1' @s >/dev/null
		sed -n 's/.* \(logon  *derived:twin\).*/\1/p; s/.* twin: \(64 [a-z,]*\) .*/\1/p' /proc/keys" 2>/dev/null | tr -s ' ' | sort | tr '\n' '|')" \
		'64 path,noread,logon,capped|logon derived:twin|'

	fails 'the module stays loaded' unload_module
	is 'no request has made a TPM command' "$(commands)" 0
	ok 'forget can be written' bash -c "echo 1 >$parameters/forget"
	is 'after forget, the capped root is gone' "$(status capped)" gone
	refused_with 'after forget, a capped request gets EACCES' EACCES
	is 'no refused request has made a TPM command' "$(commands)" 0
	plain_is_served 'gone'
	isnt_zero=$(commands)
	[ "$isnt_zero" -gt 0 ]
	tap_point $? 'the plain root was fetched anew, and the TPM commands were counted' "$isnt_zero"
	refused_with 'after that, still EACCES' EACCES
	is 'PCR 13 is still closed' "$(pcr 13)" "$closed"
}

other_pcr() {
	# Another cap= gives another root: a key that changes is refused, not served.
	ok 'the module loads with cap=8' load_module cap=8 expect_capped_root=$root13
	is 'cap=8 gives the golden root of PCR 8' "$(status 'capped root check')" $root8
	is 'PCR 8 is closed' "$(pcr 8)" "$closed"
	is 'PCR 13 is not' "$(pcr 13)" "$zero"
	klog_mark
	is 'expect_capped_root= of cap=13 refuses' "$(shown "64 $request nas-disk v1")" refused
	like 'the log has both check values' "$(ours)" \
		"refused: the capped root check value is $root8 \(PCRs 8\), and expect_capped_root=$root13$"
	errno_is 'the errno is EKEYREJECTED' EKEYREJECTED derived capped "64 $request,kcv=$kcv8 nas-disk v1" @s
}

late() {
	# PCR 13 was used before: by a program, by an earlier boot stage, by another cap=.
	tpm2_pcrextend -T device:/dev/tpm0 13:sha256=$event
	klog_mark
	ok 'the module loads although PCR 13 is closed' load_module cap=13
	is 'the state is late' "$(status capped)" late
	is 'status has the reason' "$(status 'capped reason')" 'PCR 13 was closed earlier in this boot'
	like 'the log has the reason' "$(ours)" 'no capped root in this boot \(late\): PCR 13 was closed earlier in this boot$'
	refused_with 'a capped request gets EACCES' EACCES
	is 'PCR 13 is not extended again' "$(pcr 13)" "$closed"
	plain_is_served 'late'
	fails 'the module stays loaded, for PCR 13 has to stay closed' unload_module
}

used() {
	tpm2_pcrextend -T device:/dev/tpm0 13:sha256=$root13$root13$root13$root13
	value=$(pcr 13)
	ok 'the module loads although PCR 13 is used' load_module cap=13
	is 'the state is late' "$(status capped)" late
	is 'status has the reason' "$(status 'capped reason')" 'PCR 13 is used by something else: it was not zero'
	refused_with 'a capped request gets EACCES' EACCES
	is 'PCR 13 is left as it is' "$(pcr 13)" "$value"
	fails 'the module stays loaded, for PCR 13 must not become zero' unload_module
}

unfit() {
	# A further PCR of all zeros says nothing.
	klog_mark
	ok 'the module loads with a PCR 11 that is zero' load_module cap=14 cap_pcrs=7,11
	is 'the state is unfit' "$(status capped)" unfit
	is 'status has the PCRs, in order' "$(status 'capped PCRs')" 7,11,14
	like 'status has the reason' "$(status 'capped reason')" '^PCR 11 says nothing about this boot'
	refused_with 'a capped request gets EOPNOTSUPP' EOPNOTSUPP
	is 'PCR 14 is closed all the same' "$(pcr 14)" "$closed"
}

without_tpm() {
	klog_mark
	ok 'the module loads without a TPM' load_module cap=13
	is 'the state is wait' "$(status capped)" wait
	refused_with 'a capped request gets ENXIO' ENXIO
	like 'the log says that there is no TPM' "$(ours)" 'no capped root yet: no TPM$'
	ok 'the module unloads while it waits' unload_module
	fails 'the device that sleeps is gone' test -e /sys/devices/derived-keys
	ok 'the module loads without cap=' load_module
	is 'the state is off' "$(status capped)" off
	refused_with 'a capped request gets EOPNOTSUPP' EOPNOTSUPP
	ok 'the module unloads' unload_module
}

case $BOOT in
1) held ;;
2) other_pcr ;;
3) late ;;
4) used ;;
5) unfit ;;
6) without_tpm ;;
esac
done_testing
