#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmemleak-off.sh: what looks for forgotten memory is off, as it is once it has run out of memory itself.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels do not look for it
# vm: expect-red ^the verdict is: fail: kmemleak does not scan$

. "$DERIVED/tests/lib/lib.sh"

plan 1
echo off >/sys/kernel/debug/kmemleak
fails 'it does not scan any more' sh -c 'echo scan >/sys/kernel/debug/kmemleak'
