#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-initramfs.sh: a disk is opened with a capped key in an initramfs, before the root file system is mounted.
#
# The initramfs is made by initramfs-tools, with integration/initramfs-tools, which loads the module with cap=13
# before udev runs, and opens the disk of /etc/derivedtab. The TPM is the golden one, so the check value in the boot
# lines is known: PCR 13, uid 0, /usr/bin/keyctl, "64 path,noread,capped nas-disk v1".
#
# vm: disk 64M
# vm: boot tpm=golden
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,capped,kcv=4640c7835da23d7a,timeout=10"
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,capped,kcv=4640c7835da23d7b,timeout=10"
# vm: boot tpm=other initrd=initramfs-tools args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,capped,kcv=4640c7835da23d7a,timeout=10"
# vm: boot tpm=none initrd=initramfs-tools args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,capped,kcv=4640c7835da23d7a,timeout=10"
# vm: not-on[debug] mkinitramfs makes it for the kernel of the root
# vm: long[6.12] an initramfs is made

. "$DERIVED/tests/lib/lib.sh"

plan_later
export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
kcv=4640c7835da23d7a
install -m 755 "$DERIVED/tools/derived-cap" "$DERIVED/tools/derived-disk" /usr/local/sbin/
# nas OPTIONS: how derived-disk asks in the running system.
nas() { echo "nas /dev/vdc purpose=nas-disk$1" >/etc/derivedtab; }
status() { sed -n "s/^$1: //p" /sys/module/derived_keys/parameters/status; }
log=/run/log/systemd/tpm2-measure.log
# The kernel's log: the number of the first line that matches.
line_of() { dmesg --notime | grep -nE -m 1 "$1" | cut -d: -f1; }
before() {
	[ -n "$2" ] && [ -n "$3" ] && [ "$2" -lt "$3" ]
	tap_point $? "$1" "line '$2' is not before line '$3'"
}
not_opened() {
	fails 'the disk is not open' dmsetup info nas
	like 'the boot went on without it, and says why' "$(dmesg --notime)" "^derived-disk: $1"
	isnt 'the system has left the initramfs' "$(stat -f -c %T /)" tmpfs
}

case $BOOT in
1)
	echo "install derived-keys /sbin/insmod $DERIVED/derived-keys.ko cap=13" >/etc/modprobe.d/derived-vm.conf
	ok 'the module is loaded with cap=13' modprobe derived-keys
	is 'PCR 13 is closed' "$(status capped)" held
	nas ,capped
	fails 'without a check value, the disk is not opened' derived-disk open nas
	like 'the kernel log has the check value' "$(dmesg --notime)" "kcv=$kcv"
	nas ,capped,kcv=$kcv
	ok 'with the check value, the disk is opened' derived-disk open nas
	like 'the check value is the known one' "$out" "opened nas, kcv $kcv\$"
	ok 'a file system is made on the disk' mkfs.ext4 -q /dev/mapper/nas
	ok 'the file system is mounted' mount /dev/mapper/nas /mnt
	echo 'what is on the NAS' >/mnt/file
	umount /mnt
	ok 'the disk can be closed' derived-disk close nas
	nas ''
	ok 'with a plain key, the disk is opened, too, since it has no header' derived-disk open nas
	fails 'but there is no file system' blkid -p /dev/mapper/nas
	ok 'it is closed' derived-disk close nas
	;;
2)
	isnt 'the system has left the initramfs' "$(stat -f -c %T /)" tmpfs
	ok 'the disk is open' dmsetup status nas
	before 'it was opened before the root was mounted' "$(line_of "^derived-disk: opened nas, kcv $kcv\$")" \
		"$(line_of 'EXT4-fs \(vda\): mounted')"
	before 'the capped root was fetched before udev loaded the first driver' "$(line_of '^derived: capped root check value ')" \
		"$(line_of '^virtio_blk ')"
	before 'the cap event was logged before udev loaded the first driver' "$(line_of "^derived-cap: the cap event of PCR 13 is in $log\$")" \
		"$(line_of '^virtio_blk ')"
	is 'the second script has nothing to say' "$(dmesg --notime | grep -c '^derived-cap: ')" 1
	ok 'the file system of the disk is mounted' mount -o ro /dev/mapper/nas /mnt
	is 'its file is there' "$(cat /mnt/file)" 'what is on the NAS'
	unlike 'nothing is left of the key of the disk' "$(cat /proc/keys)" 'nas'

	ok 'derived-cap status: held' derived-cap status
	like 'it shows the known root check value' "$out" '^capped root check: 1e8ddf4b9293fa37$'
	is 'derived-cap pcrs: PCR 13 is closed' "$(derived-cap pcrs | sed -nE 's/^ 13  ([a-z]*) .*/\1/p')" closed
	like "the record is in systemd's log in the system that the initramfs started" "$(cat $log)" '\{"pcr":13,.*"string":"derived-keys v1 cap"'
	ok 'derived-cap log: it is there already' derived-cap log
	ok 'derived-cap pcrlock: a file for the PCR of the module' derived-cap pcrlock
	is 'systemd-pcrlock predicts the value that PCR 13 has' \
		"$(/usr/lib/systemd/systemd-pcrlock predict --components=/var/lib/pcrlock.d --pcr=13 2>/dev/null | sed -n 's/^ *sha256: //p')" \
		"$(tr A-F a-f </sys/class/tpm/tpm0/pcr-sha256/13)"
	request="64 path,noread,logon,capped,kcv=$kcv nas-disk v1"
	ok 'the running system gets the same key' keyctl request2 derived nas "$request" @s
	fails_with 'once closed, the module stays loaded' 'in use' unload_module
	;;
3)
	not_opened 'this machine makes another key for "nas" than the one with kcv=4640c7835da23d7b: nothing was opened$'
	is 'the module has the capped root: the check value was wrong' "$(status capped)" held
	;;
4)
	not_opened 'this machine makes another key for "nas" than the one with kcv=4640c7835da23d7a: nothing was opened$'
	is 'another TPM: the module has another capped root' "$(status capped)" held
	isnt 'another TPM: its check value' "$(status 'capped root check')" 1e8ddf4b9293fa37
	;;
5)
	not_opened 'there is no TPM'
	is 'there is no TPM: the module waits' "$(status capped)" wait
	fails_with 'derived-cap status says so' '^There is no TPM yet' derived-cap status
	like 'derived-cap log said so in the initramfs' "$(dmesg --notime)" '^derived-cap: the module has not closed a PCR in this boot'
	;;
esac
[ "$BOOT" = 5 ] || tpm_slots_empty 'nothing is left in the TPM'
done_testing
