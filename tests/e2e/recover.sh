#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# recover.sh: derived-keys-recover, on the running machine, computes what the kernel computes.
#
# vm: boot tpm=fresh
# vm: long[6.12] it is a program of user space

. "$DERIVED/tests/lib.sh"

plan_later
ok 'the module loads' load_module
recover() { "$DERIVED/scripts/derived-keys-recover" "$@"; }
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

tpm_slots_empty 'nothing is left in the TPM'
done_testing
