#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# derivedtab-systemd.sh: the disks of /etc/derivedtab under systemd: derived-disk-generator and derived-disk@.service.
#
# Boot 1 makes two disks, and looks at what the generator writes. In boot 2, these lines of the table are good or
# bad: two disks are there, one is absent, one comes late and has a wrong check value, one line is malformed. Then a
# mapping is closed by hand, a disk is pulled while it is mounted, the two disks are exchanged, and so on. Boot 3 comes after a
# shutdown by systemd, which must have unmounted and closed everything.
#
# vm: observer disks.observer
# vm: boot tpm=golden usb=yes timeout=600
# vm: boot tpm=golden usb=yes init=systemd off=systemd args="apparmor=0" timeout=1800
# vm: boot tpm=golden usb=yes init=systemd args="apparmor=0" timeout=900
# vm: long[6.12] systemd boots twice

. "$DERIVED/tests/lib/lib.sh"

plan_later
by_id() { echo "/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_$1-0:0"; }
# in_time TEXT CMD...: as until_is, for up to two minutes. A machine without KVM takes its time with a USB disk.
in_time() {
	local want=$1 until=$((SECONDS + 120))
	shift
	until [ "$("$@")" = "$want" ] || [ $SECONDS -gt $until ]; do sleep 0.5; done
	"$@"
}
# When udev has seen all events, and systemd has no job but that of the test itself.
jobs_of_disks() { systemctl list-jobs --no-legend | grep -v derived-vm; }
settled() {
	udevadm settle
	in_time '' jobs_of_disks >/dev/null
}
state() { systemctl show -P ActiveState "$1"; }
invocation() { systemctl show -P InvocationID "$@" | tr '\n' ' '; }
entered() { systemctl show -P ActiveEnterTimestampMonotonic "$1"; }
journal() { journalctl -b --no-pager -o cat "$@"; }
mounted() { findmnt -n -o SOURCE "$1"; }
is_open() { dmsetup info "$1" >/dev/null 2>&1; }
media_mount='srv-my\x20media.mount'
media_disk='derived-disk@media\x2d1.service'

case $BOOT in
1)
	install_module
	install -m 755 "$DERIVED/tools/derived-disk" /usr/sbin/
	install -m 644 "$DERIVED/integration/systemd/derived-disk@.service" /usr/lib/systemd/system/
	install -m 755 "$DERIVED/integration/systemd/derived-disk-generator" /usr/lib/systemd/system-generators/

	# What the generator writes, with a table and a file fstab of the test's.
	export DERIVEDTAB=/run/tab SYSTEMD_FSTAB=/run/fstab
	generate() { # generate SYSTEMD_IN_INITRD
		rm -rf /run/made
		mkdir /run/made
		env "SYSTEMD_IN_INITRD=$1" /usr/lib/systemd/system-generators/derived-disk-generator /run/made /run/made /run/made
	}
	made() { (cd /run/made && find . ! -type d -printf '%P\n' | sort); }
	unit_has() { tr '\n' ' ' <"/run/made/$1.d/50-derivedtab.conf"; }
	ok 'without a table, the generator succeeds' generate 0
	is 'it says nothing then' "$out" ''
	is 'it writes nothing then' "$(made)" ''
	cat >/run/tab <<-'EOF'
		# NAME DEVICE OPTIONS

		a /dev/disk/by-id/x-y:0 fsuuid=1111-22
		bad /dev/sdx colour=red
		b-1 PARTUUID=12-34 nofail,timeout=2min
		a /dev/sdz
		c /dev/sdc noauto
		d /dev/sdd initramfs
	EOF
	cat >/run/fstab <<-'EOF'
		# WHAT WHERE TYPE OPTIONS
		/dev/mapper/a /srv/a ext4 defaults 0 2
		UUID=1111-22 /srv/a\0402 ext4 noauto 0 2
		UUID="1111-22" /srv/auto ext4 x-systemd.automount 0 2
		/dev/mapper/b-1 none swap sw 0 0
		/dev/mapper/d / ext4 defaults 0 1
		/dev/mapper/e /srv/e ext4 defaults 0 2
	EOF
	klog_mark
	ok 'with a table, the generator succeeds' generate 0
	is 'it says nothing to systemd' "$out" ''
	is 'the bad lines are in the kernel log, a line each' "$(klog)" \
		'derived-disk: /run/tab, line 4: unknown option "colour=red"
derived-disk: /run/tab: the name "a" stands on more than one line'
	is 'it writes exactly these files' "$(made)" 'derived-disk@a.service.d/50-derivedtab.conf
derived-disk@b\x2d1.service.d/50-derivedtab.conf
derived-disk@c.service.d/50-derivedtab.conf
derived-disk@d.service.d/50-derivedtab.conf
dev-disk-by\x2did-x\x2dy:0.device.wants/derived-disk@a.service
dev-disk-by\x2dpartuuid-12\x2d34.device.d/50-derivedtab.conf
dev-disk-by\x2dpartuuid-12\x2d34.device.wants/derived-disk@b\x2d1.service
dev-disk-by\x2duuid-1111\x2d22.device.d/50-derivedtab.conf
dev-disk-by\x2duuid-1111\x2d22.device.requires/derived-disk@a.service
dev-mapper-a.device.d/50-derivedtab.conf
dev-mapper-a.device.requires/derived-disk@a.service
dev-mapper-a.device.wants/srv-a.mount
dev-mapper-b\x2d1.device.d/50-derivedtab.conf
dev-mapper-b\x2d1.device.requires/derived-disk@b\x2d1.service
dev-mapper-b\x2d1.device.wants/dev-mapper-b\x2d1.swap
dev-mapper-b\x2d1.swap.d/50-derivedtab.conf
dev-mapper-c.device.d/50-derivedtab.conf
dev-mapper-c.device.requires/derived-disk@c.service
dev-mapper-d.device.d/50-derivedtab.conf
dev-mapper-d.device.requires/derived-disk@d.service
dev-sdd.device.wants/derived-disk@d.service
local-fs.target.wants/derived-disk@a.service
local-fs.target.wants/derived-disk@b\x2d1.service
local-fs.target.wants/derived-disk@d.service
srv-a.mount.d/50-derivedtab.conf
srv-a\x202.mount.d/50-derivedtab.conf
srv-auto.mount.d/50-derivedtab.conf'
	like 'the unit is bound to the device' "$(unit_has derived-disk@a.service)" \
		'BindsTo=(dev-disk-by.x2did-x.x2dy:0\.device) After=\1 '
	like 'with fsuuid=, it is bound to the mapping' "$(unit_has derived-disk@a.service)" 'BindsTo=dev-mapper-a\.device'
	unlike 'without fsuuid=, it is not' "$(unit_has derived-disk@d.service)" 'dev-mapper'
	like 'it comes before local-fs.target' "$(unit_has derived-disk@a.service)" 'Before=local-fs\.target'
	unlike 'with nofail, it does not' "$(unit_has 'derived-disk@b\x2d1.service')" 'Before=local-fs\.target'
	like 'it is stopped at shutdown' "$(unit_has derived-disk@a.service)" 'Conflicts=umount\.target'
	unlike 'with initramfs, it is not' "$(unit_has derived-disk@d.service)" 'Conflicts='
	like 'timeout= is for the device' "$(unit_has 'dev-disk-by\x2dpartuuid-12\x2d34.device')" 'JobRunningTimeoutSec=120 $'
	like 'the mapping may come later than that' "$(unit_has 'dev-mapper-b\x2d1.device')" 'JobRunningTimeoutSec=330 $'
	like 'a mount is bound to the unit' "$(unit_has 'srv-a\x202.mount')" 'BindsTo=derived-disk@a\.service After=derived-disk@a\.service $'
	ok 'in an initramfs, it succeeds' generate 1
	is 'there, only the line with initramfs counts' "$(made | grep '^derived-disk@')" \
		'derived-disk@d.service.d/50-derivedtab.conf'
	touch /etc/initrd-release
	generate ''
	is 'an initramfs is also known by its file' "$(made | grep '^derived-disk@')" 'derived-disk@d.service.d/50-derivedtab.conf'
	rm /etc/initrd-release
	unset DERIVEDTAB SYSTEMD_FSTAB

	# Two disks.
	export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
	modprobe -a xhci-pci usb-storage sd_mod
	for disk in nas:sda media:sdb; do
		is "the disk ${disk%:*} is plugged in" "$(ask_observer plug ${disk%:*})" plugged
		until [ -b "/dev/${disk#*:}" ]; do sleep 0.1; done
	done
	ok 'the disk nas is made' derived-disk create nas /dev/sda --mkfs ext4 --yes
	ok 'the disk media-1 is made' derived-disk create media-1 /dev/sdb --mkfs ext4 --yes --nofail
	sed -i "s|/dev/sda |$(by_id nas) |; s|/dev/sdb |$(by_id media) |" /etc/derivedtab
	mkdir /srv/nas '/srv/my media' /srv/absent
	for name in nas media-1; do
		mount /dev/mapper/$name /mnt
		echo "the file on $name" >/mnt/file
		umount /mnt
		ok "the disk $name is closed" derived-disk close $name
	done
	cat >>/etc/derivedtab <<-EOF
		bad $(by_id nas) colour=red
		absent $(by_id absent) nofail,timeout=7
		wrong $(by_id wrong) kcv=0123456789abcdef,nofail,timeout=60min
	EOF
	# The machine may be slow: without timeout=, the boot waits for 90 s.
	sed -i 's/^\(nas\|media-1\) .*/&,timeout=10min/' /etc/derivedtab
	uuid=$(sed -n 's/^media-1 .*fsuuid=\([^,]*\).*/\1/p' /etc/derivedtab)
	cat >>/etc/fstab <<-EOF
		/dev/mapper/nas /srv/nas ext4 defaults 0 2
		UUID=$uuid /srv/my\040media ext4 nofail 0 2
		/dev/mapper/absent /srv/absent ext4 nofail 0 2
	EOF
	sed 's/^/# /' /etc/derivedtab
	# If the boot fails, the log shows why.
	mkdir /etc/systemd/system/emergency.service.d
	cat >/etc/systemd/system/emergency.service.d/tell.conf <<-'EOF'
		[Service]
		ExecStartPre=/bin/sh -c 'journalctl -b -o short-monotonic | grep -iE "derived|dm-|mapper|srv-|fsck|mount" >/dev/ttyS1; busybox poweroff -f'
	EOF
	# At shutdown: the result of derived-disk close, and what is left.
	mkdir /etc/systemd/system/derived-disk@.service.d
	cat >/etc/systemd/system/derived-disk@.service.d/look.conf <<-'EOF'
		[Service]
		ExecStopPost=/bin/sh -c 'echo %I: $SERVICE_RESULT, $(findmnt -n -S /dev/mapper/%I | wc -l) mounts, $(dmsetup info %I 2>/dev/null | wc -l) lines of dmsetup >>/var/stopped'
	EOF
	ask_observer next nas media >/dev/null
	;;
2)
	like 'the boot did not wait for a disk with nofail' "$(systemctl list-jobs --no-legend)" 'wrong.x2d0:0\.device *start *running'
	is 'the disk comes now' "$(ask_observer plug wrong)" plugged
	is 'with a wrong check value, its unit fails' "$(in_time failed state derived-disk@wrong.service)" failed
	like 'the journal says why' "$(journal -u derived-disk@wrong.service)" 'another key for "wrong" than the one with kcv=0123456789abcdef'
	fails 'it is not open' is_open wrong
	settled
	is 'systemd opened the disks at boot' "$(state derived-disk@nas.service) $(state "$media_disk")" 'active active'
	is 'it mounted the first disk' "$(mounted /srv/nas)" /dev/mapper/nas
	is 'it mounted the second disk' "$(mounted '/srv/my media')" /dev/mapper/media-1
	is 'the file is on the first disk' "$(cat /srv/nas/file)" 'the file on nas'
	is 'the file is on the second disk' "$(cat '/srv/my media/file')" 'the file on media-1'
	fs=$(entered local-fs.target)
	for unit in derived-disk@nas.service srv-nas.mount; do
		at=$(entered $unit)
		[ "$at" -gt 0 ] && [ "$at" -le "$fs" ]
		tap_point $? "$unit was there before local-fs.target" "$at, local-fs.target: $fs"
	done

	# The lines that are bad.
	is 'the disk that is absent is not open' "$(in_time inactive state derived-disk@absent.service)" inactive
	like 'the journal says that its device is missing' "$(journal)" 'Timed out waiting for device .*absent-0:0\.$'
	like 'the journal says which disk it is' "$(journal)" 'Dependency failed for .*Disk absent, with a derived key'
	like 'the malformed line is in the journal' "$(journal)" '^derived-disk: /etc/derivedtab, line [0-9]+: unknown option "colour=red"$|^/etc/derivedtab, line [0-9]+: unknown option'
	is 'nothing else failed' "$(systemctl --failed --no-legend --plain | awk '{ print $1 }' | tr '\n' ' ')" 'derived-disk@wrong.service '

	ok 'systemd finds no fault in the unit' systemd-analyze verify --man=no derived-disk@nas.service
	is 'it says nothing about it' "$out" ''
	units=(derived-disk@nas.service srv-nas.mount "$media_disk" "$media_mount")
	before=$(invocation "${units[@]}")
	ok 'systemd can reload' systemctl daemon-reload
	settled
	is 'that changes nothing' "$(invocation "${units[@]}")" "$before"

	# Closed by hand.
	for round in 1 2; do
		umount /srv/nas && dmsetup remove nas
		# systemd hears of it a moment later. Until then, a start of the mount finds a disk that is gone.
		is "after the mapping was closed by hand, the unit is inactive ($round)" \
			"$(in_time inactive state derived-disk@nas.service)" inactive
		began=$SECONDS
		ok "then the mount is started ($round)" systemctl start srv-nas.mount
		is "the file is there ($round)" "$(cat /srv/nas/file)" 'the file on nas'
		[ $((SECONDS - began)) -lt 40 ]
		tap_point $? "this took no timeout ($round)" "$((SECONDS - began)) s"
	done
	umount '/srv/my media' && derived-disk close media-1
	is 'after a disk was closed by hand, its unit is inactive' "$(in_time inactive state "$media_disk")" inactive
	began=$SECONDS
	ok 'its mount by UUID= opens the disk, too' systemctl start "$media_mount"
	[ $((SECONDS - began)) -lt 60 ]
	tap_point $? 'this took no timeout, either' "$((SECONDS - began)) s"

	for round in 1 2; do
		ok "the unit is restarted ($round)" systemctl restart derived-disk@nas.service
		settled
		is "then the mount is back ($round)" "$(state srv-nas.mount) $(mounted /srv/nas)" 'active /dev/mapper/nas'
		is "and the unit stays active ($round)" "$(state derived-disk@nas.service)" active
	done

	ok 'the unit is stopped' systemctl stop derived-disk@nas.service
	is 'then the file system is unmounted' "$(mounted /srv/nas)" ''
	fails 'then the disk is closed' is_open nas
	udevadm trigger --action=change "$(by_id nas)"
	systemctl daemon-reload
	settled
	is 'it stays closed, although udev sees its device, and systemd reloads' "$(state derived-disk@nas.service)" inactive
	ok 'the mount opens it' systemctl start srv-nas.mount

	# Pulled while it is mounted.
	old=$(readlink -f "$(by_id nas)")
	is 'the disk is pulled' "$(ask_observer pull nas)" pulled
	is 'then its unit becomes inactive' "$(in_time inactive state derived-disk@nas.service)" inactive
	is 'it is unmounted' "$(mounted /srv/nas)" ''
	fails 'it is closed' is_open nas
	is 'another disk takes its place' "$(ask_observer plug third)" plugged
	until [ -e "$(by_id third)" ]; do sleep 0.1; done
	is 'the disk is plugged in again' "$(ask_observer plug nas)" plugged
	is 'then it is mounted again' "$(in_time active state srv-nas.mount)" active
	isnt 'it has another name' "$(readlink -f "$(by_id nas)")" "$old"
	is 'the file is there' "$(cat /srv/nas/file)" 'the file on nas'
	is 'it is on the new device' "$(cat "/sys/class/block/$(basename "$(readlink -f /dev/mapper/nas)")"/slaves/*/dev)" \
		"$(cat "/sys/class/block/$(basename "$(readlink -f "$(by_id nas)")")/dev")"
	is 'the other disk was not touched' "$(mounted '/srv/my media')" /dev/mapper/media-1

	# Exchanged: each has the name of the other.
	for serial in nas media; do
		ask_observer pull $serial >/dev/null
	done
	is 'both are closed when both are pulled' "$(in_time inactive state "$media_disk") $(in_time inactive state derived-disk@nas.service)" \
		'inactive inactive'
	ask_observer plug nas media >/dev/null
	ask_observer plug media nas >/dev/null
	is 'with the other disk under its name, the unit fails' "$(in_time failed state derived-disk@nas.service)" failed
	is 'so does the other' "$(in_time failed state "$media_disk")" failed
	is 'the exit status says: the wrong disk' "$(systemctl show -P ExecMainStatus derived-disk@nas.service)" 9
	like 'the journal says so' "$(journal -u derived-disk@nas.service)" 'the wrong disk'
	is 'nothing is mounted' "$(mounted /srv/nas)$(mounted '/srv/my media')" ''
	for serial in nas media; do
		ask_observer pull $serial >/dev/null
		until [ ! -e "$(by_id $serial)" ]; do sleep 0.1; done
	done
	ask_observer plug nas >/dev/null
	ask_observer plug media >/dev/null
	is 'in their right places, both are mounted' "$(in_time active state srv-nas.mount) $(in_time active state "$media_mount")" 'active active'
	is 'with the right files' "$(cat /srv/nas/file '/srv/my media/file')" $'the file on nas\nthe file on media-1'
	echo 'written before the shutdown' >/srv/nas/late
	rm -f /var/stopped
	ask_observer next nas media >/dev/null
	;;
3)
	in_time active state "$media_mount" >/dev/null
	is 'at the shutdown, both were unmounted and closed' "$(grep -v '^wrong' /var/stopped | sort)" \
		'media-1: success, 0 mounts, 0 lines of dmsetup
nas: success, 0 mounts, 0 lines of dmsetup'
	is 'both are open again' "$(state derived-disk@nas.service) $(state "$media_disk")" 'active active'
	like 'the file system is clean' "$(journal -u 'systemd-fsck@dev-mapper-nas.service')" 'clean'
	unlike 'there was nothing to recover' "$(dmesg)" 'EXT4-fs \(dm-.*(recover|orphan)'
	is 'the file that was written last is there' "$(cat /srv/nas/late)" 'written before the shutdown'
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
