#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# disk-patched.sh: disk.sh with a dm-crypt that accepts keys of type derived (patches/).
#
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=other
# vm: long[6.12] all of disk.sh, once more

# shellcheck disable=SC2034	# for disk.sh
patched=1
. "$DERIVED/tests/e2e/disk.sh"
