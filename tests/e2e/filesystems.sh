#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# filesystems.sh: a program has the same keys on every file system that it may be on, and who is not
# the program does not read them.
#
# Each file system is mounted in turn at the same place, so that path, too, has to give the same key.
# At the end the root itself becomes an overlay over a squashfs and a disk, as on a live system.
#
# vm: boot tpm=golden timeout=240
# vm: long[6.12] each file system is made and mounted

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module
modprobe -a loop btrfs xfs squashfs erofs overlay
at=/srv/fs
x=$at/x
data=/var/filesystems

# keys PROGRAM: one on each line
keys() {
	local words
	for words in path csum path,csum; do
		"$1" "32 $words"
	done
}
# key_of WHAT...: its path key
key_of() { "$@" '32 path'; }

# same DESC: the program has its keys, and reads one that another process of it has made.
same() {
	local id
	is "$1: the keys are the same" "$(keys $x)" "$keys"
	$x '32 path' -3 >/dev/null
	id=$(keyctl search @s derived attack)
	is "$1: another process of the program reads its key" "$($x "read $id")" "$path"
	keyctl unlink "$id" @s
}

# on DESC MOUNT-ARGUMENTS...: the program is put on a new file system, which is then mounted again.
on() {
	local desc=$1
	shift
	mount "$@" $at || { fail "$desc: it is mounted"; return; }
	install -m 755 "$DERIVED/bin/x" $x
	same "$desc"
	umount $at
	if [ -e "${!#}" ]; then
		mount "$@" $at
		is "$desc, mounted again: the keys are the same" "$(keys $x)" "$keys"
		umount $at
	fi
}

image() {
	truncate -s "$2" "$data/$1"
	echo "$data/$1"
}

in_memory() {
	on tmpfs -t tmpfs tmpfs
	on ramfs -t ramfs ramfs
}

on_disks() {
	local file
	file=$(image ext4 16M)
	mkfs.ext4 -q "$file"
	on ext4 -o loop "$file"
	mount -o loop,nosuid "$file" $at
	is 'ext4, mounted nosuid: nothing is served' "$(keys $x)" 'x EPERM
x EPERM
x EPERM'
	umount $at

	file=$(image xfs 300M)
	mkfs.xfs -q "$file"
	on xfs -o loop "$file"

	mksquashfs $data/tree $data/squashfs -quiet -no-progress -comp gzip >/dev/null
	mkfs.erofs --quiet $data/erofs $data/tree >/dev/null
	for file in squashfs erofs; do
		mount -o loop $data/$file $at
		like "$file: that is mounted, from a block device" "$(findmnt -n -o FSTYPE,SOURCE $at)" "^$file +/dev/loop"
		same $file
		umount $at
	done
}

on_btrfs() {
	local file id key subvolume
	file=$(image btrfs 128M)
	mkfs.btrfs -q "$file"
	on btrfs -o loop "$file"
	mount -o loop "$file" $at
	btrfs -q subvolume create $at/sub
	install -m 755 "$DERIVED/bin/x" $at/sub/x
	btrfs -q subvolume snapshot $at/sub $at/snap
	umount $at
	for subvolume in sub snap; do
		mount -o loop,subvol=$subvolume "$file" $at
		same "btrfs, subvolume $subvolume"
		umount $at
	done

	mount -o loop "$file" $at
	is 'a snapshot has a file of the same inode number' "$(stat -c %i $at/snap/x)" "$(stat -c %i $at/sub/x)"
	key=$($at/sub/x '32 path' -3)
	id=$(keyctl search @s derived attack)
	like 'the program has a key' "$key" '^x [0-9a-f]{64}$'
	is 'which the copy of it in the snapshot does not read' "$($at/snap/x "read $id")" 'x read:EACCES'
	is 'and the program does' "$($at/sub/x "read $id")" "$key"
	isnt 'path: in a subvolume that is not mounted for itself, the path is longer' "$key" "$path"
	keyctl unlink "$id" @s
	umount $at
}

overlays() {
	local layers=$data/layers
	mkdir -p $layers/{upper,work,squashfs}
	mount -t overlay -o lowerdir=$data/tree,upperdir=$layers/upper,workdir=$layers/work overlay $at
	same 'overlay, in the lower directory'
	touch $x
	ok 'overlay: the program is copied up' test -e $layers/upper/x
	same 'overlay, in the upper directory'
	umount $at

	mount -o loop $data/squashfs $layers/squashfs
	mount -t overlay -o lowerdir=$layers/squashfs:$data/layers overlay $at
	same 'overlay over squashfs'
	umount $at $layers/squashfs
}

# An erofs in a file, without a loop device between: who serves the file may change it.
in_files() {
	local lower=$data/layers/erofs
	mkdir $lower
	mount -t erofs $data/erofs $at
	is 'erofs: what is mounted is a file' "$(findmnt -n -o FSTYPE,SOURCE $at)" "erofs $data/erofs"
	klog_mark
	is 'erofs in a file: path alone is served' "$(keys $x)" "$path_alone"
	like 'and the log says why' "$(klog)" '^derived: .*csum: nobody vouches for contents on erofs \(G3'
	mount --move $at $lower
	mount -t overlay -o lowerdir=$lower:$data/layers overlay $at
	is 'overlay over it: path alone is served' "$(keys $x)" "$path_alone"
	umount $at $lower
}

# Another way to the same file.
other_ways() {
	local bound

	install -m 755 "$DERIVED/bin/x" $x
	# What a program of its own has there.
	mkdir /srv/bind
	install -m 755 "$DERIVED/bin/addkey" /srv/bind/x
	install -m 755 "$DERIVED/bin/x" /srv/bound
	bound=$(key_of /srv/bound)
	isnt 'at another path, the program has another key' "$bound" "$path"
	rm /srv/bound
	install -m 755 "$DERIVED/bin/addkey" /srv/bound
	mount --bind $x /srv/bound
	is 'a file bound there has the key of that path' "$(key_of /srv/bound)" "$bound"
	is 'csum: and the same key' "$(/srv/bound '32 csum')" "$csum"
	is 'the file itself has the key that it had' "$(keys $x)" "$keys"
	umount /srv/bound

	mount --bind $at /srv/bind
	bound=$(key_of /srv/bind/x)
	like 'a directory bound elsewhere: there is a key' "$bound" '^x [0-9a-f]{64}$'
	isnt 'path: it is another one' "$bound" "$path"
	is 'csum: it is the same' "$(/srv/bind/x '32 csum')" "$csum"
	umount /srv/bind
	install -m 755 "$DERIVED/bin/x" /srv/bind/x
	is 'it is that of a program which is there' "$(key_of /srv/bind/x)" "$bound"

	ln -s $x /srv/link
	ln -s $at /srv/links
	is 'through a symbolic link, the keys are those of its target' "$(keys /srv/link)" "$keys"
	is 'through one on the way there, too' "$(keys /srv/links/x)" "$keys"
	install -m 755 "$DERIVED/bin/x" /usr/bin/x
	ok '/bin is a symbolic link' test -L /bin
	like '/usr/bin/x has a key' "$(key_of /usr/bin/x)" '^x [0-9a-f]{64}$'
	is 'which it has as /bin/x, too' "$(key_of /bin/x)" "$(key_of /usr/bin/x)"

	# In a mount namespace of its own.
	is 'bound where it was, the keys are the same' "$(unshare -m sh -c "mount --bind $x $x
		$x '32 path'; $x '32 csum'; $x '32 path,csum'")" "$keys"
	is 'bound elsewhere, nothing is served' "$(unshare -m sh -c "mount --bind $x /srv/bound
		/srv/bound '32 path'; /srv/bound '32 csum'")" 'x EPERM
x EPERM'
}

# looked_up DESC TIMES KEY COMMAND...: KEY is what it prints, and its path was looked up as often: once or
# twice to derive the key, and once, in memory, to read it.
looked_up() {
	echo >$tracing/trace
	is "$1: the key is the same" "$("${@:4}")" "$3"
	is "$1: lookups" "$(grep -c ' lookup: ' $tracing/trace)" "$2"
}

# The path is looked up in memory, which mostly is enough. Otherwise it is looked up again.
access_lists() {
	local file=$data/ext4 dir=$at/own key how
	# Its owner: rwx; user 1001, the group and the mask: r-x; others: nothing
	local acl=0x0200000001000700ffffffff02000500e903000004000500ffffffff10000500ffffffff20000000ffffffff
	local owner=(setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all)

	mount -o loop "$file" $at
	mkdir $dir
	install -m 755 "$DERIVED/bin/x" $dir
	key=$("${owner[@]}" $dir/x '32 path')
	like 'there is a key to compare with' "$key" '^x [0-9a-f]{64}$'
	chown 1000:1000 $dir
	setfattr -n system.posix_acl_access -v $acl $dir
	umount $at
	for how in setsid 'unshare -m'; do
		# Nobody but its owner, for whom the list does not count, has looked into the directory
		# before the module does.
		mount -o loop "$file" $at
		# shellcheck disable=SC2086
		looked_up "an access control list that is not in memory ($how)" 3 "$key" $how "${owner[@]}" $dir/x '32 path'
		# shellcheck disable=SC2086
		looked_up "now that it is in memory ($how)" 2 "$key" $how "${owner[@]}" $dir/x '32 path'
		umount $at
	done
}

getattrs() { awk '$1 == "getattr" { print $2 }' $tracing/kprobe_profile; }

# A file server may be asked each time. Nobody vouches for contents, but for root who says so.
nfs() {
	local before id
	modprobe -a nfsd nfsv3
	mount -t nfsd nfsd /proc/fs/nfsd
	echo "$data/tree 127.0.0.1(ro,fsid=0,no_subtree_check)" >/etc/exports
	mkdir -p /run/rpc_pipefs
	mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
	nfsdcld				# else the server waits for it
	rpcbind
	exportfs -a
	rpc.mountd
	rpc.nfsd -N 4 1
	# With a file of version 4, the server may delegate what it would be asked.
	ok 'nfs: it is mounted' mount -t nfs -o ro,vers=3,nolock,noac "127.0.0.1:$data/tree" $at
	looked_up nfs 3 "$path" $x '32 path'
	looked_up 'nfs, from a mount namespace of its own' 3 "$path" unshare -m $x '32 path'
	looked_up 'nfs, and it leaves for one itself' 3 "$path" $x -m '32 path'
	is 'nfs: path alone is served' "$(keys $x)" "$path_alone"
	unload_module
	ok 'csum_fs= takes it' load_module csum_fs=cifs,nfs
	same 'nfs, with csum_fs='
	# The key's lock is held while it is read, and the lock of the key types while it is derived.
	echo 'p:getattr nfs:nfs_getattr' >>$tracing/kprobe_events
	echo 1 >$tracing/events/kprobes/getattr/enable
	before=$(getattrs)
	$x '32 path' -3 >/dev/null
	id=$(keyctl search @s derived attack)
	is 'nfs: a key is read' "$($x "read $id")" "$path"
	keyctl unlink "$id" @s
	is 'nfs: nobody asked the file system for stat(2)' "$(getattrs)" "$before"
	stat $x >/dev/null
	isnt 'nfs: where stat(1) does' "$(getattrs)" "$before"
	echo 0 >$tracing/events/kprobes/getattr/enable
	echo '-:getattr' >>$tracing/kprobe_events
	unload_module
	# shellcheck disable=SC2119
	load_module
	umount $at
	rpc.nfsd 0
}

# The root directory of every process becomes an overlay.
live() {
	local usr_x
	usr_x=$(keys /usr/bin/x)
	mkdir -p /live/{squash,memory,root} $data/image$at
	cp $data/tree/x $data/image$x
	mksquashfs $data/image $data/live -quiet -no-progress -comp gzip >/dev/null
	rm $x
	mount -o loop $data/live /live/squash
	mount -t tmpfs tmpfs /live/memory
	mkdir /live/memory/{upper,work}
	mount -t overlay -o lowerdir=/live/squash:/,upperdir=/live/memory/upper,workdir=/live/memory/work \
		overlay /live/root
	mkdir /live/root/disk
	for dir in proc sys dev run tmp derived; do
		mount --move /$dir /live/root/$dir
	done
	cd /live/root || bail_out 'there is no /live/root'
	pivot_root . disk
	cd /
	is "live: the first process's root is an overlay" "$(stat -f -c %T /proc/1/root/.)" overlayfs
	same 'live, on the squashfs'
	is 'live, on the disk below: the keys are the same' "$(keys /usr/bin/x)" "$usr_x"
	touch $x
	ok 'live: the program is copied up' test -e /disk/live/memory/upper$x
	same 'live, in memory'
	# As systemd does for ProtectSystem= and the like.
	is 'live, from a mount namespace like that of a hardened service' "$(unshare -m sh -c "mount --rbind / /mnt
		cd /mnt && pivot_root . . && umount -l . && mount -o remount,bind,ro /
		touch $x 2>/dev/null || $x '32 path'")" "$path"
	is 'live, by the path on the disk below, nothing is served' "$(chroot /disk /usr/bin/x '32 path')" 'x EPERM'
}

# The plain case first: what all others are compared with.
mkdir -p $at $data/tree
install -m 755 "$DERIVED/bin/x" $x
cp $x $data/tree
keys=$(keys $x)
path=$(head -n 1 <<<"$keys")
csum=$(sed -n 2p <<<"$keys")
path_alone=$path$'\nx EPERM\nx EPERM'
is 'in a directory of the root, three keys' "$(sort -u <<<"$keys" | grep -cE '^x [0-9a-f]{64}$')" 3
rm $x		# so that nothing is there where a mount has failed

in_memory
on_disks
on_btrfs
overlays
in_files
other_ways
tracing=/sys/kernel/debug/tracing
echo 'p:lookup vfs_path_lookup' >$tracing/kprobe_events
echo 1 >$tracing/events/kprobes/lookup/enable
access_lists
nfs
echo 0 >$tracing/events/kprobes/lookup/enable
echo >$tracing/kprobe_events
live
done_testing
