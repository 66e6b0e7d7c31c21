#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh: disks of /etc/derivedtab are opened in an initramfs made by initramfs-tools, with
# integration/initramfs-tools. The TPM is the golden one, so the check value is known.
#
# In boot 1, the disk is made. In boot 2, the initramfs opens it. In the later boots, the TPM or the disk comes late, the check value is wrong, or there is no disk.
#
# This test and initramfs.initramfs measure the following in an initramfs, where no process has a
# session keyring:
#
#	a key made in			is found by dm-crypt, called by dmsetup
#	@u				yes. It is still there when the system runs, and still answers
#					requests
#	@s, @p				no: the keyring was new, and ended with keyctl
#	@s, in "keyctl session -"	yes, and the key is gone afterwards: derived-disk does this
#
# vm: disk 64M
# vm: boot tpm=golden
# vm: boot tpm=golden initrd=initramfs-tools
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early vm_late=tpm vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,timeout=90"
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early vm_late=disk vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c66,timeout=90"
# vm: boot tpm=golden initrd=initramfs-tools args="rdinit=/guest-early vm_derivedtab=nas:/dev/vdc:purpose=nas-disk,kcv=ed25f726f3069c67,nofail vm_derivedtab=usb:/dev/vdd:nofail"
# vm: not-on[debug] mkinitramfs makes it for the kernel of the root
# vm: long[6.12] an initramfs is made

. "$DERIVED/tests/lib/lib.sh"

plan_later
export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
functions=/usr/share/derived-keys/initramfs
install -D -m 755 -t $functions "$DERIVED"/integration/initramfs/*
install -m 755 "$DERIVED/tools/derived-disk" /usr/local/sbin/
kcv=ed25f726f3069c66
echo "nas /dev/vdc purpose=nas-disk,version=v1,kcv=$kcv" >/etc/derivedtab
early() { sed -n "s/^$1: //p" /run/initramfs.initramfs; }
# The kernel's log, of the initramfs and the system: the number of the first line that matches.
line_of() { dmesg --notime | grep -nE -m 1 "$1" | cut -d: -f1; }
before() {
	[ -n "$2" ] && [ -n "$3" ] && [ "$2" -lt "$3" ]
	tap_point $? "$1" "line '$2' is not before line '$3'"
}
has_left() { isnt 'the system has left the initramfs' "$(stat -f -c %T /)" tmpfs; }
opened_early() {
	has_left
	ok 'the disk is open' dmsetup status nas
	before 'it was opened before the root was mounted' "$(line_of "^derived-disk: opened nas, kcv $kcv\$")" \
		"$(line_of 'EXT4-fs \(vda\): mounted')"
	ok 'the file system of the disk is mounted' mount -o ro /dev/mapper/nas /mnt
	ok '/mnt is that file system' mountpoint -q /mnt
	is 'its file is there' "$(cat /mnt/file)" 'what is on the NAS'
}
derived_keys() { grep -E ' (derived|logon) ' /proc/keys; }
key_of() { keyctl pipe "$(keyctl add derived test "32 $1 early" @s)" | sha256sum; }

case $BOOT in
1)
	install_module
	ok 'derived-disk opens the disk' derived-disk open nas
	ok 'a file system is made on the disk' mkfs.ext4 -q /dev/mapper/nas
	ok 'the disk is closed' derived-disk close nas
	ok 'the disk is opened again' derived-disk open nas
	like 'it says so' "$out" "opened nas, kcv $kcv\$"
	ok 'the file system is mounted' mount /dev/mapper/nas /mnt
	echo 'what is on the NAS' >/mnt/file

	# The hook, for a kernel without the module. It asks: is the root on the disk? For a program
	# in a chroot on the disk, it is. tests/checks/initramfs tests the rest, in mkinitramfs.
	sed -i 's/$/,initramfs/' /etc/derivedtab
	echo 'usb /dev/vdd noauto' >>/etc/derivedtab
	mkdir /var/hook
	cp "$DERIVED/integration/initramfs-tools/hooks/derived-disk" /var/hook/
	hook() { env DESTDIR=/var/hook verbose=n __MODULES_TO_ADD=/var/hook/add version=99.0-new "$@" sh /var/hook/derived-disk; }
	fstab() { echo "$1 / ext4 defaults 0 1" >/etc/fstab; }
	cannot_boot='^E: derived-disk: The root is on the disk nas, so the kernel 99.0-new could not boot\.$'
	is 'the root is on another disk' "$(findmnt -n -v -o SOURCE /)" /dev/vda
	rm -f /etc/fstab
	ok 'the root is on another disk: the hook succeeds' hook
	like 'the hook warns that the module is missing' "$out" '^W: derived-disk: the module derived-keys is not installed for the kernel 99.0-new\.$'
	fstab "UUID=$(blkid -p -o value -s UUID /dev/vda)"
	ok 'fstab says the same: the hook succeeds' hook
	fstab "UUID=$(blkid -p -o value -s UUID /dev/mapper/nas)"
	fails 'fstab has the UUID of the file system on the disk: the hook fails' hook
	like 'fstab has the UUID of the file system on the disk: the hook says why' "$out" "$cannot_boot"
	cp -a /bin /lib /lib64 /sbin /mnt/
	for dir in usr etc var proc sys dev; do
		mkdir /mnt/$dir
		mount --bind /$dir /mnt/$dir
	done
	fails 'the root is mounted from the disk: the hook fails' hook chroot /mnt
	like 'the root is mounted from the disk: the hook says why' "$out" "$cannot_boot"
	umount /mnt/{usr,etc,var,proc,sys,dev}
	umount /mnt
	dmsetup create upper --table '0 64 linear /dev/mapper/nas 0'
	dmsetup create uppermost --table '0 64 linear /dev/mapper/upper 0'
	fstab /dev/mapper/uppermost
	fails 'the root is a device made of the disk: the hook fails' hook
	like 'the root is a device made of the disk: the hook says why' "$out" "$cannot_boot"
	dmsetup remove uppermost
	dmsetup remove upper
	echo "usb /dev/vdd" >/etc/derivedtab
	ok 'the table does not have that disk: the hook succeeds' hook
	is 'it says nothing' "$out" ''
	rm /etc/fstab
	like 'with the key, the disk shows its file system' "$(blkid -p /dev/mapper/nas)" 'TYPE="ext4"'
	ok 'the disk can be closed' derived-disk close nas
	fails 'the disk is closed' dmsetup info nas
	fails 'closed, the disk shows no file system' blkid -p /dev/vdc
	;;
2)
	opened_early
	is 'derived-disk opens it no second time' "$(derived-disk open nas)" 'derived-disk: nas is open'
	unlike 'the disk without the option was not tried' "$(dmesg --notime)" '^derived-disk: .*other'

	is 'keyctl has the same path in the initramfs and in the system' "$(early program)" "$(readlink -f /usr/bin/keyctl)"
	is 'a path key is the same in the initramfs and in the system' "$(early key-path)" "$(key_of path)"
	is 'a csum key is the same in both, too, because the contents are' "$(early key-csum)" "$(key_of csum)"
	isnt 'the path key and the csum key are different' "$(key_of path)" "$(key_of csum)"

	is 'the initramfs had no session keyring' "$(early session)" 0
	is 'derived-disk left no key in the initramfs' "$(early left)" 0
	is 'in the initramfs, dm-crypt finds a key in @u' "$(early opens-u)" yes
	like 'in the initramfs, dm-crypt does not find a key that was made in @s' "$(early opens-s)" 'failed'
	like 'in the initramfs, dm-crypt does not find a key that was made in @p' "$(early opens-p)" 'failed'
	is 'the documentation says the same; derived-disk opened the disk in "keyctl session -"' \
		"$("$DERIVED/tests/e2e/documented" row 'the script runs' 'in an initramfs')" 'no yes no yes'
	like 'the key that was made in @u is still there' "$(derived_keys)" ' derived +early-u: 64 path'
	like 'it cannot be read in the system, where keyctl is another file' "$(keyctl pipe %derived:early-u 2>&1)" 'Permission denied'
	is 'in the initramfs, it answered to a different request' "$(early request-again)" yes
	like 'in the system, it does so as well' "$(keyctl request2 derived early-u '32 csum v3' @u; derived_keys)" \
		' derived +early-u: 64 path'
	unlike 'nothing is left of the key of the disk' "$(derived_keys)" 'nas'
	;;
3)
	before 'derived-disk waited for the TPM' "$(line_of '^derived-disk: waiting for the TPM, for up to 90 s$')" \
		"$(line_of '^guest-early: here is the TPM$')"
	before 'the disk was opened after that' "$(line_of '^guest-early: here is the TPM$')" "$(line_of '^derived-disk: opened nas')"
	opened_early
	;;
4)
	before 'derived-disk waited for the disk' "$(line_of '^derived-disk: waiting for /dev/vdc, for up to 90 s$')" \
		"$(line_of '^guest-early: here is the disk$')"
	before 'the disk was opened after that' "$(line_of '^guest-early: here is the disk$')" "$(line_of '^derived-disk: opened nas')"
	opened_early
	;;
5)
	has_left
	log=$(dmesg --notime | grep '^derived-disk: ')
	like 'the check value is wrong: the log says so' "$log" \
		'^derived-disk: this machine makes another key for "nas" than the one with kcv=ed25f726f3069c67: nothing was opened$'
	fails 'the disk is not open' dmsetup info nas
	like 'another disk is absent: the log says so' "$log" '^derived-disk: there is no /dev/vdd'
	unlike 'with "nofail", the boot did not wait for it' "$log" 'waiting for'
	;;
esac
# A TPM that has come back has another number, since IMA still holds the first.
[ -c /dev/tpm0 ] || ln -s "$(ls -d /dev/tpm[1-9])" /dev/tpm0
tpm_slots_empty 'nothing is left in the TPM'
done_testing
