#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# reader.sh: the reader of a key. Only the program and the user that made a key can read it, through
# any keyring: rows E5 to E9 of the table in Documentation/threat-model.rst.
#
# Not here: a program in a snapshot of a btrfs subvolume. The root file system of the virtual machine
# has no mkfs.btrfs.
#
# vm: boot tpm=golden timeout=300

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/attack.sh"

# All processes have the same session keyring here, and both users' keyrings are linked into it. So
# every process possesses every key, and only the check of the reader protects a key.
empty_keyrings() {
	as_attacker keyctl clear @u
	keyctl clear @u
	keyctl clear @s
	keyctl link @u @s
	as_attacker keyctl link @u @s
}
serial() { keyctl search @s derived attack; }
u() { as_attacker "$@" 2>/dev/null; }

# answer WHO KEY TEXT: note the outcome for WHO: TEXT is the output, KEY the key that it should not get.
declare -A answers
answer() { answers[$1]=$(outcome "$3" "${2#* }"); }

# E8: a key of a program on an overlay that is unmounted afterwards. Its device number is free again
# when the attacker makes the same mounts in a user namespace.
e8() {
	local overlay_key id
	empty_keyrings
	mkdir -p /srv/layers /srv/merged
	mount -t tmpfs tmpfs /srv/layers
	mkdir -m 755 /srv/layers/a /srv/layers/b
	install -m 755 "$bin/x" /srv/layers/a/x
	mount -t overlay overlay -o lowerdir=/srv/layers/a:/srv/layers/b /srv/merged
	overlay_key=$(u /srv/merged/x '32 path' -4) id=$(serial)
	umount /srv/merged
	rm -rf $home/run
	install -d -o 1000 $home/run
	cd $home/run || return
	answer "$1" "$overlay_key" "$(u "$bin/mounts" E8 "read $id" "$bin/evil")"
	umount /srv/layers
}

# mount_disk PROGRAM OWNER: mount a new ext4 file system with the program as its first file. It has the
# same device number each time.
disk=/srv/disk loop=/dev/loop6
mount_disk() {
	rm -f $home/disk
	truncate -s 2M $home/disk
	# With metadata_csum, ext4 does not allow setting a generation.
	mkfs.ext4 -q -I 256 -O ^has_journal,^metadata_csum $home/disk
	losetup $loop $home/disk
	mount $loop $disk
	install -o "$2" -m 755 "$1" $disk/x
}
unmount_disk() {
	umount $disk
	losetup -d $loop
}
numbers() {
	stat -c '%d %i' $disk/x
	generation
}
generation() { lsattr -v $disk/x | awk '{ print $1 }'; }

# E8b: a key of a program on an ext4 file system that is unmounted afterwards. The attacker owns a file
# on the next file system, and gives it the generation of that program: only the birth times differ.
e8b() {
	local key id before after chosen
	empty_keyrings
	mount_disk "$bin/x" 0
	key=$(u $disk/x '32 path' -4) id=$(serial) before=$(numbers) chosen=$(generation)
	unmount_disk
	mount_disk "$bin/evil" 1000
	u chattr -v "$chosen" $disk/x
	after=$(numbers)
	answer 'E8b: same device, inode number and generation' "$key" "$(u $disk/x "read $id")"
	isnt "E8b: the attacker's file has a device, an inode number and a generation" "$after" ''
	is "E8b: all three are those of the victim's file" "$after" "$before"
	unmount_disk
}

# The same file with another name, or without a name.
names() {
	local key id
	empty_keyrings
	key=$(u /usr/bin/x '32 path' -4) id=$(serial)
	ln /usr/bin/x /usr/local/bin/x-link
	answer 'E9: hard link to X elsewhere' "$key" "$(u /usr/local/bin/x-link "read $id")"
	rm /usr/local/bin/x-link
	mv /usr/bin/x /usr/local/bin/x-moved
	answer 'E9: X, moved elsewhere' "$key" "$(u /usr/local/bin/x-moved "read $id")"
	mv /usr/local/bin/x-moved /usr/bin/x
	answer 'E9: X, its path leads elsewhere' "$key" "$(u "$bin/mounts" elsewhere "read $id" /usr/bin/keyctl)"
	answer 'X, moved back' "$key" "$(u /usr/bin/x "read $id")"

	empty_keyrings
	rm -rf $home/run
	install -d -o 1000 $home/run
	install -o 1000 -m 755 "$bin/x" $home/run/x
	key=$(u $home/run/x '32 path' -4) id=$(serial)
	u ln $home/run/x $home/run/y
	answer 'E9: hard link elsewhere, by the owner of the file' "$key" "$(u $home/run/y "read $id")"
	answer 'E9: X, deleted' "$key" "$(u $home/run/x -d "read $id")"
}

# The same questions for both builds.
questions() {
	local key setuid_key root_key evil_key id
	empty_keyrings
	key=$(u /usr/bin/x '32 path' -4) id=$(serial)
	answer 'X itself' "$key" "$(u /usr/bin/x "read $id")"
	answer 'E6: another program of the user, key in @u' "$key" "$(u "$bin/evil" "read $id")"
	answer 'another user, same program' "$key" "$(/usr/bin/x "read $id")"
	answer 'the same bytes at another path' "$key" "$(u /usr/local/bin/x-copy "read $id")"
	answer 'P2: bind mount, from outside' "$key" "$(u "$bin/mounts" P2 "read $id" "$bin/evil")"
	answer 'P11b: made X by prctl(2)' "$key" "$(u "$bin/set-exe" P11b "read $id")"
	answer 'P11c: the same with AT_EXECFD' "$key" \
		"$(u "$bin/set-exe" P11c "read $id" "$bin/binfmt" O "$bin/pass-execfd" $home/binfmt -)"
	answer 'P18: X with another loader' "$key" "$(u "$bin/mounts" P18 "read $id" "$bin/evil-loader")"

	ln /usr/bin/x /usr/bin/x-old
	install -m 755 "$bin/x" /usr/bin/x-new && mv /usr/bin/x-new /usr/bin/x
	answer 'X after an upgrade' "$key" "$(u /usr/bin/x "read $id")"
	mv /usr/bin/x-old /usr/bin/x
	answer 'X, put back' "$key" "$(u /usr/bin/x "read $id")"

	keyctl link "$id" @s
	u keyctl unlink "$id" @u
	answer 'X, unlinked from one of two keyrings' "$key" "$(u /usr/bin/x "read $id")"
	answer 'evil, unlinked from one of two keyrings' "$key" "$(u "$bin/evil" "read $id")"
	u /usr/bin/x '32 path' -3 >/dev/null
	answer 'X, replaced: the old one' "$key" "$(u /usr/bin/x "read $id")"
	id=$(serial)
	answer 'evil, replaced: the new one' "$key" "$(u "$bin/evil" "read $id")"
	keyctl unlink "$id" @s
	answer 'evil, unlinked for good' "$key" "$(u "$bin/evil" "read $id")"

	u /usr/bin/x '32 path' -3 >/dev/null
	id=$(serial)
	u keyctl revoke "$id"
	answer 'X, revoked' "$key" "$(u /usr/bin/x "read $id")"
	answer 'evil, revoked' "$key" "$(u "$bin/evil" "read $id")"

	empty_keyrings
	u /usr/bin/x '32 path,noread' -3 >/dev/null
	id=$(serial)
	answer 'X, noread' "$key" "$(u /usr/bin/x "read $id")"
	answer 'evil, noread' "$key" "$(u "$bin/evil" "read $id")"

	empty_keyrings
	setuid_key=$(u /usr/local/bin/x-setuid '32 path' -3)
	answer 'E5: caller of a set-user-ID program' "$setuid_key" "$(u "$bin/evil" "read $(serial)")"

	empty_keyrings
	root_key=$(/usr/bin/x '32 path' -4)
	answer 'P5b: X in a container, with another loader' "$root_key" \
		"$("$bin/container" -u /srv/container "read $(serial)")"

	empty_keyrings
	evil_key=$(u "$bin/evil" '32 path' -3) id=$(serial)
	answer 'E7: X, by request_key(2), gets a key that was planted' "$evil_key" "$(u /usr/bin/x 'request 32 path' -3)"
	[ "$id" = "$(serial)" ] && [ "$(grep -c ' derived *attack: ' /proc/keys)" = 1 ]
	tap_point $? 'E7: with request_key(2) there is no key of X, only the planted one'
	answer 'E7: X, by add_key(2)' "$evil_key" "$(u /usr/bin/x)"
	e8 'E8: same device and inode number'
	e8b
	names
}

# The gates that a reader has to pass, each of them switched off. The check of the reader stays on.
questions_without_gates() {
	local key root_key id
	empty_keyrings
	key=$(u /usr/bin/x '32 path' -4) id=$(serial)
	gates 5
	answer 'P2 without G5' "$key" "$(u "$bin/mounts" P2 "read $id" "$bin/evil")"
	gates 2
	answer 'P11b without G2' "$key" "$(u "$bin/set-exe" P11b "read $id")"
	answer 'P11c without G2' "$key" \
		"$(u "$bin/set-exe" P11c "read $id" "$bin/binfmt" O "$bin/pass-execfd" $home/binfmt -)"
	gates 1 2
	answer 'P18 without G1 and G2' "$key" "$(u "$bin/mounts" P18 "read $id" "$bin/evil-loader")"
	gates
	empty_keyrings
	root_key=$(/usr/bin/x '32 path' -4)
	gates 6
	answer 'P5b without G6' "$root_key" "$("$bin/container" -u /srv/container "read $(serial)")"
	gates 3 5
	e8 'E8 without G3 and G5'
}

# attempt | with the check | without it
expected='
X itself|its key|its key
E6: another program of the user, key in @u|read:EACCES|KEY
another user, same program|read:EACCES|its key
the same bytes at another path|read:EACCES|its key
P2: bind mount, from outside|read:EPERM|KEY
P11b: made X by prctl(2)|read:EPERM|KEY
P11c: the same with AT_EXECFD|read:EPERM|KEY
P18: X with another loader|read:EPERM|KEY
X after an upgrade|read:EACCES|its key
X, put back|its key|its key
X, unlinked from one of two keyrings|its key|its key
evil, unlinked from one of two keyrings|read:EACCES|KEY
X, replaced: the old one|read:ENOKEY|read:ENOKEY
evil, replaced: the new one|read:EACCES|KEY
evil, unlinked for good|read:ENOKEY|read:ENOKEY
X, revoked|read:EKEYREVOKED|read:EKEYREVOKED
evil, revoked|read:EKEYREVOKED|read:EKEYREVOKED
X, noread|read:EOPNOTSUPP|read:EOPNOTSUPP
evil, noread|read:EOPNOTSUPP|read:EOPNOTSUPP
E5: caller of a set-user-ID program|read:EACCES|KEY
P5b: X in a container, with another loader|read:EPERM|KEY
E7: X, by request_key(2), gets a key that was planted|read:EACCES|its key
E7: X, by add_key(2)|another key|another key
E8: same device and inode number|read:EPERM|KEY
E8b: same device, inode number and generation|read:EACCES|KEY
E9: hard link to X elsewhere|read:EACCES|its key
E9: X, moved elsewhere|read:EACCES|its key
E9: X, its path leads elsewhere|read:EPERM|its key
X, moved back|its key|its key
E9: hard link elsewhere, by the owner of the file|read:EACCES|its key
E9: X, deleted|read:EPERM|its key
'

plan_later
prepare_attacks
modprobe -a overlay binfmt_misc loop
mkdir $disk
echo 1 >/proc/sys/fs/protected_hardlinks	# as systemd does
fails 'a user cannot make a hard link to X' u ln /usr/bin/x $home/x-link
install -m 755 "$bin/x" /usr/local/bin/x-copy
install -m 4755 "$bin/x" /usr/local/bin/x-setuid
install -D -m 755 "$bin/evil-loader" /srv/container/lib64/ld-linux-x86-64.so.2
mkdir -p /srv/container/usr

ok 'the module loads' load_module
questions
while IFS='|' read -r who with _; do
	[ -z "$who" ] || is "$who: $with" "${answers[$who]-}" "$with"
done <<<"$expected"
unload_module

ok 'the test build loads' insmod "$DERIVED/test/derived-keys.ko"
gates $READER
questions
while IFS='|' read -r who _ without; do
	[ -z "$who" ] || is "without the check, $who: $without" "${answers[$who]-}" "$without"
done <<<"$expected"
questions_without_gates
for who in 'P11b without G2' 'P11c without G2' 'P18 without G1 and G2' 'P5b without G6'; do
	is "$who: the key can be read" "${answers[$who]-}" KEY
done
# G3 or G5 is needed for file systems that count the generations of their inodes from 0, or that let a
# user choose them.
is "E8 without G3 and G5: the generation of the layer's inode makes the difference" \
	"${answers[E8 without G3 and G5]-}" read:EACCES
is 'P2 without G5: it is another file' "${answers[P2 without G5]-}" read:EACCES
unload_module
done_testing
