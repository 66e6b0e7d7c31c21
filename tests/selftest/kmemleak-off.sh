#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmemleak-off.sh: kmemleak is off, as it is when kmemleak itself has run out of memory.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not check for this
# vm: expect-red ^the verdict is: fail: kmemleak does not scan$

. "$DERIVED/tests/lib/lib.sh"

plan 1
echo off >/sys/kernel/debug/kmemleak
fails 'kmemleak no longer scans' sh -c 'echo scan >/sys/kernel/debug/kmemleak'
