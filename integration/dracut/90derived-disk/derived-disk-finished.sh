#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# derived-disk-finished.sh: a hook of dracut, in an initramfs without systemd: dracut goes on only after derived-disk.sh
# has run once, also if the root file system is there already.
#
# dracut sources this in a shell of its own, for the exit status.

[ -d /run/initramfs/derived-disk ]
