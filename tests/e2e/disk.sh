#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# disk.sh: the NAS's disk on a stock kernel: dm-crypt with a key that is stored nowhere, over several
# boots.
#
# disk-patched.sh runs this, too, with a dm-crypt that knows the type.
#
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=other
# vm: long[7.3] disk-patched.sh has all of it there

. "$DERIVED/tests/lib/lib.sh"

patched=${patched-}
image=/var/disk.img mapping=/dev/mapper/nas state=/var/disk
request='64 path,noread nas-disk v1'
if [ "$patched" ]; then
	in_table=derived:nas
else
	in_table=logon:derived:nas
fi

# make_key NAME REQUEST: make a key in @u. The kernel would return an older key of that name without a
# look at the request.
make_key() {
	keyctl purge -s derived "$1" >/dev/null
	keyctl purge -s logon "derived:$1" >/dev/null
	if [ "$patched" ]; then
		keyctl add derived "$1" "$2" @u
	else
		keyctl request2 derived "$1" "${2/path/path,logon}" @u
	fi
}
# In this machine no udev makes /dev/mapper/nas, and dd would make a file of that name.
export DM_DISABLE_UDEV=1
table() { echo "0 $(blockdev --getsz "$disk") crypt aes-xts-plain64 :64:$1 0 $disk 0"; }
open_disk() { # [TYPE:NAME [OPTION]]
	dmsetup create nas ${2:+"$2"} --table "$(table "${1:-$in_table}")" && [ -b $mapping ]
}
close_disk() { dmsetup remove --retry nas; }
mib=1048576
# Prints 0: the same bytes; 1: other bytes; 2: an error.
compare() { cmp --silent "$@"; echo $?; }
nothing_open() { is "$1" "$(dmsetup ls)" 'No devices found'; }
kcv() { sed -n 's/.* nas: .*kcv://p' /proc/keys; }

plan_later
if [ "$patched" ]; then
	# Install it beside the kernel's own module, as an administrator would, so that the choice of
	# depmod and modprobe is tried, too. But use a tree of few modules: for all of them, depmod
	# takes a minute here.
	release=$(uname -r) modules=/var/modules
	if [ "$BOOT" = 1 ]; then
		mkdir -p $modules/usr/lib/modules/"$release"/{kernel,updates}
		ln -s usr/lib $modules/lib
		cp "/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$modules/lib/modules/$release/"
		for file in $(modprobe --show-depends dm-crypt | awk '$1 == "insmod" { print $2 }'); do
			cp "$file" "$modules/lib/modules/$release/kernel/"
		done
		cp "$DERIVED/derived-keys.ko" "$DERIVED/patched/dm-crypt.ko" "$modules/lib/modules/$release/updates/"
		depmod -b $modules "$release"
	fi
	ok 'the patched dm-crypt loads' modprobe -d $modules dm-crypt
	like 'it loads the module derived-keys' "$(cat /proc/modules)" '^derived_keys .* dm_crypt,'
else
	ok 'the module loads' load_module
	ok "the stock kernel's dm-crypt loads" modprobe dm-crypt
	is 'dm-crypt does not depend on the module' "$(awk '$1 == "derived_keys" { print $4 }' /proc/modules)" -
fi
modprobe loop
[ "$BOOT" != 1 ] || truncate -s 16M $image
disk=$(losetup --find --show $image) || bail_out "no loop device"

# Two tests that tell text from noise. Random bytes have a chi-square of about 255 plus or minus 23, and
# no two equal blocks.
chi_square() { head -c 4M "$1" | ent -t | awk -F, '$1 == 1 { printf "%d\n", $4 }'; }
equal_blocks() {
	python3 -c 'import sys
data = open(sys.argv[1], "rb").read(4 << 20)
print(len(data) // 16 - len({data[i:i + 16] for i in range(0, len(data), 16)}))' "$1"
}

case $BOOT in
1)
	fails 'without a key, nothing is opened' open_disk
	like 'because there is no key' "$out" 'Required key not available'
	make_key nas '128 path,noread nas-disk v1' >/dev/null
	klog_mark
	fails 'with a key of 128 bytes and a table that says 64, nothing is opened' open_disk
	like "the error is dm-crypt's" "$out" 'Invalid argument'
	like 'dm-crypt logs that the key is the reason' "$(klog)" 'crypt: Error decoding and setting key \((-EINVAL|-22)\)'
	nothing_open 'no device is left'
	ok 'a key of 64 bytes is made' make_key nas "$request"
	fails 'dmsetup does not find it in @u if its session keyring has no link to @u' \
		keyctl session - dmsetup create nas --table "$(table $in_table)"
	like 'because only the session keyring is searched' "$out" 'Required key not available'
	if [ "$patched" ]; then
		keyctl request2 derived nas2 "${request/path/path,logon}" @u >/dev/null
	else
		fails "the stock kernel's dm-crypt takes no key of type derived" open_disk derived:nas
		like 'the errno is EINVAL' "$out" 'Invalid argument'
	fi
	nothing_open 'nothing is open so far'

	ok 'the disk is opened' open_disk
	is 'the table names the key, even with --showkeys' "$(dmsetup table --showkeys nas)" \
		"0 32768 crypt aes-xts-plain64 :64:$in_table 0 $(stat -c '%Hr:%Lr' "$disk") 0"
	# All of it, once: otherwise the disk would show which sectors were never written.
	ok 'the disk is filled with zeros' dd if=/dev/zero of=$mapping bs=1M count=16 status=none
	ok 'a file system is made' mkfs.ext4 -q -U 5f0ce1d2-0000-4000-8000-6e61732d6469 $mapping
	mkdir -p /mnt $state
	ok 'the file system is mounted' mount $mapping /mnt
	cp -R /usr/share/perl5 /mnt/files
	(cd /mnt && find files -type f -exec sha256sum {} + | sort) >$state/files
	ok 'the file system is unmounted' umount /mnt
	cp --sparse=never $mapping $state/plain
	kcv >$state/kcv
	like 'the key has a check value to note down' "$(cat $state/kcv)" '^[0-9a-f]{16}$'

	is 'the open disk is recognized by blkid' "$(blkid -o value -s TYPE $mapping)" ext4
	like 'the open disk is recognized by file' "$(file -bs $mapping)" 'ext4 filesystem'
	ok 'the open disk has structure: chi-square' test "$(chi_square $mapping)" -gt 10000
	ok 'the open disk has equal blocks' test "$(equal_blocks $mapping)" -gt 10000
	if [ "$patched" ]; then
		ok 'the disk is closed' close_disk
		ok 'the twin of the same key opens the disk, too' open_disk logon:derived:nas2
		is 'the contents are the same' "$(compare $mapping $state/plain)" 0
		# The commands of the documentation for a patched kernel, word for word.
		ln -s "$disk" /dev/sdb
		for file in README.md derived.rst; do
			close_disk
			"$DERIVED/tests/e2e/documented" commands $file :64:derived:nas >/run/open
			ok "the commands of $file open the disk" sh /run/open
			is 'the contents are the same' "$(compare $mapping $state/plain)" 0
		done
	fi
	ok 'the disk is closed' close_disk
	sync $image
	is 'the closed disk has no signature: blkid' "$(blkid -p "$disk"; echo $?)" 2
	is 'the closed disk has no signature: file' "$(file -bs "$disk")" data
	chi=$(chi_square "$disk")
	ok "the closed disk has no structure: chi-square ($chi)" test "$chi" -gt 110 -a "$chi" -lt 400
	is 'the closed disk has no two equal blocks' "$(equal_blocks "$disk")" 0
	;;
2)
	ok 'after a reboot, the key with the check value noted is made' \
		make_key nas "${request/path/path,kcv=$(cat $state/kcv)}"
	ok 'the disk is opened' open_disk
	is 'the copy from the first boot is as large as the disk' "$(stat -c %s $state/plain)" $((16 * mib))
	is 'every byte is the same' "$(compare $mapping $state/plain)" 0
	ok 'the file system is mounted' mount -o ro $mapping /mnt
	ok 'the files are those of the first boot' sh -c "cd /mnt && sha256sum --quiet --check $state/files"
	like 'there are some files' "$(wc -l <$state/files)" '^[0-9]{2,}$'
	umount /mnt
	close_disk

	losetup --detach "$disk"
	dd if=/dev/urandom of=$image bs=1M count=1 conv=notrunc status=none
	disk=$(losetup --find --show $image)
	ok 'with its first megabyte overwritten, the disk is still opened' open_disk
	is 'the overwritten megabyte is lost' "$(compare --bytes=$mib $mapping $state/plain)" 1
	is 'every other byte is the same' "$(compare --ignore-initial=$mib $mapping $state/plain)" 0
	close_disk
	;;
3)
	cp $image $state/raw
	make_key nas "${request/path/path,kcv=$(cat $state/kcv)}" >$state/said 2>&1
	like 'on another machine, the key with the check value noted is refused' \
		"$(cat $state/said)" 'Key was rejected by service'
	unlike 'no key is left' "$(cat /proc/keys)" ' (derived:)?nas[2:]'
	fails 'without a key, nothing is opened' open_disk
	nothing_open 'no device is left'
	# Without a check value, a wrong key cannot be told from the right one.
	ok 'without the check value, another key is made' make_key nas "$request"
	ok 'dm-crypt opens the disk with that key, without a warning' open_disk $in_table --readonly
	is 'the contents are not those that were written' "$(compare --ignore-initial=$mib $mapping $state/plain)" 1
	chi=$(chi_square $mapping)
	ok "the contents are noise (chi-square $chi)" test "$chi" -gt 110 -a "$chi" -lt 400
	is 'blkid does not recognize them: "blkid || mkfs" would make a new file system here' \
		"$(blkid -p $mapping; echo $?)" 2
	fails 'the noise cannot be mounted' mount -o ro $mapping /mnt
	close_disk
	is 'nothing was written' "$(compare $image $state/raw)" 0
	;;
esac
losetup --detach "$disk"
done_testing
