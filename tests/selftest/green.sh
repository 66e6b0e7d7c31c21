#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# green.sh: a good run over three boots. The disk and the TPMs keep their state, and lib.sh notices what is bad.
#
# vm: boot tpm=fresh-a args="harness_word=1"
# vm: boot tpm=fresh-b
# vm: boot tpm=fresh-a cpus=2 args="maxcpus=1"
# vm: skip a point that is skipped

. "$DERIVED/tests/lib/lib.sh"

plan_later
tpm() { tpm2_"$1" -T device:/dev/tpm0 "${@:2}"; }

is 'the disk keeps what earlier boots wrote' "$(cat /var/boots 2>/dev/null)" "$(seq $((BOOT - 1)))"
echo "$BOOT" >>/var/boots

case $BOOT in
1)
	like 'the words of args= are on the command line' "$(cat /proc/cmdline)" 'harness_word=1'
	ok 'an NV index is made' tpm nvdefine -s 8 0x1500001
	;;
2)	fails 'another TPM does not have the NV index' tpm nvreadpublic 0x1500001 ;;
3)
	ok 'the first TPM still has the NV index' tpm nvreadpublic 0x1500001
	is 'the machine has as many CPUs as cpus= says' "$(cat /sys/devices/system/cpu/present)" 0-1
	;;
esac
like 'the TPM is a TPM 2.0' "$(cat /sys/class/tpm/tpm0/tpm_version_major)" '^2$'
tpm_slots_empty "nothing is in the TPM's slots"
# Start a session in the TPM (TPM2_StartAuthSession), and do not flush it.
python3 - <<END
tpm = open("/dev/tpm0", "r+b", buffering=0)
tpm.write(bytes.fromhex("8001 0000002b 00000176 40000007 40000007 0010" + 16 * "00" + "0000 01 0010 000b"))
assert tpm.read(4096)[6:10] == bytes(4)
END
like 'tpm_slots_empty notices a session' "$(tpm_slots_empty x)" '^not ok'

like 'ok notices a failure' "$(ok x false)" '^not ok'
like 'fails notices a success' "$(fails x true)" '^not ok'
like 'fails notices a missing command' "$(fails x no-such-command)" '^not ok'
like 'fails_with notices a success' "$(fails_with x a echo a)" '^not ok'
like 'fails_with notices another message' "$(fails_with x a sh -c 'echo b; exit 1')" '^not ok'
like 'fails_with accepts the right message' "$(fails_with x a sh -c 'echo a; exit 1')" '^ok'
is 'all_passed notices a failed point' "$(fail x >/dev/null; all_passed || echo failed)" failed
like 'is notices a difference' "$(is x a b)" '^not ok'
like 'isnt notices the same' "$(isnt x a a)" '^not ok'
like 'isnt notices an empty text' "$(isnt x '' a)" '^not ok'
like 'like notices a text without a match' "$(like x abc d)" '^not ok'
like 'unlike notices a match' "$(unlike x abc b)" '^not ok'
like 'unlike notices an empty text' "$(unlike x '' b)" '^not ok'
errno_is 'addkey names the errno' ENODEV no-such-type x y @s
like 'errno_is notices another errno' "$(errno_is x EINVAL no-such-type x y @s)" '^not ok'
like 'errno_is notices a success' "$(errno_is x EINVAL user x y @s)" '^not ok'
is 'addkey accepts bytes in hexadecimal' "$(keyctl pipe "$("$DERIVED/bin/addkey" -x -n 5 user x 610062 @s)" | od -An -tx1)" \
	' 61 00 62 61 00'
is 'as_user runs as that user' "$(as_user 1000 id -un)" user
like 'as_user has no capabilities' "$(as_user 1000 cat /proc/self/status)" '^CapBnd:\s+0+$'
is 'as_user has its own keyrings' "$(as_user 1001 keyctl rdescribe @u)" 'keyring;1001;65534;1f3f0000;_uid.1001'
echo before >/dev/kmsg
klog_mark
echo after >/dev/kmsg
is 'klog prints the lines after the mark' "$(klog)" after
skip 'a point that is skipped' 'a listed skip must be no fault'
done_testing
