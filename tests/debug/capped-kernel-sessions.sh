#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-kernel-sessions.sh: the capped root on a kernel with sessions of its own (CONFIG_TCG_TPM2_HMAC): it is
# fetched in the module's own policy session, and the plain root in the kernel's session.
#
# vm: boot tpm=golden
# vm: only-on[debug] Debian's kernels have no such sessions

. "$DERIVED/tests/lib/lib.sh"

plan_later
parameters=/sys/module/derived_keys/parameters
status() { sed -n "s/^$1: //p" $parameters/status; }
golden() {
	awk -F'\t' -v kind="$1" '$1 == kind && $2 == "golden" && (kind == "root" || $3 == 13) {
		print kind == "root" ? $3 : $9 }' "$DERIVED/tests/vectors/golden.tsv"
}

klog_mark
ok 'the module loads with cap=13' load_module cap=13 "expect_capped_root=$(golden capped-root)"
is 'the capped root is held' "$(status capped)" held
is 'it is the golden one' "$(status 'capped root check')" "$(golden capped-root)"
like "it was fetched in the module's own session" "$(klog)" 'derived: capped root check value .*, session: own, '
is 'the plain root is the golden one' "$(status 'root check')" "$(golden root)"
like "it was fetched in the kernel's session" "$(status session)" "^the kernel's, "
like 'a capped key is served' "$("$DERIVED/bin/addkey" derived capped '64 path,capped v1' @s)" '^[0-9]+$'
is 'after forget, a plain key is served' "$(echo 1 >$parameters/forget
	"$DERIVED/bin/addkey" derived plain '64 path v1' @s | grep -c '^[0-9]*$')" 1
errno_is 'after forget, a capped request gets EACCES' EACCES derived capped '64 path,capped v2' @s
tpm_slots_empty 'nothing is left in the TPM'
done_testing
