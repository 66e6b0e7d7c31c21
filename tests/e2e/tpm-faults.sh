#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-faults.sh: a TPM that gives wrong, malformed, missing or late answers: a request gets the
# right errno or the right key, and nothing is left in the TPM. tpm-faults.py simulates this TPM and
# makes the requests. tpm-faults-long.sh is the same, with every byte and every length of the own
# session's answers.
#
# vm: boot tpm=golden timeout=900
# vm: long thousands of cases

. "$DERIVED/tests/lib/lib.sh"
use_own_sessions

# Remove the machine's own TPM, so that the kernel uses the one that is simulated in user space.
device=$(readlink -f /sys/class/tpm/tpm0/device) || bail_out 'there is no TPM'
echo "${device##*/}" >"$(readlink -f "$device/driver")/unbind" || bail_out "the TPM's driver does not let go"
modprobe tpm_vtpm_proxy || bail_out 'there is no tpm_vtpm_proxy'

# tpm-faults.py prints the points and the plan.
exec python3 "$DERIVED/tests/e2e/tpm-faults.py" "$module"
