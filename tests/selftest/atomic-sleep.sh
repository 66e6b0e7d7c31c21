#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# atomic-sleep.sh: a module sleeps while it holds a spinlock.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not check for this
# vm: expect-red ^the console has .* first: .*BUG: sleeping function

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'a faulty module loads' insmod "$DERIVED/modules/faulty.ko" fault=sleep
