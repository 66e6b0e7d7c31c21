#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# atomic-sleep.sh: something sleeps under a spinlock.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not look for it
# vm: expect-red ^the console has .* first: .*BUG: sleeping function

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'a faulty module loads' insmod "$DERIVED/modules/faulty.ko" fault=sleep
