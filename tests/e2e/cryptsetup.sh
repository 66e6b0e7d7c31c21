#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cryptsetup.sh: cryptsetup 2.8 opens the disk with the logon twin; and what cryptsetup 2.7 can do.
#
# vm: boot tpm=golden
# vm: long[6.12] dm-crypt is in disk.sh, too

. "$DERIVED/tests/lib/lib.sh"

export DM_DISABLE_UDEV=1	# there is no udev here
mapping=/dev/mapper/nas
# The cryptsetup of Debian forky, with its own libraries.
new_cryptsetup() {
	/opt/forky/lib64/ld-linux-x86-64.so.2 --library-path /opt/forky/usr/lib/x86_64-linux-gnu \
		/opt/forky/usr/sbin/cryptsetup "$@"
}
open_new() { # KEY [OPTION...]
	new_cryptsetup open --batch-mode --type plain --volume-key-keyring="$1" --cipher aes-xts-plain64 \
		--key-size "${2:-512}" "$disk" nas && [ -b $mapping ]
}
table() { echo "0 $(blockdev --getsz "$disk") crypt aes-xts-plain64 :64:$1 0 $disk 0"; }
nothing_open() { is "$1" "$(dmsetup ls)" 'No devices found'; }
begin() { head -c 64k "$1" | sha256sum | cut -d' ' -f1; }

plan_later
ok 'the module loads' load_module
modprobe dm-crypt
modprobe loop
truncate -s 4M /run/disk.img
disk=$(losetup --find --show /run/disk.img) || bail_out "no loop device"

like 'this cryptsetup can use the twin' "$(new_cryptsetup --version)" '^cryptsetup 2\.([89]|[1-9][0-9])'
fails 'without a key, cryptsetup opens nothing' open_new %logon:derived:nas
nothing_open 'no device is left'
ok 'the twin is made' keyctl request2 derived nas '64 path,logon,noread nas-disk v1' @u
fails "with half of the key's size, nothing is opened" open_new %logon:derived:nas 256
like "the error is dm-crypt's" "$out" 'Invalid argument'
nothing_open 'no device is left'

ok 'the disk is opened' open_new %logon:derived:nas
is 'the table is the same as by dmsetup' "$(dmsetup table --showkeys nas)" \
	"0 8192 crypt aes-xts-plain64 :64:logon:derived:nas 0 $(stat -c '%Hr:%Lr' "$disk") 0"
ok 'cryptsetup shows its status' new_cryptsetup status nas
like 'status: the type is plain' "$out" 'type: +PLAIN'
like 'status: the key has 512 bits' "$out" 'keysize: +512 \[?bits\]?'
like 'status: the key is in the keyring' "$out" 'key location: keyring'
ok 'the disk can be resized' new_cryptsetup resize --batch-mode --size 4096 nas
is 'the disk is smaller' "$(blockdev --getsz $mapping)" 4096
ok 'a file system is made' mkfs.ext4 -q $mapping
written=$(begin $mapping)
ok 'the disk is closed' new_cryptsetup close nas
nothing_open 'no device is left'
ok 'dmsetup opens the disk' dmsetup create nas --table "$(table logon:derived:nas)"
is 'it has the same contents' "$(begin $mapping)" "$written"
ok 'cryptsetup closes what dmsetup has opened' new_cryptsetup close nas

# A command that changes an open mapping looks the name up again, and takes the key that has the name
# by then. Read without the page cache, which would return the old contents.
begin_now() { dd if=$mapping bs=64k count=1 iflag=direct status=none | sha256sum | cut -d' ' -f1; }
forget_keys() { keyctl purge -s logon derived:nas >/dev/null; keyctl purge -s derived nas >/dev/null; }
resize() { new_cryptsetup resize --batch-mode --size "$1" nas; }
reload() { dmsetup suspend nas && dmsetup reload nas --table "$(table logon:derived:nas)" && dmsetup resume nas; }
right_kcv=$(sed -n 's/.* derived   nas: .* kcv://p' /proc/keys)
like 'the key has a check value' "$right_kcv" '^[0-9a-f]{16}$'
ok 'the disk is opened once more' open_new %logon:derived:nas
is 'it has the same contents' "$(begin_now)" "$written"
forget_keys
fails 'the disk is not resized while there is no key of that name' resize 4096
note "cryptsetup 2.8: $out"
like 'the errno is ENOKEY' "$out" 'Required key not available'
is 'the size has not changed' "$(blockdev --getsz $mapping)" 8192
is 'the contents have not changed' "$(begin_now)" "$written"
ok 'another key takes the name' keyctl request2 derived nas '64 path,logon,noread nas-disk v2' @u
ok 'TRAP: with that key the disk is resized, without a warning' resize 4096
isnt 'its contents are different' "$(begin_now)" "$written"
is 'blkid does not recognize them' "$(blkid -p $mapping; echo $?)" 2
# The recipe: work in a new session keyring, which has no other key of that name.
# shellcheck disable=SC2016
in_session() { # KCV FUNCTION [ARGUMENT...]
	keyctl session - bash -ec "$(declare -f new_cryptsetup open_new table resize reload)"'
		disk=$1 mapping=$2
		keyctl request2 derived nas "64 path,noread,logon,kcv=$3 nas-disk v1" @s
		"${@:4}"' bash "$disk" "$mapping" "$@"
}
fails 'a key with another check value than the one noted is refused' in_session 0123456789abcdef resize 2048
like 'the errno is EKEYREJECTED' "$out" 'Key was rejected by service'
is 'nothing is resized' "$(blockdev --getsz $mapping)" 4096
ok 'with the check value noted, in a new session, the disk is resized to its full size' \
	in_session "$right_kcv" new_cryptsetup resize --batch-mode nas
is 'the disk has the new size' "$(blockdev --getsz $mapping)" 8192
is 'the right key is in use again' "$(begin_now)" "$written"
ok 'TRAP: cryptsetup refresh takes the other key of that name' new_cryptsetup refresh --batch-mode --type plain \
	--volume-key-keyring=%logon:derived:nas --cipher aes-xts-plain64 --key-size 512 "$disk" nas
isnt 'the contents are different again' "$(begin_now)" "$written"
ok 'the disk can be resized to the size that it has' in_session "$right_kcv" resize 8192
isnt 'that repairs nothing: no key is looked up for it' "$(begin_now)" "$written"
ok 'dmsetup reload works in such a session' in_session "$right_kcv" reload
is 'dmsetup reload repairs it: the right key is in use' "$(begin_now)" "$written"
ok 'TRAP: dmsetup reload takes the other key of that name, too' reload
isnt 'the contents are different once more' "$(begin_now)" "$written"
ok 'the disk is closed' new_cryptsetup close nas
ok 'the disk is opened in such a session' in_session "$right_kcv" open_new %logon:derived:nas
is 'the right key is in use' "$(begin_now)" "$written"
forget_keys
fails 'after the session has ended, nothing is resized' resize 4096
like 'because there is no key' "$out" 'Required key not available'
is 'the size has not changed' "$(blockdev --getsz $mapping)" 8192
is 'the contents have not changed' "$(begin_now)" "$written"
ok 'the disk is closed' new_cryptsetup close nas
keyctl request2 derived nas '64 path,logon,noread nas-disk v1' @u >/dev/null

fails 'cryptsetup takes no key of type derived' open_new %derived:nas
note "cryptsetup 2.8: $out"
nothing_open 'no device is left'
# With a patched dm-crypt, dmsetup can use one.
rmmod dm_crypt
ok 'the patched dm-crypt loads' insmod "$DERIVED/patched/dm-crypt.ko"
ok 'dmsetup opens the disk with the derived key' dmsetup create nas --table "$(table derived:nas)"
is 'it has the same contents' "$(begin $mapping)" "$written"
ok "cryptsetup shows its status" new_cryptsetup status nas
note "$out"
fails 'cryptsetup cannot resize it' new_cryptsetup resize --batch-mode --size 4096 nas
note "cryptsetup 2.8: $out"
ok 'cryptsetup closes it' new_cryptsetup close nas

# The cryptsetup of Debian trixie itself.
like 'this cryptsetup cannot use the twin' "$(cryptsetup --version)" '^cryptsetup 2\.7\.'
fails 'cryptsetup 2.7 does not take the key from the keyring' cryptsetup open --batch-mode --type plain \
	--volume-key-keyring=%logon:derived:nas --cipher aes-xts-plain64 --key-size 512 "$disk" nas
note "cryptsetup 2.7: $out"
nothing_open 'no device is left'
# It has an option of that name for LUKS, and ignores it for plain devices.
echo passphrase | cryptsetup open --batch-mode --type plain \
	--volume-key-keyring=%logon:no:such --cipher aes-xts-plain64 --key-size 512 "$disk" nas >/run/said 2>&1
is 'it takes a passphrase from stdin instead' "$(dmsetup ls --target crypt | cut -f1)" nas
isnt 'the passphrase gives another key' "$(begin $mapping)" "$written"
cryptsetup close nas

# Through user space, with a key that can be read. It is not the same key as with noread.
keyctl purge -s logon derived:nas >/dev/null
keyctl purge -s derived nas >/dev/null
keyctl request2 derived nas '64 path,logon nas-disk v1' @u >/dev/null
dmsetup create nas --table "$(table logon:derived:nas)"
mkfs.ext4 -q $mapping
written=$(begin $mapping)
dmsetup remove --retry nas
piped() { keyctl pipe %derived:nas |
	cryptsetup open --batch-mode --type plain --key-file=- "$@" --cipher aes-xts-plain64 --key-size 512 "$disk" nas; }
ok 'cryptsetup 2.7 opens the disk with the key from a pipe and --hash plain' piped --hash plain
is 'it has the same contents' "$(begin $mapping)" "$written"
cryptsetup close nas
ok 'without --hash plain, cryptsetup opens the disk, too' piped
isnt 'its contents are different' "$(begin $mapping)" "$written"
is 'blkid does not recognize them' "$(blkid -p $mapping; echo $?)" 2
cryptsetup close nas
nothing_open 'all is closed'
losetup --detach "$disk"

# LUKS2: its volume keys in a keyring have to be keys that cryptsetup itself can read and make.
truncate -s 24M /run/luks.img
disk=$(losetup --find --show /run/luks.img) || bail_out "no loop device"
echo -n passphrase >/run/passphrase
luks() { # ACTION ARGUMENT...
	new_cryptsetup "$1" --batch-mode "${@:2}" --type luks2 --key-file=/run/passphrase "$disk" nas
}
ok 'LUKS2: the disk is formatted' new_cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 \
	--pbkdf-force-iterations 1000 --key-size 512 --key-file=/run/passphrase "$disk"
ok 'LUKS2: its volume key is linked as a key of type user' luks open --link-vk-to-keyring='@u::%user:vk'
new_cryptsetup close nas
ok 'LUKS2: that key opens the disk' new_cryptsetup open --batch-mode --type luks2 --volume-key-keyring=%user:vk "$disk" nas
new_cryptsetup close nas
ok 'LUKS2: the volume key can be linked as a key of type logon' luks open --link-vk-to-keyring='@u::%logon:nas:vk'
new_cryptsetup close nas
fails 'LUKS2: the volume key cannot become a key of type derived' luks open --link-vk-to-keyring='@u::%derived:vk'
note "cryptsetup 2.8: $out"
nothing_open 'LUKS2: nothing is open'
keyctl add derived vk '64 path vk v1' @u >/dev/null
fails 'LUKS2: a key of type derived is not accepted as the volume key' new_cryptsetup open --batch-mode --type luks2 \
	--volume-key-keyring=%derived:vk "$disk" nas
note "cryptsetup 2.8: $out"
nothing_open 'LUKS2: nothing is open'
losetup --detach "$disk"
done_testing
