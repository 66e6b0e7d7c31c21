#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# derived-disk.sh: the tool for disks, tools/derived-disk, over several boots: create, open, close, status, check,
# move, and each refusal with its exit status.
#
# vm: disk 96M
# vm: boot tpm=golden timeout=300
# vm: boot tpm=golden timeout=300
# vm: boot tpm=golden timeout=300
# vm: boot tpm=other

. "$DERIVED/tests/lib/lib.sh"

plan_later
install_module
install -m 755 "$DERIVED/tools/derived-disk" /usr/sbin/derived-disk
export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
mount -t tmpfs tmpfs /run
table=/etc/derivedtab
spare=/var/spare.img

# exits STATUS DESC COMMAND...: the command ends with this status. Its output is in $out.
exits() {
	local want=$1 desc=$2 status=0
	shift 2
	out=$("$@" 2>&1 </dev/null) || status=$?
	[ $status -eq "$want" ]
	tap_point $? "$desc" "status: $status, want: $want
$*
$out"
}
dd_() { dd "$@" 2>/dev/null; }
loop() {
	modprobe loop max_part=8
	losetup -f --show "$1"
}
# scsi_disk: wait for the disk of scsi_debug, and print its name.
scsi_disk() {
	for _ in $(seq 80); do
		for disk in /sys/block/sd*; do
			if [ -b "/dev/${disk##*/}" ]; then
				echo "${disk##*/}"
				return
			fi
		done
		sleep 0.25
	done
}
# partition DEVICE: write an MBR with one partition, of 10 MiB, and show it to the kernel.
partition() {
	{
		head -c 446 /dev/zero
		printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\120\0\0'
		head -c 48 /dev/zero
		printf '\125\252'
	} | dd_ of="$1" conv=notrunc
	partx -u "$1"
}
keep_table() { cp $table /var/derivedtab.kept; }
restore_table() { cp /var/derivedtab.kept $table; }
nothing_open() { is "$1" "$(dmsetup ls)" 'No devices found'; }

case $BOOT in
1)
	# Before there is a table.
	exits 2 'without a command, it says how it is used' derived-disk
	like 'that is the usage' "$out" '^usage: derived-disk create'
	exits 0 '--help succeeds' derived-disk --help
	exits 0 'create --help succeeds' derived-disk create --help
	like 'it is the usage, too' "$out" '^usage: derived-disk create'
	exits 0 '--version succeeds' derived-disk --version
	exits 2 'an unknown command is refused' derived-disk frobnicate
	exits 1 'an ordinary user is refused' as_user 1000 derived-disk open nas
	like 'with the reason' "$out" 'needs root: the key belongs to uid 0'
	exits 4 'without a table, no disk is known' derived-disk open nas
	like 'with the reason' "$out" "there is no $table"
	exits 0 'list of nothing' derived-disk list

	# create refuses what it must.
	exits 2 'create needs a device' derived-disk create nas
	exits 2 'create refuses a bad name' derived-disk create 'na/s' /dev/vdc
	exits 2 'create refuses an unknown option' derived-disk create nas /dev/vdc --frobnicate
	exits 2 'create refuses a bad value' derived-disk create nas /dev/vdc --sector-size 1000
	exits 2 'create refuses a comma' derived-disk create nas /dev/vdc --purpose a,b
	exits 5 'create refuses a device that is not there' derived-disk create nas /dev/nothing
	exits 2 'create refuses a file' derived-disk create nas /etc/passwd
	exits 1 'create refuses an unknown kind of file system' derived-disk create nas /dev/vdc --mkfs nothing --yes
	exits 12 'without a terminal, and without --yes, create asks nothing and does nothing' derived-disk create nas /dev/vdc --mkfs ext4
	like 'it says what would be lost' "$out" 'EVERYTHING ON IT WILL BE LOST'
	nothing_open 'nothing is open'
	fails 'there is no table' test -e $table
	is 'the disk is as it was' "$(head -c 1048576 /dev/vdc | tr -d '\0' | wc -c)" 0
	mkfs.ext4 -q -L mine /dev/vdc
	exits 10 'a disk with a file system is refused' derived-disk create nas /dev/vdc --mkfs ext4 --yes
	like 'with the kind and the label' "$out" 'carries something: ext4 mine'
	mount /dev/vdc /mnt
	exits 10 'a mounted disk is refused, also with --force' derived-disk create nas /dev/vdc --mkfs ext4 --yes --force
	like 'with the place' "$out" '/dev/vdc is mounted on /mnt'
	umount /mnt
	mkswap /dev/vdc >/dev/null 2>&1
	swapon /dev/vdc
	exits 10 'swap space is refused' derived-disk create nas /dev/vdc --yes --force
	like 'with the reason' "$out" 'is swap space in use'
	swapoff /dev/vdc
	dmsetup create holder --table "0 2048 linear /dev/vdc 0"
	exits 10 'a disk in use by a mapping is refused' derived-disk create nas /dev/vdc --yes --force
	like 'with the name of the mapping' "$out" 'in use by holder'
	dmsetup remove holder
	wipefs -aq /dev/vdc
	partition /dev/vdc
	exits 10 'a partition table is refused' derived-disk create nas /dev/vdc --yes
	like 'with its kind' "$out" 'carries something: dos'
	mkfs.ext4 -q /dev/vdc1
	mount /dev/vdc1 /mnt
	exits 10 'a disk with a mounted partition is refused' derived-disk create nas /dev/vdc --yes --force
	like 'with the partition' "$out" '/dev/vdc1 is mounted on /mnt'
	umount /mnt

	# A terminal: the answer decides.
	answer() { printf '%s\n' "$1" | script -qec "$2" /dev/null; }
	out=$(answer yes 'derived-disk create nas /dev/vdc --force'; echo "status $?")
	like 'any answer but YES changes nothing' "$out" 'nothing was changed'
	like 'and the exit status says so' "$out" '^status 12'
	like 'the partition is still there' "$(blkid -p -o value -s PTTYPE /dev/vdc)" dos

	exits 0 'create --force destroys what was there' derived-disk create nas /dev/vdc --mkfs ext4 --zero --yes --force
	note "$out"
	like 'it shows progress' "$out" 'writing zeros: 100 %'
	like 'it says how to mount the disk' "$out" '/etc/fstab'
	like 'it says what to keep' "$out" "derived-keys-recover escrow .*'64 path,noread,logon nas v1'"
	like 'the table has the line' "$(cat $table)" '^nas /dev/vdc kcv=[0-9a-f]{16},fsuuid=[0-9a-f-]{36}$'
	is 'the outside has no signature' "$(wipefs -n /dev/vdc)$(lsblk -n -o FSTYPE /dev/vdc | head -n 1)" ''
	like 'the outside is noise' "$(head -c 4194304 /dev/vdc | ent | grep Entropy)" '7\.99'
	like 'cryptsetup knows the mapping' "$(cryptsetup status nas)" 'type: *PLAIN'
	mount /dev/mapper/nas /mnt
	echo 'what is on the disk' >/mnt/file
	kcv=$(sed -n 's/^nas .*kcv=\([0-9a-f]*\).*/\1/p' $table)
	like 'the way out that it names computes this very key' \
		"$("$DERIVED/tools/derived-keys-recover" key --uid 0 --program /usr/bin/keyctl '64 path,noread,logon nas v1' 2>&1)" \
		"${kcv:-there is no kcv in the table}"
	exits 0 'status of an open disk' derived-disk status nas
	like 'the key is as expected' "$out" 'kcv [0-9a-f]{16}, as expected'
	like 'the file system is as expected' "$out" 'ext4, UUID as expected'
	like 'it is mounted' "$out" 'mounted +/mnt'
	exits 10 'close refuses a mounted disk' derived-disk close nas
	like 'with the place' "$out" 'mounted on /mnt'
	umount /mnt
	exits 0 'close' derived-disk close nas
	exits 0 'close again' derived-disk close nas
	nothing_open 'nothing is open'
	exits 0 'status of a closed disk' derived-disk status nas
	like 'it is closed' "$out" '^nas: closed'
	is 'no key is left' "$(grep -cE ' (derived|logon) ' /proc/keys)" 0

	exits 3 'create refuses a name of the table' derived-disk create nas /dev/vdc --yes --force
	exits 10 'create refuses a disk of the table' derived-disk create other /dev/vdc --yes --force
	like 'with the name of the disk' "$out" 'is the disk "nas"'
	keep_table
	rm $table
	exits 10 'without the table, create finds the file system by its key' derived-disk create nas /dev/vdc --mkfs ext4 --yes
	like 'and says which line is missing' "$out" "$(tail -n 1 /var/derivedtab.kept)"
	restore_table
	exits 0 'the disk is unharmed' derived-disk open nas
	echo "$(tail -n 1 $table | sed 's/^nas/again/'),purpose=nas" >>$table
	sed -i 's/^again.*/&,shared-key/' $table
	exits 10 'a second mapping of an open disk is refused' derived-disk open again
	like 'with the first one' "$out" 'is in use by nas'
	exits 10 'create, too' derived-disk create third /dev/vdc --yes --force
	restore_table
	exits 0 'open again' derived-disk open nas
	like 'it says so' "$out" 'nas is open'
	exits 0 'close' derived-disk close nas
	;;
2)
	exits 0 'after a reboot, the disk is opened' derived-disk open nas
	mount /dev/mapper/nas /mnt
	is 'the file is there' "$(cat /mnt/file)" 'what is on the disk'
	umount /mnt
	exits 0 'close' derived-disk close nas
	like 'the file system is clean' "$(derived-disk open nas; fsck.ext4 -n /dev/mapper/nas 2>&1)" 'clean'
	derived-disk close nas

	# The table.
	keep_table
	good=$(tail -n 1 $table)
	while IFS='|' read -r line want <&4; do
		printf '%s\n' '# a comment' '' "$good" "$line" >$table
		exits 3 "malformed: $line" derived-disk parse
		like "the sentence has the line's number: $want" "$out" "line 4: .*$want"
		like 'the good line is printed all the same' "$out" '^nas /dev/vdc - [0-9a-f-]{36} -$'
	done 4<<'END'
two|the device of "two" is missing
-x /dev/x|"-x" is no name
a/b /dev/x|"a/b" is no name
two dev|"dev" is no device
two UUID=1234|no header, so it has no UUID
two LABEL=x|no header
two /dev/x a b|something after the options
two /dev/x frob|unknown option "frob"
two /dev/x kcv=12|kcv= takes 16 digits
two /dev/x kcv=0123456789ABCDEF|kcv= takes 16 digits
two /dev/x size=500|size= takes
two /dev/x size=0512|size= takes
two /dev/x sector-size=8192|sector-size= takes
two /dev/x binding=uid|binding= takes
two /dev/x timeout=soon|timeout= takes
two /dev/x purpose=|has no value
two /dev/x purpose=a\tb|a backslash or a control character
two /dev/x noauto=1|unknown option
END
	exits 0 'the good disk is opened all the same' derived-disk open nas
	derived-disk close nas >/dev/null
	printf '%s\n' "two /dev/x frob" >$table
	exits 3 'a disk with a malformed line is not opened' derived-disk open two
	exits 4 'a disk that is not in the table' derived-disk open nas
	printf '%s\n' "$good" "$good" >$table
	exits 3 'one name on two lines is refused' derived-disk open nas
	like 'with both lines' "$out" 'lines 1 2'
	printf '%s\n' "$good" 'two /dev/vdd purpose=nas' >$table
	exits 3 'two disks with one key are refused' derived-disk open nas
	like 'with both names' "$out" '"nas" and "two" would have one key'
	printf '%s' "$good,shared-key" >$table
	printf '\n%s' 'two /dev/vdd purpose=nas' >>$table
	exits 0 'unless that is asked for' derived-disk open nas
	derived-disk close nas >/dev/null
	printf '%s\n' "$good" 'two /dev/x noauto,nofail,timeout=2min' 'three PARTUUID=12-34 initramfs,version=,purpose=a\040b,fsuuid=x' >$table
	is 'parse' "$(derived-disk parse | tail -n 2)" "two /dev/x noauto,nofail - 120
three /dev/disk/by-partuuid/12-34 initramfs x -"
	is 'list --names --auto' "$(derived-disk list --names --auto)" $'nas\nthree'
	is 'list --names --initramfs' "$(derived-disk list --names --initramfs)" three
	like 'list' "$(derived-disk list)" '^nas +closed +/dev/vdc$'
	restore_table

	# Each way in which a disk is not what it should be.
	sed -i 's/kcv=[0-9a-f]*/kcv=0123456789abcdef/' $table
	exits 7 'a wrong check value: not opened' derived-disk open nas
	like 'with the reason' "$out" 'another key for "nas" than the one with kcv=0123456789abcdef'
	exits 7 'status says it, too' derived-disk status nas
	restore_table
	sed -i 's/fsuuid=[0-9a-f-]*/fsuuid=11111111-2222-3333-4444-555555555555/' $table
	exits 9 'a wrong file system: not opened' derived-disk open nas
	like 'with both UUIDs' "$out" '11111111-2222.*, but [0-9a-f-]{36}'
	restore_table
	sed -i 's|/dev/vdc|/dev/nothing|; s|$|,timeout=2|' $table
	exits 5 'a disk that is not there' derived-disk open nas
	like 'with how long it was waited for' "$out" 'there is no /dev/nothing .waited for 2 s'
	nothing_open 'nothing is open'
	restore_table
	truncate -s 96M $spare
	device=$(loop $spare)
	before=$(sha256sum <$spare)
	sed -i "s|/dev/vdc|$device|" $table
	exits 9 'an empty disk in its place: not opened' derived-disk open nas
	like 'with the reason' "$out" 'wrong disk'
	partition "$device"
	exits 9 'a partitioned disk in its place: not opened' derived-disk open nas
	like 'with the kind of the table' "$out" 'has a partition table .dos'
	wipefs -aq "$device"
	partx -d "$device" 2>/dev/null
	restore_table
	ok 'the disk was not written to' test "$before" = "$(truncate -s 0 $spare; truncate -s 96M $spare; sha256sum <$spare)"

	# Without kcv= a mistake is not noticed, so it warns.
	sed -i 's/kcv=[0-9a-f]*,//' $table
	exits 0 'without kcv=, the disk is opened' derived-disk open nas
	like 'but there is a warning, with the value' "$out" 'no kcv= .*Add: kcv=[0-9a-f]{16}'
	derived-disk close nas >/dev/null
	restore_table

	# The device vanishes under the mapping (field report 1).
	modprobe sd_mod
	modprobe scsi_debug dev_size_mb=96 delay=0
	first=$(scsi_disk)
	ln -sfn "$first" /dev/pulled
	exits 0 'create on another disk' derived-disk create pulled /dev/pulled --mkfs ext4 --yes
	like 'with the name that was given' "$(tail -n 1 $table)" '^pulled /dev/(pulled|disk)'
	mount /dev/mapper/pulled /mnt
	echo 1 >/sys/block/"$first"/device/delete
	exits 11 'the disk is pulled while it is mounted: status' derived-disk status pulled
	like 'with the reason' "$out" 'OPEN, BUT DEAD'
	exits 11 'open does not say that it is open' derived-disk open pulled
	like 'it says where it is mounted' "$out" 'mounted on /mnt, but its device was pulled'
	umount -l /mnt
	for host in /sys/class/scsi_host/host*/scan; do echo '- - -' >"$host"; done
	second=$(scsi_disk)
	isnt 'it has another name now' "$second" "$first"
	ln -sfn "$second" /dev/pulled
	exits 0 'the disk is back under another name: it is opened anew' derived-disk open pulled
	like 'it says what it did' "$out" 'was closed: its device was pulled'
	is 'it can be read' "$(fsck.ext4 -p /dev/mapper/pulled >/dev/null; [ $? -le 1 ] && echo good)" good
	ln -sfn vdc /dev/pulled
	exits 9 'the name moves to another disk: not opened' derived-disk open pulled
	exits 0 'the old mapping is closed then' derived-disk close pulled
	rm -f /dev/pulled
	sed -i '/^pulled/d' $table

	# What belongs to a disk of the table.
	partition /dev/loop0
	sed "s|/dev/vdc|/dev/loop0p1|" /var/derivedtab.kept >$table
	exits 10 'the disk under a partition of the table is refused' derived-disk create third /dev/loop0 --yes --force
	sed "s|/dev/vdc|/dev/loop0|" /var/derivedtab.kept >$table
	exits 10 'a partition of a disk of the table is refused' derived-disk create third /dev/loop0p1 --yes --force
	sed "s|/dev/vdc|/dev/loop0|; s|\$|,mistake|" /var/derivedtab.kept >$table
	exits 10 'a disk of a malformed line is refused' derived-disk create third /dev/loop0 --yes --force
	partx -d /dev/loop0
	restore_table
	# A partition table, seen only with the key.
	exits 0 'a disk without a file system' derived-disk create third /dev/loop0 --yes --force
	partition /dev/mapper/third
	derived-disk close third >/dev/null
	restore_table
	exits 10 'a partition table under the key is found' derived-disk create third /dev/loop0 --yes
	like 'and named' "$out" 'carries: dos'
	dd_ if=/dev/zero of=/dev/loop0 bs=1M count=1

	# Partitions in noise (field report 16): the kernel believes in them, and blkid does not.
	dd_ if=/dev/vdc of=/var/first-sector bs=512 count=1
	partition /dev/vdc
	dd_ if=/var/first-sector of=/dev/vdc bs=512 count=1
	ok 'the kernel sees a partition' test -d /sys/block/vdc/vdc1
	exits 0 'the disk is opened all the same' derived-disk open nas
	fails 'the partition is gone' test -d /sys/block/vdc/vdc1
	derived-disk close nas >/dev/null

	;;
3)
	# check
	exits 1 'check finds that the module is not loaded' derived-disk check
	like 'check says so' "$out" '^error +module +there is none for the kernel'
	modprobe derived-keys
	exits 1 'check finds the error of this machine' derived-disk check
	note "$out"
	like 'the module' "$out" '^ok +module +loaded'
	like 'the TPM' "$out" '^ok +TPM +2\.0'
	like 'the disk' "$out" '^ok +disk nas +closed, kcv [0-9a-f]{16}, as expected'
	like 'the error: no module for this kernel in /lib/modules' "$out" '^error +kernel '
	tpm2_changeauth -Q -c owner secret
	exits 1 'with an owner password' derived-disk check
	like 'check says so' "$out" '^error +owner password'
	tpm2_changeauth -Q -c owner -p secret

	# move: interrupted, and gone on with.
	truncate -s 0 $spare
	truncate -s 96M $spare
	device=$(loop $spare)
	sed -i 's/kcv=.*//' $table
	exits 3 'move needs kcv= or fsuuid=' derived-disk move nas "$device" --version v2 --yes
	restore_table
	exits 2 'move needs a change of the key' derived-disk move nas "$device" --yes
	exits 2 'move to itself is refused' derived-disk move nas /dev/vdc --version v2 --yes
	exits 12 'move asks' derived-disk move nas "$device" --version v2
	like 'it says what would be lost' "$out" "EVERYTHING ON $device WILL BE LOST"
	derived-disk open nas >/dev/null
	exits 10 'move refuses an open disk' derived-disk move nas "$device" --version v2 --yes
	derived-disk close nas >/dev/null
	mkfs.ext4 -q "$device"
	exits 10 'move refuses a disk with data' derived-disk move nas "$device" --version v2 --yes
	wipefs -aq "$device"
	keep_table
	derived-disk move nas "$device" --version v2 --yes >/var/move.log 2>&1 &
	mover=$!
	# shellcheck disable=SC2016
	is 'a part is copied' "$(until_is yes sh -c '[ "$(tail -n 1 /var/lib/derived-disk/nas.move)" -gt 0 ] && echo yes')" yes
	kill -9 $mover
	wait $mover 2>/dev/null
	pkill -9 -f 'derived-disk --in-session' 2>/dev/null
	sleep 1
	is 'after the interruption, the table is as it was' "$(cat $table)" "$(cat /var/derivedtab.kept)"
	like 'the mappings of the killed move are left' "$(dmsetup ls)" '^derived-moved-nas'
	exits 10 'other options: refused' derived-disk move nas "$device" --version v3 --yes
	like 'with the reason' "$out" 'was interrupted, with other options'
	head -c 1M "$device" >/var/beginning
	dd_ if=/dev/zero of="$device" bs=1M count=1 conv=notrunc
	exits 10 'another disk under that name: refused' derived-disk move nas "$device" --version v2 --yes
	like 'with the reason' "$out" 'does not carry the beginning of the copy'
	dd_ if=/var/beginning of="$device" conv=notrunc
	# The table is edited in the meantime: the line is found by what it says.
	sed -i '1s/.*/# one more\n&/' $table
	exits 0 'the same again: it goes on' derived-disk move nas "$device" --version v2 --yes
	note "$out"
	like 'from where it was' "$out" 'going on at'
	like 'it was compared' "$out" 'comparing: 100 %'
	like 'the table has the new device and key' "$(cat $table)" "^nas $device version=v2,kcv=[0-9a-f]{16},fsuuid="
	nothing_open 'nothing is open'
	exits 0 'the new disk is opened' derived-disk open nas
	mount /dev/mapper/nas /mnt
	is 'the file is there' "$(cat /mnt/file)" 'what is on the disk'
	umount /mnt
	derived-disk close nas >/dev/null
	fails 'the ciphertext is another one' cmp -s -n 1048576 /dev/vdc "$device"
	restore_table
	exits 0 'the old disk is as it was' derived-disk open nas
	like 'and clean' "$(fsck.ext4 -n /dev/mapper/nas 2>&1)" clean
	derived-disk close nas >/dev/null
	;;
4)
	exits 7 'with another TPM, the disk is not opened' derived-disk open nas
	like 'with the reason' "$out" 'The TPM was cleared or is another one'
	nothing_open 'nothing is open'
	sed -i 's/kcv=[0-9a-f]*,//' $table
	exits 9 'not without kcv= either: there is no file system' derived-disk open nas
	like 'it says that the key may be wrong' "$out" 'Or the key is wrong'
	nothing_open 'nothing is open'
	;;
esac
done_testing
