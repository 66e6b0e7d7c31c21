#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# root-disk.sh: the root file system is on a disk with a derived key. initramfs-tools and dracut, with systemd and
# without, open the disk in the initramfs (integration/).
#
# Boot 1 makes the root file system on /dev/vdc. It is small: /usr is that of the harness's root disk
# (tests/vm/guest-initramfs). In boot 3, the disk comes later than the time that timeout= allows, and initramfs-tools
# tries again while the root is not there.
#
# vm: disk 64M
# vm: boot tpm=golden
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early root=/dev/mapper/root vm_derivedtab=root:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,initramfs"
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early root=/dev/mapper/root vm_late=disk vm_derivedtab=root:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,initramfs,timeout=0"
# vm: boot tpm=golden initrd=dracut timeout=300 args="rdinit=/guest-early root=/dev/mapper/root vm_derivedtab=root:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,initramfs"
# vm: boot tpm=golden initrd=dracut-no-systemd timeout=300 args="rdinit=/guest-early root=/dev/mapper/root vm_late=disk vm_derivedtab=root:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,initramfs,timeout=0"
# vm: not-on[debug] the initramfs are made for the kernel of the root
# vm: long[6.12] three initramfs are made
# vm: long[7.3] three initramfs are made

. "$DERIVED/tests/lib/lib.sh"

plan_later
export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
install -m 755 "$DERIVED/tools/derived-disk" /usr/local/sbin/ 2>/dev/null || :	# /usr may be read-only
kcv=ed25f726f3069c66

case $BOOT in
1)
	install_module
	echo "root /dev/vdc purpose=nas-disk,kcv=$kcv,initramfs" >/etc/derivedtab
	ok 'derived-disk opens the disk' derived-disk open root
	ok 'a file system is made on the disk' mkfs.ext4 -q /dev/mapper/root
	ok 'the file system is mounted' mount /dev/mapper/root /mnt
	cp -a /bin /lib /lib64 /sbin /etc /mnt/
	mkdir -p /mnt/{usr,var/tmp,proc,sys,dev,run,tmp,root,home,derived,mnt}
	echo 'this is the root' >/mnt/file
	ok 'it is unmounted' umount /mnt
	ok 'the disk is closed' derived-disk close root
	fails 'closed, it shows no file system' blkid -p /dev/vdc
	;;
*)
	is 'the root file system is on the mapping' "$(stat -L -c %t:%T /dev/mapper/root)" "$(printf '%x:%x' $(($(stat -c %d /) >> 8)) $(($(stat -c %d /) & 255)))"
	is 'it is the one of boot 1' "$(cat /file)" 'this is the root'
	echo "boot $BOOT" >/file.new
	is 'it can be written to' "$(cat /file.new)" "boot $BOOT"
	like 'the mapping is on the disk, with a derived key' "$(dmsetup table root)" \
		" crypt aes-xts-plain64 :64:logon:derived:root 0 $(cat /sys/block/vdc/dev) 0\$"
	is 'the system asks for the same key' "$("$DERIVED/tools/derived-disk" open root)" 'derived-disk: root is open'
	id=$(keyctl request2 derived root "64 path,noread,logon,kcv=$kcv nas-disk v1" @s)
	like 'and gets it' "$(keyctl rdescribe "$id")" '^derived;'
	;;
esac
case $BOOT in
3|5)	like 'the disk came late' "$(dmesg --notime)" '^guest-early: here is the disk$'
	like 'the first attempt failed' "$(dmesg --notime)" '^derived-disk: there is no /dev/vdc'
	like 'a later one did not' "$(dmesg --notime)" "^derived-disk: opened root, kcv $kcv\$" ;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
