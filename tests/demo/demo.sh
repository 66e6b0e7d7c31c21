#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh: derived keys, as a story of five boots that a person can read ("make demo"): first what a
# key depends on, then a NAS whose disk it opens, the disk stolen, and the TPM wiped.
#
# vm: boot tpm=machine-a
# vm: boot tpm=machine-a
# vm: boot tpm=machine-b
# vm: boot tpm=machine-a
# vm: boot tpm=machine-a

. "$DERIVED/tests/lib/lib.sh"

notes=/var/demo		# on the disk, which goes from boot to boot: what held, and what to compare
mkdir -p $notes

title() { printf '\n=== %s\n' "$*"; }
step() { printf '\n  %s\n' "$*"; }
say() { printf '      %s\n' "$@"; }

# Type a command: show it, run it, show what it prints.
type_in() {
	printf '      # %s\n' "$*"
	eval "$*" 2>&1 | sed 's/^/      /'
}

# held CLAIM GOT WANT / differs CLAIM GOT OTHER: a point, and a row of the table at the end.
row() { printf '%s\t%s\n' "$1" "$2" >>$notes/table; }
held() {
	if is "$@"; then row yes "$1"; else row NO "$1"; fi
}
differs() {
	if isnt "$@"; then row yes "$1"; else row NO "$1"; fi
}

# ask PROGRAM REQUEST: type the command that makes a key and show the key; $key is its bytes.
# To look at a key, it must leave the kernel once: a key of real use would have "noread".
ask() {
	local id
	printf "      # %s add derived nas '%s' @s\n" "$1" "$2"
	if ! id=$("$1" add derived nas "$2" @s 2>&1); then
		key=refused
		say "$id"
		return
	fi
	key=$("$1" pipe "$id" | od -An -v -tx1 | tr -d ' \n')
	kcv=$(sed -n 's/.* nas: .*kcv://p' /proc/keys)
	say "$id" "        the key: ${key:0:16}... (${#key} digits), its check value: $kcv"
}
ask_as() {
	printf "      %% keyctl add derived nas '%s' @s        (as %s)\n" "$2" "$(id -un "$1")"
	# shellcheck disable=SC2016
	key=$(as_user "$1" sh -c 'keyctl pipe $(keyctl add derived nas "$1" @s) | od -An -v -tx1 | tr -d " \n"' sh "$2")
	say "        the key: ${key:0:16}..."
}
root_check() { sed -n 's/^root check: //p' /sys/module/derived_keys/parameters/status; }
load() {
	type_in "insmod derived-keys.ko; dmesg --notime | grep 'derived: root' | cut -d, -f1"
}

# The NAS: a disk without a header, opened by a key that no program can read. On a stock kernel,
# dm-crypt takes it from the logon twin that request_key(2) has made.
disk_key='64 path,noread,logon,kcv=%s nas-disk v1'
plug_in() {	# the disk is a file on the machine's own disk, which goes from boot to boot with it
	modprobe -a loop dm-crypt
	export DM_DISABLE_UDEV=1	# there is no udev here to make /dev/mapper/nas
	[ -e /var/disk.img ] || { head -c 32M /dev/urandom >/var/disk.img; }
	losetup /dev/loop0 /var/disk.img
	sectors=$(blockdev --getsz /dev/loop0)
}
disk_kcv() { sed -n 's/.* disk: .*kcv://p' /proc/keys; }
# open_disk REQUEST: the two commands that open the disk.
open_disk() {
	keyctl clear @s
	type_in "keyctl request2 derived disk '$1' @s"
	keyctl search @s logon derived:disk >/dev/null 2>&1 || return
	type_in "dmsetup create nas --table '0 $sectors crypt aes-xts-plain64 :64:logon:derived:disk 0 /dev/loop0 0'"
}
close_disk() {
	type_in 'umount /mnt; dmsetup remove nas'
}
# What is on the opened disk, and only if that is mounted.
diary() { mountpoint -q /mnt && cat /mnt/diary; }
show_contents() {
	type_in 'mount /dev/mapper/nas /mnt && cat /mnt/diary'
}

remember() { echo "$key" >"$notes/$1"; }
recall() { cat "$notes/$1"; }

cd "$DERIVED" || exit
plan_later
nas='64 path nas-disk v1'

case $BOOT in
1)
	title 'Machine A is switched on for the first time'
	load
	root_check >$notes/root

	step 'A key for the disk, bound to the program that asks, by its path:'
	ask keyctl "$nas"
	remember nas
	echo "$kcv" >$notes/kcv
	step 'The same program asks again:'
	ask keyctl "$nas"
	held 'the same program gets the same key' "$key" "$(recall nas)"

	step 'A copy of the same program, at another path:'
	type_in 'cp /usr/bin/keyctl /opt/keyctl'
	ask /opt/keyctl "$nas"
	differs 'a program at another path gets another key' "$key" "$(recall nas)"

	step "Bound to the program's contents instead, the two are one program:"
	ask keyctl '64 csum nas-disk v1'
	remember csum
	ask /opt/keyctl '64 csum nas-disk v1'
	held 'csum: the same contents at two paths get the same key' "$key" "$(recall csum)"

	step 'Another purpose, and another version, are other keys:'
	ask keyctl '64 path ssh-host-key v1'
	differs 'another purpose is another key' "$key" "$(recall nas)"
	ask keyctl '64 path nas-disk v2'
	differs 'another version is another key' "$key" "$(recall nas)"

	step 'Another user asks the same:'
	ask_as 1000 "$nas"
	differs 'another user gets another key' "$key" "$(recall nas)"

	step 'With noread, the kernel can use the key and no program can read it:'
	type_in "keyctl add derived secret '64 path,noread nas-disk v1' @s"
	type_in 'keyctl pipe %derived:secret; grep secret: /proc/keys'
	held 'a noread key cannot be read' "$(keyctl pipe %derived:secret 2>&1)" \
		'keyctl_read_alloc: Operation not supported'

	step 'A slip in the request is an error, not another key:'
	type_in "printf '64 path nas-disk v1\n' | keyctl padd derived nas @s"
	held 'a stray newline is refused' \
		"$(printf '64 path nas-disk v1\n' | keyctl padd derived nas @s 2>&1)" 'add_key: Invalid argument'
	title 'The NAS: a new disk is plugged in'
	plug_in
	step 'The key, and its twin of type logon, which dm-crypt of a stock kernel takes:'
	open_disk '64 path,noread,logon nas-disk v1'
	disk_kcv >$notes/disk-kcv
	type_in 'grep -E "disk" /proc/keys | cut -c37-'
	step 'Only now, and only once, a file system is made:'
	type_in 'mkfs.ext4 -q /dev/mapper/nas && mount /dev/mapper/nas /mnt'
	type_in 'echo "Dear diary" >/mnt/diary'
	held 'a new disk is opened by a key that no program has seen' "$(diary)" 'Dear diary'
	close_disk
	step 'Without the key, the disk says nothing:'
	type_in 'blkid /dev/loop0; file -s /dev/loop0'
	held 'the disk has no header and no signature' "$(blkid /dev/loop0)" ''
	title 'Machine A is switched off. Nothing was stored.'
	;;
2)
	title 'Machine A is switched on again'
	load
	held 'after a reboot, the root check value is the same' "$(root_check)" "$(cat $notes/root)"
	ask keyctl "$nas"
	held 'after a reboot, the key is the same' "$key" "$(recall nas)"
	ask keyctl '64 csum nas-disk v1'
	held 'after a reboot, the csum key is the same' "$key" "$(recall csum)"
	title 'The NAS: the disk is plugged in'
	plug_in
	step 'The check value is noted: a wrong key would be refused before anything is opened.'
	# shellcheck disable=SC2059
	open_disk "$(printf "$disk_key" "$(cat $notes/disk-kcv)")"
	show_contents
	held 'after a reboot, the disk opens and the files are there' "$(diary)" 'Dear diary'
	close_disk
	title 'Machine A is switched off'
	;;
3)
	title 'A thief puts the disk into machine B, which has a TPM of its own'
	load
	differs "another machine's root check value is another one" "$(root_check)" "$(cat $notes/root)"
	ask keyctl "$nas"
	differs 'another machine gets another key' "$key" "$(recall nas)"
	step "Whoever knows the key's check value can have a wrong key refused:"
	ask keyctl "64 path,kcv=$(cat $notes/kcv) nas-disk v1"
	held 'kcv= refuses the wrong key' "$key" refused
	step 'And the disk? With the check value that the owner noted, nothing is opened:'
	plug_in
	# shellcheck disable=SC2059
	open_disk "$(printf "$disk_key" "$(cat $notes/disk-kcv)")"
	held 'kcv= keeps a disk from being opened with a wrong key' "$(dmsetup ls)" 'No devices found'
	step 'Without it, what is opened is noise:'
	open_disk '64 path,noread,logon nas-disk v1'
	type_in 'mount /dev/mapper/nas /mnt; blkid /dev/mapper/nas'
	held 'a stolen disk is noise on another machine' "$(test -b /dev/mapper/nas && echo open; blkid /dev/mapper/nas; diary)" open
	dmsetup remove nas
	title 'Machine B is switched off'
	;;
4)
	title 'Machine A is to be thrown away: its TPM is cleared'
	load
	ask keyctl "64 path,kcv=$(cat $notes/kcv) nas-disk v1"
	held 'kcv= lets the right key pass' "$key" "$(recall nas)"
	type_in 'tpm2_clear -T device:/dev/tpmrm0 && echo cleared'
	step 'The module has kept its root secret since it was loaded:'
	ask keyctl "$nas"
	held 'after tpm2_clear, the cached root still gives the key' "$key" "$(recall nas)"
	step 'Until it is told to forget:'
	type_in 'echo 1 >/sys/module/derived_keys/parameters/forget'
	ask keyctl "$nas"
	differs 'after tpm2_clear and forget, the key is gone' "$key" "$(recall nas)"
	remember nas-after-clear
	title 'Machine A is switched off'
	;;
5)
	title 'Machine A is switched on a last time'
	load
	differs 'after tpm2_clear and a reboot, the root is another one' "$(root_check)" "$(cat $notes/root)"
	ask keyctl "$nas"
	differs 'after tpm2_clear and a reboot, the key is gone' "$key" "$(recall nas)"
	held 'the key after the clearing is there to stay' "$key" "$(recall nas-after-clear)"
	ask keyctl '64 csum nas-disk v1'
	differs 'after tpm2_clear and a reboot, the csum key is gone too' "$key" "$(recall csum)"
	step 'The disk is noise for ever, to its owner too:'
	plug_in
	open_disk '64 path,noread,logon nas-disk v1'
	type_in 'mount /dev/mapper/nas /mnt'
	held 'after the TPM was cleared, the disk is noise' "$(test -b /dev/mapper/nas && echo open; blkid /dev/mapper/nas; diary)" open
	dmsetup remove nas
	title 'What held'
	awk -F'\t' '{ printf "  %-4s %s\n", $1, $2 }' $notes/table
	;;
esac
tpm_slots_empty "nothing is left in the TPM (boot $BOOT)"
done_testing
