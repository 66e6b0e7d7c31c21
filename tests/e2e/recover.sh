#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# recover.sh: on the running machine, derived-keys-recover computes the same keys as the kernel, and it
# explains a request in agreement with what the kernel does with that request.
#
# vm: boot tpm=fresh timeout=300
# vm: boot tpm=fresh timeout=300
# vm: long[6.12] it is a user space program

. "$DERIVED/tests/lib/lib.sh"

plan_later
recover() { "$DERIVED/tools/derived-keys-recover" "$@"; }
kernel_key() { keyctl pipe "$(keyctl add derived test "$1" @s)" | od -An -v -tx1 | tr -d ' \n'; }

# The second boot: a module that takes the capped root. The tool comes before it, as in an initramfs.
capped_module() {
	local request='64 path,capped nas-disk v1' status=/sys/module/derived_keys/parameters/status pcr key kcv
	# The firmware of this machine may measure nothing, and zeros are refused.
	for pcr in 4 7; do
		tpm2_pcrextend -T device:/dev/tpmrm0 \
			"$pcr:sha256=$(printf 'derived-keys test PCR %d' $pcr | sha256sum | cut -d' ' -f1)"
	done
	recover root --cap 13 --pcrs 4,7 >/var/capped
	recover escrow --cap 13 --pcrs 4,7 --show-secret --uid 0 --program /usr/bin/keyctl "$request" >/var/capped-escrow
	key=$(recover key --cap 13 --pcrs 7,4 --uid 0 --program /usr/bin/keyctl --hex "$request" 2>/var/said)
	kcv=$(sed -n 's/^kcv: //p' /var/said)
	ok 'the module loads with cap=13 and cap_pcrs=4,7' load_module cap=13 cap_pcrs=4,7
	is 'the capped root is held' "$(sed -n 's/^capped: //p' $status)" held
	is 'the capped root check value is that of the tool' "$(sed -n 's/^capped root check: //p' $status)" \
		"$(sed -n 's/^capped root check: //p' /var/capped)"
	is 'the policy is that of the tool' "$(sed -n 's/^capped policy: //p' $status)" "$(sed -n 's/^policy: //p' /var/capped)"
	is "the kernel's key is that of the tool" "$(kernel_key "${request/capped/capped,kcv=$kcv}")" "$key"
	fails_with 'now the tool says that PCR 13 is closed' 'PCR 13 is closed in this boot' recover root --cap 13 --pcrs 4,7
	fails_with 'and computes no key' 'PCR 13 is closed in this boot' \
		recover key --cap 13 --pcrs 4,7 --uid 0 --program /usr/bin/keyctl --hex "$request"
	is 'the escrow gives the key' "$(recover key --escrow /var/capped-escrow --entry 1 --hex)" "$key"
	tpm_slots_empty 'nothing is left in the TPM'
}
if [ "$BOOT" = 2 ]; then
	capped_module
	done_testing
	exit
fi

ok 'the module loads' load_module
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

# The capped root, through /dev/tpmrm0, while PCR 13 is zero. The module has no cap=, and closes no PCR here.
capped='64 path,noread,capped nas-disk v1'
recover_capped() { recover key --uid 0 --program /usr/bin/keyctl --hex "$@" "$capped"; }
capped_check() { sed -n 's/^capped root check: //p'; }
ok 'the tool computes the capped root' recover root --cap 13
check=$(capped_check <<<"$out")
isnt 'its check value is not that of the root' "$check" \
	"$(sed -n 's/^root check: //p' /sys/module/derived_keys/parameters/status)"
capped_key=$(recover_capped --cap 13 2>/var/said)
is 'a key of the capped root has 64 bytes' ${#capped_key} 128
is 'the capped root check value is printed with it' "$(capped_check </var/said)" "$check"
# The same by tpm2-tools and OpenSSL.
documented() { "$DERIVED/tests/e2e/documented" commands format.rst "$1"; }
mkdir /var/by-hand
{ documented 'K_capped, from the TPM'; documented '# the context;'; } |
	sed 's|# record 8 01 |record 8 01 |; s|/opt/derived-keys/prog|/usr/bin/keyctl|' >/var/by-hand/commands
by_hand() { (cd /var/by-hand && TPM2TOOLS_TCTI=device:/dev/tpmrm0 sh -eu commands); }
ok 'the commands of format.rst compute the capped root' by_hand
is 'its check value by hand is the same' "$(sed -n 's/^root check: //p' <<<"$out")" "$check"
is 'the key by hand is the same' "$(od -An -v -tx1 /var/by-hand/key | tr -d ' \n')" "$capped_key"
recover escrow --cap 13 --show-secret --uid 0 --program /usr/bin/keyctl "$capped" >/var/capped-escrow
ok 'PCR 13 is extended by the cap event' tpm2_pcrextend -T device:/dev/tpmrm0 \
	"13:sha256=$(printf 'derived-keys v1 cap' | sha256sum | cut -d' ' -f1)"
fails_with 'the tool says that PCR 13 is closed' 'PCR 13 is closed in this boot' recover root --cap 13
fails_with 'there is no key from the TPM' 'PCR 13 is closed in this boot' recover_capped --cap 13
fails_with 'there is no key by hand' 'policy' by_hand
is 'the escrow gives the key' "$(recover_capped --escrow /var/capped-escrow 2>/dev/null)" "$capped_key"
fails_with 'the escrow of the other root does not' 'escrow of the plain root' recover_capped --escrow /var/escrow

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
