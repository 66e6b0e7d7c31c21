#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# locking-order.sh: a module takes two locks in one order, then in the other order.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not check for this
# vm: expect-red ^the console has .* first: .*WARNING: possible circular locking

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'a faulty module loads' insmod "$DERIVED/modules/faulty.ko" fault=order
