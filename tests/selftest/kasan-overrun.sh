#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kasan-overrun.sh: a module reads one byte beyond its memory.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not check for this
# vm: expect-red ^the console has .* first: .*BUG: KASAN: slab-out-of-bounds

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'a faulty module loads' insmod "$DERIVED/modules/faulty.ko" fault=overrun
