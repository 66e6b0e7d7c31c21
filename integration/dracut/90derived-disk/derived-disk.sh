#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# derived-disk.sh: a hook of dracut, in an initramfs without systemd: open disks. dracut runs it again and again until
# the root file system is there.
#
# dracut sources this.

/usr/share/derived-keys/initramfs/open-disks
