#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dracut.sh: disks of /etc/derivedtab are opened in an initramfs made by dracut, with systemd in it and without
# (integration/dracut). tests/e2e/initramfs.sh is the same for initramfs-tools.
#
# In the later boots, the TPM or the disk comes late, the check value is wrong, or there is no disk.
#
# vm: disk 64M
# vm: boot tpm=golden
# vm: boot tpm=golden initrd=dracut timeout=300
# vm: boot tpm=golden initrd=dracut timeout=300 args="rdinit=/guest-early vm_late=tpm vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,initramfs,timeout=90"
# vm: boot tpm=golden initrd=dracut timeout=300 args="rdinit=/guest-early vm_late=disk vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,initramfs,timeout=90"
# vm: boot tpm=golden initrd=dracut timeout=300 args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c67,initramfs,nofail vm_derivedtab=usb:/dev/vdd:initramfs,nofail"
# vm: boot tpm=golden initrd=dracut-no-systemd timeout=300
# vm: boot tpm=golden initrd=dracut-no-systemd timeout=300 args="rdinit=/guest-early vm_late=tpm vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,timeout=90"
# vm: boot tpm=golden initrd=dracut-no-systemd timeout=300 args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c67,nofail vm_derivedtab=usb:/dev/vdd:nofail"
# vm: not-on[debug] dracut makes it for the kernel of the root
# vm: long[6.12] two initramfs are made, and eight boots
# vm: long[7.3] two initramfs are made, and eight boots

. "$DERIVED/tests/lib/lib.sh"

plan_later
export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
install -m 755 "$DERIVED/tools/derived-disk" /usr/local/sbin/
kcv=ed25f726f3069c66
echo "nas /dev/vdc purpose=nas-disk,kcv=$kcv" >/etc/derivedtab
# What the initramfs and the kernel have logged. With systemd it is in the journal, which has the kernel's log, too.
if [ -d /run/log/journal ]; then
	# It cuts the name off a line that a program wrote to /dev/kmsg.
	journalctl --quiet --no-pager --directory=/run/log/journal -o cat >/var/early
	like 'systemd was process 1 of the initramfs' "$(cat /var/early)" '^Running in initrd\.$'
else
	dmesg --notime >/var/early
fi
line_of() { grep -nE -m 1 "$1" /var/early | cut -d: -f1; }
before() {
	[ -n "$2" ] && [ -n "$3" ] && [ "$2" -lt "$3" ]
	tap_point $? "$1" "line '$2' is not before line '$3'"
}
has_left() { isnt 'the system has left the initramfs' "$(stat -f -c %T /)" tmpfs; }
opened='^derived-disk: opened nas, kcv ed25f726f3069c66$'
opened_early() {
	has_left
	ok 'the disk is open' dmsetup status nas
	isnt 'the initramfs opened it' "$(line_of "$opened")" ''
	ok 'the file system of the disk is mounted' mount -o ro /dev/mapper/nas /mnt
	is 'its file is there' "$(cat /mnt/file)" 'what is on the NAS'
	is 'derived-disk opens it no second time' "$(derived-disk open nas)" 'derived-disk: nas is open'
	unlike 'nothing is left of the key' "$(cat /proc/keys)" 'derived +nas'
}

case $BOOT in
1)
	install_module
	ok 'derived-disk opens the disk' derived-disk open nas
	ok 'a file system is made on the disk' mkfs.ext4 -q /dev/mapper/nas
	ok 'the file system is mounted' mount /dev/mapper/nas /mnt
	echo 'what is on the NAS' >/mnt/file
	ok 'it is unmounted' umount /mnt
	ok 'the disk can be closed' derived-disk close nas
	;;
2|6)
	opened_early
	unlike 'the disk without the option was not tried' "$(cat /var/early)" '^derived-disk: .*other'
	;;
3|7)
	before 'derived-disk waited for the TPM' "$(line_of '^derived-disk: waiting for the TPM, for up to 90 s$')" \
		"$(line_of '^(guest-early: )?here is the TPM$')"
	before 'the disk was opened after that' "$(line_of '^(guest-early: )?here is the TPM$')" "$(line_of "$opened")"
	opened_early
	;;
4)
	before 'the disk was opened after it had come' "$(line_of '^(guest-early: )?here is the disk$')" "$(line_of "$opened")"
	opened_early
	;;
5|8)
	has_left
	like 'the check value is wrong: the log says so' "$(cat /var/early)" \
		'^derived-disk: this machine makes another key for "nas" than the one with kcv=ed25f726f3069c67: nothing was opened$'
	fails 'the disk is not open' dmsetup info nas
	[ "$BOOT" = 5 ] || like 'another disk is absent: the log says so' "$(cat /var/early)" '^derived-disk: there is no /dev/vdd'
	unlike 'with "nofail", the boot did not wait for it' "$(cat /var/early)" '^derived-disk: waiting for|^Timed out waiting for'
	;;
esac
# A TPM that has come back has another number, since IMA still holds the first.
[ -c /dev/tpm0 ] || ln -s "$(ls -d /dev/tpm[1-9])" /dev/tpm0
tpm_slots_empty 'nothing is left in the TPM'
done_testing
