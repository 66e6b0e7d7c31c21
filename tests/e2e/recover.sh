#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# recover.sh: on the running machine, derived-keys-recover computes the same keys as the kernel, and it
# explains a request in agreement with what the kernel does with that request.
#
# vm: boot tpm=fresh timeout=300
# vm: long[6.12] it is a user space program

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module
recover() { "$DERIVED/tools/derived-keys-recover" "$@"; }
kernel_key() { keyctl pipe "$(keyctl add derived test "$1" @s)" | od -An -v -tx1 | tr -d ' \n'; }

is 'the root check value is the same' "$(recover root 2>/dev/null | sed -n 's/^root check: //p')" \
	"$(sed -n 's/^root check: //p' /sys/module/derived_keys/parameters/status)"

for request in '32 path' '64 path nas-disk v1' '33 csum' '1024 noread,csum,path all of it'; do
	got=$(recover key --uid 0 --program /usr/bin/keyctl --hex "$request" 2>/var/said)
	if [[ $request != *noread* ]]; then
		is "the key of \"$request\" is the same" "$got" "$(kernel_key "$request")"
	else
		isnt "the tool prints the key of \"$request\", which the kernel does not" "$got" ''
		keyctl add derived test "$request" @s >/dev/null
	fi
	is "the check value of \"$request\" is the same" "$(sed -n 's/^kcv: //p' /var/said)" \
		"$(sed -n 's/.* test: .*kcv://p' /proc/keys)"
done

recover escrow --show-secret --uid 0 --program /usr/bin/keyctl '64 path nas-disk v1' >/var/escrow 2>/dev/null
key=$(kernel_key '64 path nas-disk v1')
ok 'the owner hierarchy is cleared' tpm2_clear -T device:/dev/tpmrm0
echo 1 >/sys/module/derived_keys/parameters/forget
isnt 'the kernel has another key then' "$(kernel_key '64 path nas-disk v1')" "$key"
is 'the escrow file gives the old key back' "$(recover key --escrow /var/escrow --entry 1 --hex 2>/dev/null)" "$key"

# "explain" needs no privileges and no TPM, and its answer agrees with what the kernel does with the
# request.
explain() {
	setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all \
		unshare -U "$DERIVED/tools/derived-keys-recover" explain "$@"
}
# explained REQUEST: explain names the errno that add_key(2) returns, in the words of keyctl.
explained() {
	local said status=0 errno words meant
	said=$(explain "$1") || status=$?
	errno=$(sed -nE '1s/^refused, (E[A-Z0-9]+) \(.*/\1/p' <<<"$said")
	words=$(sed -nE '1s/^refused, [^(]*\(([^)]*)\): .*/\1/p' <<<"$said")
	meant=$(sed -n 's/^probably meant: //p' <<<"$said")
	is "explain: \"${1:0:40}\" is refused" $status 1
	errno_is "explain: add_key(2) returns the errno that it names for \"${1:0:40}\", ${errno:-none}" "${errno:-none}" derived test "$1" @s
	is "explain: keyctl refuses \"${1:0:40}\" in these words" "$(keyctl add derived test "$1" @s 2>&1)" \
		"add_key: $words"
	[ -z "$meant" ] || ok "explain: its correction of \"${1:0:40}\" is accepted" eval "keyctl add derived test $meant @s"
	meanings+=${meant:+x}
}
meanings=''
for request in '' '032  path noread' '8 path' '32 path v1 ' $'32 path v1\n' "32 path $(printf %0257d 0)" \
	       "$(printf %04097d 0)"; do
	explained "$request"
done
is 'explain corrects two of these requests' "$meanings" xx
for request in '64 noread,csum two  spaces' $'32 path \xff\xfe\x80'; do
	ok "explain: \"${request:0:40}\" is good" explain "$request"
	ok "explain: \"${request:0:40}\" is accepted by the kernel" keyctl add derived test "$request" @s
done
is 'explain reads stdin like keyctl padd: a newline at the end' \
	"$(printf '32 path\n' | explain - | head -n 1)" \
	'refused, EINVAL (Invalid argument): it ends in a newline: echo adds one, printf %s does not'
is 'keyctl padd refuses a newline at the end' "$(printf '32 path\n' | keyctl padd derived test @s 2>&1)" \
	'add_key: Invalid argument'
ok 'keyctl padd accepts it without a newline' sh -c "printf '32 path' | keyctl padd derived test @s"
is 'explain: logon is for request_key(2)' "$(explain '32 path,logon' | grep -c '^warning: .* (keyctl add) refuses it: EINVAL$')" 1
errno_is 'add_key(2) refuses logon' EINVAL derived test '32 path,logon' @s
is 'explain: a page is too long for request_key(2)' "$(explain "9 $(printf %04094d 0)" | tail -n 1)" \
	'note: from request_key(2), EINVAL: it takes less than a page of 4096 bytes'
errno_is 'request_key(2) returns EINVAL for a page' EINVAL -r -n 4096 derived none '9 0' @s
errno_is 'request_key(2) returns the errno of add_key(2) for one byte less' ERANGE -r -n 4095 derived none '9 0' @s
errno_is 'add_key(2) returns the same errno for a page' ERANGE -n 4096 derived none '9 0' @s

tpm_slots_empty 'nothing is left in the TPM'
done_testing
