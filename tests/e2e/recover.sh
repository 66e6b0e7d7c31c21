#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# recover.sh: derived-keys-recover, on the running machine, computes what the kernel computes, and
# explains requests as the kernel takes or refuses them.
#
# vm: boot tpm=fresh timeout=300
# vm: long[6.12] it is a program of user space

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module
recover() { "$DERIVED/tools/derived-keys-recover" "$@"; }
kernel_key() { keyctl pipe "$(keyctl add derived test "$1" @s)" | od -An -v -tx1 | tr -d ' \n'; }

is 'root check value' "$(recover root 2>/dev/null | sed -n 's/^root check: //p')" \
	"$(sed -n 's/^root check: //p' /sys/module/derived_keys/parameters/status)"

for request in '32 path' '64 path nas-disk v1' '33 csum' '1024 noread,csum,path all of it'; do
	got=$(recover key --uid 0 --program /usr/bin/keyctl --hex "$request" 2>/var/said)
	if [[ $request != *noread* ]]; then
		is "key of \"$request\"" "$got" "$(kernel_key "$request")"
	else
		isnt "a key that only the tool can show, of \"$request\"" "$got" ''
		keyctl add derived test "$request" @s >/dev/null
	fi
	is "check value of \"$request\"" "$(sed -n 's/^kcv: //p' /var/said)" \
		"$(sed -n 's/.* test: .*kcv://p' /proc/keys)"
done

recover escrow --show-secret --uid 0 --program /usr/bin/keyctl '64 path nas-disk v1' >/var/escrow 2>/dev/null
key=$(kernel_key '64 path nas-disk v1')
ok 'the owner hierarchy is cleared' tpm2_clear -T device:/dev/tpmrm0
echo 1 >/sys/module/derived_keys/parameters/forget
isnt 'the key is gone' "$(kernel_key '64 path nas-disk v1')" "$key"
is 'what was kept in escrow gives it back' "$(recover key --escrow /var/escrow --entry 1 --hex 2>/dev/null)" "$key"

# What explain says of a request, without privileges or a TPM, is what the kernel does with it.
explain() {
	setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all \
		unshare -U "$DERIVED/tools/derived-keys-recover" explain "$@"
}
# explained REQUEST: the errno that explain names is the one that add_key(2) gives, and its words are keyctl's.
explained() {
	local said status=0 errno words meant
	said=$(explain "$1") || status=$?
	errno=$(sed -nE '1s/^refused, (E[A-Z0-9]+) \(.*/\1/p' <<<"$said")
	words=$(sed -nE '1s/^refused, [^(]*\(([^)]*)\): .*/\1/p' <<<"$said")
	meant=$(sed -n 's/^probably meant: //p' <<<"$said")
	is "explain: \"${1:0:40}\" is refused" $status 1
	errno_is "explain: \"${1:0:40}\" gets the errno that it names, ${errno:-none}" "${errno:-none}" derived test "$1" @s
	is "explain: \"${1:0:40}\" is refused by keyctl in these words" "$(keyctl add derived test "$1" @s 2>&1)" \
		"add_key: $words"
	[ -z "$meant" ] || ok "explain: what was meant by \"${1:0:40}\" is taken" eval "keyctl add derived test $meant @s"
	meanings+=${meant:+x}
}
meanings=''
for request in '' '032  path noread' '8 path' '32 path v1 ' $'32 path v1\n' "32 path $(printf %0257d 0)" \
	       "$(printf %04097d 0)"; do
	explained "$request"
done
is 'explain knew what was meant by some' "$meanings" xx
for request in '64 noread,csum two  spaces' $'32 path \xff\xfe\x80'; do
	ok "explain: \"${request:0:40}\" is good" explain "$request"
	ok "explain: \"${request:0:40}\" is taken" keyctl add derived test "$request" @s
done
is 'explain reads what keyctl padd reads: a newline at its end' \
	"$(printf '32 path\n' | explain - | head -n 1)" \
	'refused, EINVAL (Invalid argument): it ends in a newline: echo adds one, printf %s does not'
is 'explain reads what keyctl padd reads: which refuses it' "$(printf '32 path\n' | keyctl padd derived test @s 2>&1)" \
	'add_key: Invalid argument'
ok 'explain reads what keyctl padd reads: without a newline' sh -c "printf '32 path' | keyctl padd derived test @s"
is 'explain: logon is for request_key(2)' "$(explain '32 path,logon' | grep -c '^warning: .* (keyctl add) refuses it: EINVAL$')" 1
errno_is 'explain: and is refused by add_key(2)' EINVAL derived test '32 path,logon' @s
is 'explain: a page is too much for request_key(2)' "$(explain "9 $(printf %04094d 0)" | tail -n 1)" \
	'note: from request_key(2), EINVAL: it takes less than a page of 4096 bytes'
errno_is 'explain: request_key(2) gives EINVAL' EINVAL -r -n 4096 derived none '9 0' @s
errno_is 'explain: which gives to less what add_key(2) gives' ERANGE -r -n 4095 derived none '9 0' @s
errno_is 'explain: as add_key(2) to a page' ERANGE -n 4096 derived none '9 0' @s

tpm_slots_empty 'nothing is left in the TPM'
done_testing
