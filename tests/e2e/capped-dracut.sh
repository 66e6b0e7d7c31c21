#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-dracut.sh: the module in an initramfs made by dracut, with systemd in it (integration/dracut).
#
# In that initramfs, a unit with the name and the order of systemd-pcrosseparator.service extends PCR 13
# (tests/vm/initramfs). The module must close the PCR before that, and before udev.
#
# vm: boot tpm=golden initrd=dracut timeout=300
# vm: boot tpm=none initrd=dracut timeout=300
# vm: not-on[debug] dracut makes it for the kernel of the root
# vm: long[6.12] an initramfs is made

. "$DERIVED/tests/lib/lib.sh"

plan_later
install -m 755 "$DERIVED/tools/derived-cap" /usr/local/sbin/
status() { sed -n "s/^$1: //p" /sys/module/derived_keys/parameters/status; }
log=/run/log/systemd/tpm2-measure.log
# The journal of the initramfs, with the kernel's log in it: the number of the first line that matches.
journalctl --quiet --no-pager --directory=/run/log/journal -o cat >/var/journal
line_of() { grep -nE -m 1 "$1" /var/journal | cut -d: -f1; }
before() {
	[ -n "$2" ] && [ -n "$3" ] && [ "$2" -lt "$3" ]
	tap_point $? "$1" "line '$2' is not before line '$3'"
}
isnt 'the system has left the initramfs' "$(stat -f -c %T /)" tmpfs
like 'systemd was process 1 of the initramfs' "$(cat /var/journal)" '^Running in initrd\.$'

case $BOOT in
1)
	is 'the module holds the capped root' "$(status capped)" held
	is 'it is the golden one' "$(status 'capped root check')" 1e8ddf4b9293fa37
	before 'the module was loaded before udev' "$(line_of '^derived: capped root check value ')" \
		"$(line_of '^Starting systemd-udevd\.service')"
	before 'the module was loaded before udev loaded the first driver' "$(line_of '^derived: capped root check value ')" \
		"$(line_of '^virtio_blk ')"
	before 'the event was logged before systemd-pcrosseparator' "$(line_of '^Finished derived-cap\.service')" \
		"$(line_of '^Starting systemd-pcrosseparator\.service')"
	is "systemd's log has both events, in their order" \
		"$(grep -o '"pcr":13,.*"string":"[^"]*"' $log | sed 's/.*"string"://' | tr '\n' ' ')" '"derived-keys v1 cap" "os-separator" '
	ok 'derived-cap log: it is there already' derived-cap log
	tpm_slots_empty 'nothing is left in the TPM'
	;;
2)
	is 'without a TPM, the module waits, and the system boots' "$(status capped)" wait
	fails 'nothing is in the log' test -e $log
	;;
esac
done_testing
