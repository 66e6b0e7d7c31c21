#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# noima.sh: on a kernel without IMA, the module hashes the program itself, and the csum keys are the
# same as on a kernel with IMA.
#
# Boot 1 has a kernel with IMA, and boot 2 the same kernel without IMA.
#
# vm: boot tpm=golden image=builtin
# vm: boot tpm=golden image=noima
# vm: only-on[debug] the other kernels have IMA
# vm: long another kernel is linked

. "$DERIVED/tests/lib/lib.sh"

plan_later
keys() { "$DERIVED/bin/x" '32 csum'; "$DERIVED/bin/x" '64 path,csum'; }
ima=/sys/kernel/security/ima

case $BOOT in
1)
	ok 'this kernel has IMA' test -e $ima/ascii_runtime_measurements
	is 'there are two keys' "$(keys | grep -cE '^x ([0-9a-f]{64}|[0-9a-f]{128})$')" 2
	keys >/var/keys
	;;
2)
	ok 'securityfs is mounted' mountpoint -q /sys/kernel/security
	fails 'this kernel has no IMA' test -e $ima
	is 'the keys are the same' "$(keys)" "$(cat /var/keys)"
	;;
esac
done_testing
