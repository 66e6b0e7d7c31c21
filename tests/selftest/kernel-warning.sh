#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel-warning.sh: the kernel warns, and all points are ok.
#
# vm: boot tpm=none
# vm: expect-red ^the console has [0-9]+ bad lines, first: .*WARNING:

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'the module loads' insmod "$DERIVED/modules/warn.ko"
