#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# disk.sh: the NAS's disk on a stock kernel: dm-crypt with a key that nobody stored, over boots.
#
# disk-patched.sh runs this too, with a dm-crypt that knows the type.
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

# make_key NAME REQUEST: in @u.  The kernel would return an older key of that name unseen.
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
# 0: the same bytes, 1: not, 2: could not tell.
compare() { cmp --silent "$@"; echo $?; }
nothing_open() { is "$1" "$(dmsetup ls)" 'No devices found'; }
kcv() { sed -n 's/.* nas: .*kcv://p' /proc/keys; }

plan_later
if [ "$patched" ]; then
	# Installed as a person would, beside the kernel's own, so that depmod's and modprobe's choice is
	# tried too.  But in a tree of few modules: depmod takes a minute here for all of them.
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
	like 'and the module before it' "$(cat /proc/modules)" '^derived_keys .* dm_crypt,'
else
	ok 'the module loads' load_module
	ok "the stock kernel's dm-crypt loads" modprobe dm-crypt
	is 'it knows nothing of the module' "$(awk '$1 == "derived_keys" { print $4 }' /proc/modules)" -
fi
modprobe loop
[ "$BOOT" != 1 ] || truncate -s 16M $image
disk=$(losetup --find --show $image) || bail_out "no loop device"

# What tells text from noise.  Of random bytes: chi-square 255, give or take 23; no two equal blocks.
chi_square() { head -c 4M "$1" | ent -t | awk -F, '$1 == 1 { printf "%d\n", $4 }'; }
equal_blocks() {
	python3 -c 'import sys
data = open(sys.argv[1], "rb").read(4 << 20)
print(len(data) // 16 - len({data[i:i + 16] for i in range(0, len(data), 16)}))' "$1"
}

case $BOOT in
1)
	fails 'without a key, nothing is opened' open_disk
	like 'because there is none' "$out" 'Required key not available'
	make_key nas '128 path,noread nas-disk v1' >/dev/null
	klog_mark
	fails 'with a key of 128 bytes and a table that says 64, nothing is opened' open_disk
	like "it is dm-crypt's error" "$out" 'Invalid argument'
	like 'which says in the log that it is the key' "$(klog)" 'crypt: Error decoding and setting key \((-EINVAL|-22)\)'
	nothing_open 'no device is left'
	ok 'a key of 64 bytes can be had' make_key nas "$request"
	fails 'but dmsetup does not find it from a session keyring that @u is not linked to' \
		keyctl session - dmsetup create nas --table "$(table $in_table)"
	like 'because it looks there and nowhere else' "$out" 'Required key not available'
	if [ "$patched" ]; then
		keyctl request2 derived nas2 "${request/path/path,logon}" @u >/dev/null
	else
		fails "it takes no key of type derived" open_disk derived:nas
		like 'and says so' "$out" 'Invalid argument'
	fi
	nothing_open 'nothing is open so far'

	ok 'the disk is opened' open_disk
	is 'the table names the key, even with --showkeys' "$(dmsetup table --showkeys nas)" \
		"0 32768 crypt aes-xts-plain64 :64:$in_table 0 $(stat -c '%Hr:%Lr' "$disk") 0"
	# The whole of it, once: a sector that was never written shows that it was not.
	ok 'it is filled with zeros' dd if=/dev/zero of=$mapping bs=1M count=16 status=none
	ok 'a file system is made' mkfs.ext4 -q -U 5f0ce1d2-0000-4000-8000-6e61732d6469 $mapping
	mkdir -p /mnt $state
	ok 'it is mounted' mount $mapping /mnt
	cp -R /usr/share/perl5 /mnt/files
	(cd /mnt && find files -type f -exec sha256sum {} + | sort) >$state/files
	ok 'and unmounted' umount /mnt
	cp --sparse=never $mapping $state/plain
	kcv >$state/kcv
	like 'the key has a check value to note down' "$(cat $state/kcv)" '^[0-9a-f]{16}$'

	is 'opened, the disk shows what it is: to blkid' "$(blkid -o value -s TYPE $mapping)" ext4
	like 'to file' "$(file -bs $mapping)" 'ext4 filesystem'
	ok 'and to statistics: chi-square' test "$(chi_square $mapping)" -gt 10000
	ok 'and equal blocks' test "$(equal_blocks $mapping)" -gt 10000
	if [ "$patched" ]; then
		ok 'it is closed' close_disk
		ok 'the twin of the same key opens it too' open_disk logon:derived:nas2
		is 'and shows the same' "$(compare $mapping $state/plain)" 0
		# What the documentation says of a patched kernel, as it stands there.
		ln -s "$disk" /dev/sdb
		for file in README.md derived.rst; do
			close_disk
			"$DERIVED/tests/e2e/documented" commands $file :64:derived:nas >/run/open
			ok "the commands of $file open it" sh /run/open
			is 'and it shows the same' "$(compare $mapping $state/plain)" 0
		done
	fi
	ok 'it is closed' close_disk
	sync $image
	is 'closed, it has no signature: blkid' "$(blkid -p "$disk"; echo $?)" 2
	is 'file' "$(file -bs "$disk")" data
	chi=$(chi_square "$disk")
	ok "no structure: chi-square ($chi)" test "$chi" -gt 110 -a "$chi" -lt 400
	is 'no two equal blocks' "$(equal_blocks "$disk")" 0
	;;
2)
	ok 'after a reboot, the key with the check value noted is given' \
		make_key nas "${request/path/path,kcv=$(cat $state/kcv)}"
	ok 'the disk is opened' open_disk
	is 'what was kept of the first boot is the whole disk' "$(stat -c %s $state/plain)" $((16 * mib))
	is 'every byte is there' "$(compare $mapping $state/plain)" 0
	ok 'it is mounted' mount -o ro $mapping /mnt
	ok 'the files are those of the first boot' sh -c "cd /mnt && sha256sum --quiet --check $state/files"
	like 'and are some' "$(wc -l <$state/files)" '^[0-9]{2,}$'
	umount /mnt
	close_disk

	losetup --detach "$disk"
	dd if=/dev/urandom of=$image bs=1M count=1 conv=notrunc status=none
	disk=$(losetup --find --show $image)
	ok 'with its first megabyte overwritten, the disk is opened all the same' open_disk
	is 'what was overwritten is lost' "$(compare --bytes=$mib $mapping $state/plain)" 1
	is 'every byte of the rest is there' "$(compare --ignore-initial=$mib $mapping $state/plain)" 0
	close_disk
	;;
3)
	cp $image $state/raw
	make_key nas "${request/path/path,kcv=$(cat $state/kcv)}" >$state/said 2>&1
	like 'on another machine, the key with the check value noted is refused' \
		"$(cat $state/said)" 'Key was rejected by service'
	unlike 'no key is left' "$(cat /proc/keys)" ' (derived:)?nas[2:]'
	fails 'so nothing is opened' open_disk
	nothing_open 'no device is left'
	# Without a check value, there is nothing that could tell a wrong key from a right one.
	ok 'without the check value, another key is given' make_key nas "$request"
	ok 'with which dm-crypt opens the disk, without a word' open_disk $in_table --readonly
	is 'what it shows is not what was written' "$(compare --ignore-initial=$mib $mapping $state/plain)" 1
	chi=$(chi_square $mapping)
	ok "but noise (chi-square $chi)" test "$chi" -gt 110 -a "$chi" -lt 400
	is 'for which blkid knows no name: "blkid || mkfs" would make a new file system here' \
		"$(blkid -p $mapping; echo $?)" 2
	fails 'it cannot be mounted' mount -o ro $mapping /mnt
	close_disk
	is 'and nothing was written' "$(compare $image $state/raw)" 0
	;;
esac
losetup --detach "$disk"
done_testing
