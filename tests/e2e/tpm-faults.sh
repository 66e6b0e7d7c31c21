#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-faults.sh: a TPM that lies, stammers, sulks or dawdles: the right errno or the right key,
# and nothing left in it.  tpm-faults.py beside this is that TPM, and asks for the keys.
# tpm-faults-long.sh is the same, with every byte and every length of the own session's answers.
#
# vm: boot tpm=golden timeout=900
# vm: long thousands of cases

. "$DERIVED/tests/lib/lib.sh"
use_own_sessions

# The machine's own TPM goes, so that the one made up in user space becomes the one that is used.
device=$(readlink -f /sys/class/tpm/tpm0/device) || bail_out 'there is no TPM'
echo "${device##*/}" >"$(readlink -f "$device/driver")/unbind" || bail_out "the TPM's driver does not let go"
modprobe tpm_vtpm_proxy || bail_out 'there is no tpm_vtpm_proxy'

# It prints the points and the plan.
exec python3 "$DERIVED/tests/e2e/tpm-faults.py" "$module"
