#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kasan-free.sh: a module reads memory that it has freed.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not check for this
# vm: expect-red ^the console has .* first: .*BUG: KASAN: slab-use-after-free

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'a faulty module loads' insmod "$DERIVED/modules/faulty.ko" fault=free
