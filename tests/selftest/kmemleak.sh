#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmemleak.sh: a module leaks memory.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not check for this
# vm: expect-red ^the verdict is: fail: kmemleak found leaked memory$

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'a faulty module loads' insmod "$DERIVED/modules/faulty.ko" fault=leak
