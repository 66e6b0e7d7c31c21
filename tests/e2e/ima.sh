#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ima.sh: a program has the same keys whatever IMA's policy is: none, one that measures what is
# executed, one that appraises it.
#
# Boot 1 begins without a policy and loads one. Boot 2 has two of the kernel's own from the start.
#
# vm: boot tpm=golden
# vm: boot tpm=golden timeout=300 args="ima_policy=tcb|appraise_tcb ima_appraise=fix"

. "$DERIVED/tests/lib.sh"

plan_later
ok 'the module loads' load_module
at=/srv/ima
ima=/sys/kernel/security/ima

# keys PROGRAM: one on each line
keys() {
	local words
	for words in path csum path,csum; do
		"$1" "32 $words"
	done
}
# How often a program's measurement is in IMA's list.
measured() { grep -cE " sha256:$(sha256sum <"$1" | cut -c1-64) $1( |\$)" $ima/ascii_runtime_measurements; }
# Give a program to a user, whom the policy knows, with a digest for IMA to find.
give() {
	rm -f $at/x
	install -o "$1" -m 755 "$DERIVED/bin/x" $at/x
	[ -z "${2-}" ] || evmctl ima_hash --hashalgo "$2" $at/x >/dev/null 2>&1
}

case $BOOT in
1)
	mkdir $at
	give root
	keys=$(keys $at/x)
	path=$(head -n 1 <<<"$keys")
	no_csum=$path$'\nx EOPNOTSUPP\nx EOPNOTSUPP'
	is 'without a policy, three keys' "$(sort -u <<<"$keys" | grep -cE '^x [0-9a-f]{64}$')" 3
	echo "$keys" >$at/keys
	is 'without a policy, nothing is measured' "$(measured $at/x)" 0
	give root sha512
	like 'a file may say that its digest is a SHA-512' "$(getfattr -e hex -n security.ima $at/x)" '=0x0406'
	is 'without a policy, nobody minds' "$(keys $at/x)" "$keys"

	cat >/run/policy <<'END_OF_POLICY'
measure func=BPRM_CHECK fowner=1000
appraise func=BPRM_CHECK fowner=1001
END_OF_POLICY
	ok 'a policy is loaded' cp /run/policy $ima/policy
	is 'which does not concern root: the keys are the same' "$(keys $at/x)" "$keys"

	give 1000
	is 'measured: the keys are the same' "$(keys $at/x)" "$keys"
	is 'and it was measured' "$(measured $at/x)" 1
	cat "$DERIVED/bin/evil" >$at/x
	is 'changed in place, it has the key of its new contents' "$($at/x '32 csum')" "$("$DERIVED/bin/evil" '32 csum')"
	is 'and was measured again' "$(measured $at/x)" 1
	give 1000 sha512
	is 'measured by SHA-512: path alone is served' "$(keys $at/x)" "$no_csum"

	give 1001
	like 'appraised without a digest, it does not run' "$($at/x '32 path' 2>&1)" 'Permission denied'
	give 1001 sha256
	is 'appraised: the keys are the same' "$(keys $at/x)" "$keys"
	give 1001 sha512
	is 'appraised by SHA-512: path alone is served' "$(keys $at/x)" "$no_csum"
	;;
2)
	is 'three keys were left by the first boot' "$(sort -u $at/keys | grep -cE '^x [0-9a-f]{64}$')" 3
	give root
	is 'measured and appraised: the keys are the same' "$(keys $at/x)" "$(cat $at/keys)"
	is 'it was measured' "$(measured $at/x)" 1
	like 'and IMA gave it a digest, a SHA-256' "$(getfattr -e hex -n security.ima $at/x)" '=0x0404'
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
