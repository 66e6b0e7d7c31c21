#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# derived-keys.sh: a hook of dracut, in an initramfs without systemd: load the module, and note the cap event.
#
# dracut sources this.

[ -d /sys/module/derived_keys ] || modprobe derived-keys
derived-cap log 2>&1 | while read -r line; do echo "$line" >/dev/kmsg; done
