#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh: a disk is opened in an initramfs made by initramfs-tools, with examples/initramfs-tools.
#
# This test and initramfs.initramfs measure the following in an initramfs, where no process has a
# session keyring:
#
#	a key made in			is found by dm-crypt, called by dmsetup
#	@u				yes. It is still there when the system runs, and still answers
#					requests
#	@s, @p				no: the keyring was new, and ended with keyctl
#	@s, in "keyctl session -"	yes, and the key is gone afterwards: derived-nas does this
#
# vm: disk 64M
# vm: boot tpm=golden
# vm: boot tpm=golden initrd=initramfs-tools
# vm: not-on[debug] mkinitramfs makes it for the kernel of the root
# vm: long[6.12] an initramfs is made

. "$DERIVED/tests/lib/lib.sh"

plan_later
export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
install -m 755 "$DERIVED/examples/derived-nas" /usr/local/sbin/
sed 's|^DEVICE=.*|DEVICE=/dev/vdc|' "$DERIVED/examples/derived-nas.conf" >/etc/derived-nas.conf
early() { sed -n "s/^$1: //p" /run/initramfs.initramfs; }
derived_keys() { grep -E ' (derived|logon) ' /proc/keys; }
key_of() { keyctl pipe "$(keyctl add derived test "32 $1 early" @s)" | sha256sum; }

case $BOOT in
1)
	install_module
	ok 'the disk is opened in the running system' derived-nas open
	like 'its check value is shown' "$out" 'opened nas, kcv:[0-9a-f]{16}$'
	ok 'a file system is made on the disk' mkfs.ext4 -q /dev/mapper/nas
	ok 'the file system is mounted' mount /dev/mapper/nas /mnt
	echo 'what is on the NAS' >/mnt/file

	# The hook, for a kernel without the module. It asks: is the root on the disk? For a program
	# in a chroot on the disk, it is. tests/checks/initramfs tests the rest, in mkinitramfs.
	mkdir /var/hook
	cp "$DERIVED/examples/initramfs-tools/hooks/derived-nas" /var/hook/
	hook() { env DESTDIR=/var/hook verbose=n __MODULES_TO_ADD=/var/hook/add version=99.0-new "$@" sh /var/hook/derived-nas; }
	fstab() { echo "$1 / ext4 defaults 0 1" >/etc/fstab; }
	cannot_boot='^E: derived-nas: The root is on the disk nas, so the kernel 99.0-new could not boot\.$'
	is 'the root is on another disk' "$(findmnt -n -v -o SOURCE /)" /dev/vda
	rm -f /etc/fstab
	ok 'the root is on another disk: the hook succeeds' hook
	like 'the hook warns that the module is missing' "$out" '^W: derived-nas: the module derived-keys is not installed for the kernel 99.0-new\.$'
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
	rm /etc/fstab
	like 'with the key, the disk shows its file system' "$(blkid -p /dev/mapper/nas)" 'TYPE="ext4"'
	ok 'the disk can be closed' derived-nas close
	fails 'the disk is closed' dmsetup info nas
	fails 'closed, the disk shows no file system' blkid -p /dev/vdc
	;;
2)
	isnt 'the system has left the initramfs' "$(stat -f -c %T /)" tmpfs
	ok 'the disk is open' dmsetup status nas
	log=$(dmesg --notime | grep -nE 'derived-nas: opened nas|EXT4-fs \(vda\): mounted')
	like 'the disk was opened before the root was mounted' "$(head -n 1 <<<"$log")" 'derived-nas: opened nas, kcv:'
	like 'the root was mounted afterwards' "$(tail -n 1 <<<"$log")" 'EXT4-fs \(vda\): mounted'
	ok 'the file system of the disk is mounted' mount -o ro /dev/mapper/nas /mnt
	ok '/mnt is that file system' mountpoint -q /mnt
	is 'its file is there' "$(cat /mnt/file)" 'what is on the NAS'

	is 'keyctl has the same path in the initramfs and in the system' "$(early program)" "$(readlink -f /usr/bin/keyctl)"
	is 'a path key is the same in the initramfs and in the system' "$(early key-path)" "$(key_of path)"
	is 'a csum key is the same in both, too, because the contents are' "$(early key-csum)" "$(key_of csum)"
	isnt 'the path key and the csum key are different' "$(key_of path)" "$(key_of csum)"

	is 'the initramfs had no session keyring' "$(early session)" 0
	is 'derived-nas left no key in the initramfs' "$(early left)" 0
	is 'in the initramfs, dm-crypt finds a key in @u' "$(early opens-u)" yes
	like 'in the initramfs, dm-crypt does not find a key that was made in @s' "$(early opens-s)" 'failed'
	like 'in the initramfs, dm-crypt does not find a key that was made in @p' "$(early opens-p)" 'failed'
	is 'the documentation says the same; derived-nas opened the disk in "keyctl session -"' \
		"$("$DERIVED/tests/e2e/documented" row 'the script runs' 'in an initramfs')" 'no yes no yes'
	like 'the key that was made in @u is still there' "$(derived_keys)" ' derived +early-u: 64 path'
	like 'it cannot be read in the system, where keyctl is another file' "$(keyctl pipe %derived:early-u 2>&1)" 'Permission denied'
	is 'in the initramfs, it answered to a different request' "$(early request-again)" yes
	like 'in the system, it does so as well' "$(keyctl request2 derived early-u '32 csum v3' @u; derived_keys)" \
		' derived +early-u: 64 path'
	unlike 'nothing is left of the key of the disk' "$(derived_keys)" 'nas'
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
