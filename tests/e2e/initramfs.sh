#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh: a disk is opened in an initramfs of initramfs-tools, with examples/initramfs-tools.
#
# Measured here (see initramfs.initramfs, too), in an initramfs, where no process has a session keyring:
#
#	a key is made in		is found by dm-crypt, called by dmsetup
#	@u				yes. It is still there when the system runs, and answers there
#	@s, @p				no: the keyring was new, and went with keyctl
#	@s, in "keyctl session -"	yes, and is gone afterwards: what derived-nas does
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
	ok 'the disk opens in the system' derived-nas open
	like 'and the check value is shown' "$out" 'opened nas, kcv:[0-9a-f]{16}$'
	ok 'it takes a file system' mkfs.ext4 -q /dev/mapper/nas
	ok 'which is mounted' mount /dev/mapper/nas /mnt
	echo 'what is on the NAS' >/mnt/file

	# The hook, for a kernel without the module: is the root on the disk?  It is, for what is run in a
	# chroot on it.  tests/checks/initramfs has the rest, in mkinitramfs.
	mkdir /var/hook
	cp "$DERIVED/examples/initramfs-tools/hooks/derived-keys" /var/hook/
	hook() { env DESTDIR=/var/hook verbose=n __MODULES_TO_ADD=/var/hook/add version=99.0-new "$@" sh /var/hook/derived-keys; }
	fstab() { echo "$1 / ext4 defaults 0 1" >/etc/fstab; }
	cannot_boot='^E: derived-keys: The root is on the disk nas, so the kernel 99.0-new could not boot\.$'
	is 'the root is on another disk' "$(findmnt -n -v -o SOURCE /)" /dev/vda
	rm -f /etc/fstab
	ok 'so the hook succeeds' hook
	like 'with a warning' "$out" '^W: derived-keys: the module derived-keys is not installed for the kernel 99.0-new\.$'
	fstab "UUID=$(blkid -p -o value -s UUID /dev/vda)"
	ok 'fstab says the same: it succeeds' hook
	fstab "UUID=$(blkid -p -o value -s UUID /dev/mapper/nas)"
	fails 'fstab has the UUID of what is on the disk: it fails' hook
	like 'and says why' "$out" "$cannot_boot"
	cp -a /bin /lib /lib64 /sbin /mnt/
	for dir in usr etc var proc sys dev; do
		mkdir /mnt/$dir
		mount --bind /$dir /mnt/$dir
	done
	fails 'with the root on it, mounted, it fails' hook chroot /mnt
	like 'and says why' "$out" "$cannot_boot"
	umount /mnt/{usr,etc,var,proc,sys,dev}
	umount /mnt
	dmsetup create upper --table '0 64 linear /dev/mapper/nas 0'
	dmsetup create uppermost --table '0 64 linear /dev/mapper/upper 0'
	fstab /dev/mapper/uppermost
	fails 'or a device that is made of it' hook
	like 'and says why' "$out" "$cannot_boot"
	dmsetup remove uppermost
	dmsetup remove upper
	rm /etc/fstab
	like 'with the key, it shows that' "$(blkid -p /dev/mapper/nas)" 'TYPE="ext4"'
	ok 'it closes' derived-nas close
	fails 'closed, it is closed' dmsetup info nas
	fails 'closed, it shows no file system' blkid -p /dev/vdc
	;;
2)
	isnt 'the initramfs was left' "$(stat -f -c %T /)" tmpfs
	ok 'the disk is open' dmsetup status nas
	log=$(dmesg --notime | grep -nE 'derived-nas: opened nas|EXT4-fs \(vda\): mounted')
	like 'it was opened before the root was mounted' "$(head -n 1 <<<"$log")" 'derived-nas: opened nas, kcv:'
	like 'which was mounted then' "$(tail -n 1 <<<"$log")" 'EXT4-fs \(vda\): mounted'
	ok 'it has its file system' mount -o ro /dev/mapper/nas /mnt
	ok 'which is what is looked at' mountpoint -q /mnt
	is 'and its file' "$(cat /mnt/file)" 'what is on the NAS'

	is 'keyctl has the same path there as here' "$(early program)" "$(readlink -f /usr/bin/keyctl)"
	is 'so a path key made there is the one made here' "$(early key-path)" "$(key_of path)"
	is 'and with the same contents, a csum key, too' "$(early key-csum)" "$(key_of csum)"
	isnt 'the two are different keys' "$(key_of path)" "$(key_of csum)"

	is 'there was no session keyring there' "$(early session)" 0
	is 'derived-nas left no key there' "$(early left)" 0
	is 'in the initramfs, dm-crypt finds a key in @u' "$(early opens-u)" yes
	like 'not one that was made in @s' "$(early opens-s)" 'failed'
	like 'not one that was made in @p' "$(early opens-p)" 'failed'
	is 'as is documented; it was opened by derived-nas, in "keyctl session -"' \
		"$("$DERIVED/tests/e2e/documented" row 'the script runs' 'in an initramfs')" 'no yes no yes'
	like 'what was made in @u is still there' "$(derived_keys)" ' derived +early-u: 64 path'
	like 'but is not read here, where keyctl is another file' "$(keyctl pipe %derived:early-u 2>&1)" 'Permission denied'
	is 'and answered, there, to a request of another kind' "$(early request-again)" yes
	like 'here it does as well' "$(keyctl request2 derived early-u '32 csum v3' @u; derived_keys)" \
		' derived +early-u: 64 path'
	unlike 'of the key of the disk, nothing is left' "$(derived_keys)" 'nas'
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
