#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# builtin.sh: the module is built into the kernel. The keys are the same, and the parameters are on the
# kernel's command line.
#
# vm: boot tpm=golden image=builtin
# vm: boot tpm=golden image=builtin args="derived_keys.root=transient derived_keys.expect_root=0799323ee1140706"
# vm: boot tpm=golden image=builtin args="derived_keys.expect_root=0799323ee1140707 derived_keys.status=1"
# vm: only-on[debug] the module is not built into the other kernels
# vm: long another kernel is linked

. "$DERIVED/tests/lib/lib.sh"

plan_later
parameters=/sys/module/derived_keys/parameters
status() { sed -n "s/^$1: //p" $parameters/status; }
root_check=$(awk -F'\t' '$1 == "root" && $2 == "golden" { print $3 }' "$DERIVED/tests/vectors/golden.tsv")
request='32 path builtin v1'

unlike 'no module was loaded' "$(cat /proc/modules; echo end)" '^derived_keys'
like 'the key type is registered at boot' "$(dmesg --notime)" '^Key type derived registered$'

# Print the key's check value.
kcv() { sed -n 's/.* builtin: .* kcv://p' /proc/keys; }

case $BOOT in
1)
	is 'the root is cached' "$(cat $parameters/root)" cached
	ok 'a key can be added' keyctl add derived builtin "$request" @s
	is 'the root secret is the golden one' "$(status 'root check')" "$root_check"
	is 'the root is held' "$(status root)" 'cached, held in memory'
	key=$(keyctl pipe "$(keyctl search @s derived builtin)" | od -An -v -tx1 | tr -d ' \n')
	like 'the program that made the key can read it' "$key" '^[0-9a-f]{64}$'
	kcv >/var/kcv
	tpm_slots_empty 'nothing is left in the TPM'
	errno_is 'a bad request is refused' EINVAL derived builtin '32 path ' @s
	;;
2)
	is 'root= comes from the command line' "$(cat $parameters/root)" transient
	is 'expect_root= comes from the command line' "$(cat $parameters/expect_root)" "$root_check"
	ok 'a key can be added with root=transient' keyctl add derived builtin "$request" @s
	is 'the root is not held' "$(status root)" 'transient, not held'
	like 'the key has a check value' "$(kcv)" '^[0-9a-f]{16}$'
	is 'it is the check value of the boot before' "$(kcv)" "$(cat /var/kcv)"
	;;
3)
	errno_is 'with a wrong expect_root= a request is refused' EKEYREJECTED derived builtin "$request" @s
	like 'a parameter that can only be read is not accepted' "$(dmesg --notime)" "1' invalid for parameter .derived_keys.status'"
	;;
esac
done_testing
