#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# filesystems.sh: a program has the same keys on every file system that it may be on, and other programs
# cannot read them.
#
# The file systems are mounted at the same place one after the other, so that "path" must give the same
# key, too. At the end, the root file system becomes an overlay over a squashfs and a disk, as on a live
# system.
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

# keys PROGRAM: print its keys, one on each line
keys() {
	local options
	for options in path csum path,csum; do
		"$1" "32 $options"
	done
}
# key_of COMMAND...: print its path key
key_of() { "$@" '32 path'; }

# same DESC: the program has its keys, and can read a key that another process of it has made.
same() {
	local id
	is "$1: the keys are the same" "$(keys $x)" "$keys"
	$x '32 path' -3 >/dev/null
	id=$(keyctl search @s derived attack)
	is "$1: another process of the program reads its key" "$($x "read $id")" "$path"
	keyctl unlink "$id" @s
}

# on DESC MOUNT-ARGUMENTS...: try the program on a new file system, and again after it was unmounted and
# mounted once more.
on() {
	local desc=$1
	shift
	mount "$@" $at || { fail "$desc: the file system is mounted"; return; }
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
		like "$file: it is mounted from a block device" "$(findmnt -n -o FSTYPE,SOURCE $at)" "^$file +/dev/loop"
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
	is 'a snapshot has a file with the same inode number' "$(stat -c %i $at/snap/x)" "$(stat -c %i $at/sub/x)"
	key=$($at/sub/x '32 path' -3)
	id=$(keyctl search @s derived attack)
	like 'the program in the subvolume has a key' "$key" '^x [0-9a-f]{64}$'
	is 'the copy of the program in the snapshot cannot read that key' "$($at/snap/x "read $id")" 'x read:EACCES'
	is 'the program itself can read it' "$($at/sub/x "read $id")" "$key"
	isnt 'path: if the whole btrfs is mounted, the path in a subvolume is longer' "$key" "$path"
	keyctl unlink "$id" @s
	umount $at
}

overlays() {
	local layers=$data/layers
	mkdir -p $layers/{upper,work,squashfs}
	mount -t overlay -o lowerdir=$data/tree,upperdir=$layers/upper,workdir=$layers/work overlay $at
	same 'overlay, program in the lower directory'
	touch $x
	ok 'overlay: the program is copied up' test -e $layers/upper/x
	same 'overlay, program in the upper directory'
	umount $at

	mount -o loop $data/squashfs $layers/squashfs
	mount -t overlay -o lowerdir=$layers/squashfs:$data/layers overlay $at
	same 'overlay over squashfs'
	umount $at $layers/squashfs
}

# An erofs in a file, without a loop device between: the server of the file may change the file.
in_files() {
	local lower=$data/layers/erofs
	mkdir $lower
	mount -t erofs $data/erofs $at
	is 'erofs: a file is mounted' "$(findmnt -n -o FSTYPE,SOURCE $at)" "erofs $data/erofs"
	klog_mark
	is 'erofs in a file: only path is served' "$(keys $x)" "$path_alone"
	like 'erofs in a file: the log says why' "$(klog)" '^derived: .*csum: nothing guarantees the contents on erofs \(G3'
	mount --move $at $lower
	mount -t overlay -o lowerdir=$lower:$data/layers overlay $at
	is 'overlay over erofs in a file: only path is served' "$(keys $x)" "$path_alone"
	umount $at $lower
}

# Other ways to the same file.
other_ways() {
	local bound

	install -m 755 "$DERIVED/bin/x" $x
	# The keys of a separate program there.
	mkdir /srv/bind
	install -m 755 "$DERIVED/bin/addkey" /srv/bind/x
	install -m 755 "$DERIVED/bin/x" /srv/bound
	bound=$(key_of /srv/bound)
	isnt 'at another path, the program has another key' "$bound" "$path"
	rm /srv/bound
	install -m 755 "$DERIVED/bin/addkey" /srv/bound
	mount --bind $x /srv/bound
	is 'a file that is bound there has the key of that path' "$(key_of /srv/bound)" "$bound"
	is 'csum: a file that is bound there has the same key' "$(/srv/bound '32 csum')" "$csum"
	is 'at its own path, the file has its old keys' "$(keys $x)" "$keys"
	umount /srv/bound

	mount --bind $at /srv/bind
	bound=$(key_of /srv/bind/x)
	like 'in a directory that is bound elsewhere, the program has a key' "$bound" '^x [0-9a-f]{64}$'
	isnt 'path: in a directory that is bound elsewhere, it is another key' "$bound" "$path"
	is 'csum: in a directory that is bound elsewhere, it is the same key' "$(/srv/bind/x '32 csum')" "$csum"
	umount /srv/bind
	install -m 755 "$DERIVED/bin/x" /srv/bind/x
	is 'path: the key is that of a separate program at the same path' "$(key_of /srv/bind/x)" "$bound"

	ln -s $x /srv/link
	ln -s $at /srv/links
	is 'through a symbolic link, the keys are those of its target' "$(keys /srv/link)" "$keys"
	is 'through a symbolic link to its directory, the keys are the same, too' "$(keys /srv/links/x)" "$keys"
	install -m 755 "$DERIVED/bin/x" /usr/bin/x
	ok '/bin is a symbolic link' test -L /bin
	like '/usr/bin/x has a key' "$(key_of /usr/bin/x)" '^x [0-9a-f]{64}$'
	is '/bin/x has the same key' "$(key_of /bin/x)" "$(key_of /usr/bin/x)"

	# In a new mount namespace.
	is 'bound over itself, the program has the same keys' "$(unshare -m sh -c "mount --bind $x $x
		$x '32 path'; $x '32 csum'; $x '32 path,csum'")" "$keys"
	is 'bound elsewhere in a mount namespace, nothing is served' "$(unshare -m sh -c "mount --bind $x /srv/bound
		/srv/bound '32 path'; /srv/bound '32 csum'")" 'x EPERM
x EPERM'
}

# looked_up DESC TIMES KEY COMMAND...: the command prints KEY, and its path is looked up TIMES
# times: once or twice to derive the key, and once, in memory, to read it.
looked_up() {
	echo >$tracing/trace
	is "$1: the key is the same" "$("${@:4}")" "$3"
	is "$1: the number of lookups" "$(grep -c ' lookup: ' $tracing/trace)" "$2"
}

# The path is looked up in memory first, which is mostly enough. If it is not, the path is looked up
# again.
access_lists() {
	local file=$data/ext4 dir=$at/own key how
	# The owner: rwx; user 1001, the group and the mask: r-x; others: nothing
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
		# Before the module, only the owner has looked into the directory, and the list does not
		# apply to the owner.
		mount -o loop "$file" $at
		# shellcheck disable=SC2086
		looked_up "an access control list that is not in memory ($how)" 3 "$key" $how "${owner[@]}" $dir/x '32 path'
		# shellcheck disable=SC2086
		looked_up "an access control list that is in memory ($how)" 2 "$key" $how "${owner[@]}" $dir/x '32 path'
		umount $at
	done
}

getattrs() { awk '$1 == "getattr" { print $2 }' $tracing/kprobe_profile; }

# The file server may be asked for each lookup. Contents on NFS are trusted only if root says so.
nfs() {
	local before id
	modprobe -a nfsd nfsv3
	mount -t nfsd nfsd /proc/fs/nfsd
	echo "$data/tree 127.0.0.1(ro,fsid=0,no_subtree_check)" >/etc/exports
	mkdir -p /run/rpc_pipefs
	mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
	nfsdcld				# otherwise the server waits for it
	rpcbind
	exportfs -a
	rpc.mountd
	rpc.nfsd -N 4 1
	# With NFS version 4, the server may delegate the file, and is then not asked.
	ok 'nfs: the file system is mounted' mount -t nfs -o ro,vers=3,nolock,noac "127.0.0.1:$data/tree" $at
	looked_up nfs 3 "$path" $x '32 path'
	looked_up 'nfs, from a new mount namespace' 3 "$path" unshare -m $x '32 path'
	looked_up 'nfs, and the program itself enters a new mount namespace' 3 "$path" $x -m '32 path'
	is 'nfs: only path is served' "$(keys $x)" "$path_alone"
	unload_module
	ok 'csum_fs= accepts nfs' load_module csum_fs=cifs,nfs
	same 'nfs, with csum_fs='
	# stat(2) could block: the key's lock is held while the key is read, and the lock of the key
	# types while it is derived.
	echo 'p:getattr nfs:nfs_getattr' >>$tracing/kprobe_events
	echo 1 >$tracing/events/kprobes/getattr/enable
	before=$(getattrs)
	$x '32 path' -3 >/dev/null
	id=$(keyctl search @s derived attack)
	is 'nfs: a key is read' "$($x "read $id")" "$path"
	keyctl unlink "$id" @s
	is 'nfs: the file system was not asked for stat(2)' "$(getattrs)" "$before"
	stat $x >/dev/null
	isnt 'nfs: stat(1) does ask it' "$(getattrs)" "$before"
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
	same 'live, program on the squashfs'
	is 'live, program on the disk below: the keys are the same' "$(keys /usr/bin/x)" "$usr_x"
	touch $x
	ok 'live: the program is copied up' test -e /disk/live/memory/upper$x
	same 'live, program in memory'
	# As systemd does it for ProtectSystem= and similar settings.
	is 'live, from a mount namespace like that of a hardened service: the key is the same' "$(unshare -m sh -c "mount --rbind / /mnt
		cd /mnt && pivot_root . . && umount -l . && mount -o remount,bind,ro /
		touch $x 2>/dev/null || $x '32 path'")" "$path"
	is 'live, with the disk below as root directory: nothing is served' "$(chroot /disk /usr/bin/x '32 path')" 'x EPERM'
}

# The plain case comes first: all others are compared with it.
mkdir -p $at $data/tree
install -m 755 "$DERIVED/bin/x" $x
cp $x $data/tree
keys=$(keys $x)
path=$(head -n 1 <<<"$keys")
csum=$(sed -n 2p <<<"$keys")
path_alone=$path$'\nx EPERM\nx EPERM'
is 'in a directory of the root file system, the program has three keys' \
	"$(sort -u <<<"$keys" | grep -cE '^x [0-9a-f]{64}$')" 3
rm $x		# so that a mount that failed is noticed

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
