#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-faults.sh: a TPM that gives wrong, malformed, missing or late answers while the module fetches the
# capped root: the secret is kept only if the TPM was seen to refuse it afterwards; the cap PCR is closed if
# that is possible; nothing is left in the TPM; and the plain root is not affected. capped-faults.py simulates
# this TPM. capped-faults-long.sh is the same with more cases.
#
# The TPM is a private one, so that each case has a fresh TPM. The module is the test build, because the ordinary
# one stays loaded once the cap PCR is closed.
#
# vm: boot tpm=golden timeout=900
# vm: long[7.3] hundreds of cases; this tests the module, not the kernel

. "$DERIVED/tests/lib/lib.sh"

# Remove the machine's own TPM, so that the kernel uses the one that is simulated in user space.
device=$(readlink -f /sys/class/tpm/tpm0/device) || bail_out 'there is no TPM'
echo "${device##*/}" >"$(readlink -f "$device/driver")/unbind" || bail_out "the TPM's driver does not let go"
modprobe tpm_vtpm_proxy || bail_out 'there is no tpm_vtpm_proxy'

# capped-faults.py prints the points and the plan.
exec python3 "$DERIVED/tests/e2e/capped-faults.py" "$DERIVED/test/derived-keys.ko"
