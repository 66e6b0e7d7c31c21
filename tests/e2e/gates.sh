#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# gates.sh: a user who may not read the kernel log can find the gate that refuses a key with EPERM,
# by the questions in "EPERM without the log" in derived.rst.
#
# Each question is asked without privileges, in a place where the key is refused and in a place where it
# is served; in the second boot, the places are services.
#
# vm: boot tpm=golden timeout=300
# vm: boot tpm=golden init=systemd timeout=400
# vm: long[7.3] users see the same there

. "$DERIVED/tests/lib/lib.sh"

plan_later
modprobe -a tpm_crb tpm_tis	# systemd alone loads no driver
ok 'the module loads' load_module
bin=$DERIVED/bin
home=/home/user/gates
install -d -o 1000 -g 1000 $home
cd $home || bail_out "there is no $home"

# Run a command without privileges. It has root's root directory and namespaces, unless a command before
# it changes them.
user=(setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all)
all_ids='^ *0 +0 +4294967295$'
init_user='user:[4026531837]'
init_pid='pid:[4026531836]'

# The questions of the manual. Their argument is a process id, "self", or a file.
user_ids() { echo "cat /proc/$1/uid_map"; }
user_namespace() { echo "readlink /proc/$1/ns/user"; }
pid_namespace() { echo "readlink /proc/$1/ns/pid"; }
root_directory() { echo "stat -L -c %d:%i /proc/$1/root"; }
executable() { echo "readlink /proc/$1/exe"; }
same_file() { echo "stat -L -c %d:%i /proc/$1/exe $2"; }
file_system() { echo "findmnt -N 1 -n -o FSTYPE,OPTIONS -T $1"; }

# asks COMMAND... -- QUESTION: print what a user sees in the place that COMMAND... leads to.
asks() {
	local place=()
	while [ "$1" != -- ]; do place+=("$1"); shift; done
	"${place[@]}" sh -c "$2" 2>&1
}
# key COMMAND...: print the result of a request in the place that COMMAND... leads to. Each call enters
# the place anew.
key() { "$@" "$bin/addkey" derived gates '32 path' @p 2>&1; }
served() { like "$1: a key" "$(key "${@:2}")" '^[0-9]+$'; }
refused() { is "$1: EPERM" "$(key "${@:2}")" EPERM; }

echo 1 >/proc/sys/kernel/dmesg_restrict
fails 'a user cannot read the log' "${user[@]}" dmesg
ok 'root can read the log' dmesg

if [ "$BOOT" = 2 ]; then
	# shellcheck disable=SC2016
	key='id=$(keyctl add derived test "32 path" @s) && keyctl pipe $id | sha256sum'

	like 'in a service with User=, a key is made' "$(service User=user -- sh -c "$key")" '^[0-9a-f]{64} '
	is 'in a service with User=, the user namespace is the initial one' \
		"$(service User=user -- readlink /proc/self/ns/user)" 'user:[4026531837]'
	like 'in a service with User=, all user ids are there' "$(service User=user -- cat /proc/self/uid_map)" '^ *0 +0 +4294967295$'
	is 'in a service with User=, the PID namespace is the initial one' \
		"$(service User=user -- readlink /proc/self/ns/pid)" 'pid:[4026531836]'
	root=$("${user[@]}" stat -L -c %d:%i /)
	is "in a service with User=, the root directory is the system's" \
		"$(service User=user -- stat -L -c %d:%i /proc/self/root)" "$root"
	is 'in a service with User=, no seccomp filter forbids keys' "$(service User=user -- sh -c \
		'keyctl add user test x @p >/dev/null && echo a key')" 'a key'
	like 'a service with User= and PrivateUsers= is refused' "$(service User=user PrivateUsers=yes -- sh -c "$key")" 'Operation not permitted'
	is 'a key of another type is made there' "$(service User=user PrivateUsers=yes -- sh -c \
		'keyctl add user test x @p >/dev/null && echo a key')" 'a key'
	other=$(service User=user PrivateUsers=yes -- readlink /proc/self/ns/user)
	like 'PrivateUsers= shows as a user namespace' "$other" '^user:\[[0-9]+\]$'
	isnt 'PrivateUsers= shows: that is not the initial user namespace' "$other" 'user:[4026531837]'
	systemd-run -q --unit=derived-shown -p User=user -p PrivateUsers=yes sleep 1000
	is 'systemctl show shows PrivateUsers= to an ordinary user' "$("${user[@]}" systemctl show -p PrivateUsers derived-shown.service)" 'PrivateUsers=yes'
	pid=$(systemctl show -p MainPID --value derived-shown.service)
	ids=$("${user[@]}" cat "/proc/$pid/uid_map")
	like 'PrivateUsers= shows from outside: only some user ids are there' "$ids" '^ *1000 +1000 +1$'
	unlike 'PrivateUsers= shows from outside: other user ids are missing' "$ids" '^ *0 +0 +4294967295$'
	is 'PrivateUsers= from outside: the namespace is not shown' "$("${user[@]}" readlink "/proc/$pid/ns/user"; echo end)" end
	systemctl stop derived-shown.service
	other=$(service User=user PrivatePIDs=yes -- readlink /proc/self/ns/pid)
	like 'PrivatePIDs= shows as a PID namespace' "$other" '^pid:\[[0-9]+\]$'
	isnt 'PrivatePIDs= shows: that is not the initial PID namespace' "$other" 'pid:[4026531836]'
	other=$(service User=user TemporaryFileSystem=/ 'BindReadOnlyPaths=/usr /etc /bin /lib /lib64' \
		MountAPIVFS=yes -- stat -L -c %d:%i /proc/self/root)
	like 'TemporaryFileSystem=/ shows as a root directory' "$other" '^[0-9]+:[0-9]+$'
	isnt "TemporaryFileSystem=/ shows: that is not the system's root directory" "$other" "$root"

	# In a user's own units, every setting that changes mounts makes a user namespace.
	plain_user=("${user[@]}" env XDG_RUNTIME_DIR=/run/user/1000)
	install -d -o 1000 -g 1000 -m 700 /run/user/1000
	printf '#!/bin/sh\ncat /proc/self/uid_map\n%s\n' "$key" >/usr/local/bin/ids-and-key
	chmod 755 /usr/local/bin/ids-and-key
	service_of() {
		cat >"/etc/systemd/user/derived-${1%%=*}.service" <<END
[Service]
Type=oneshot
$1
StandardOutput=file:/run/user/1000/${1%%=*}
StandardError=inherit
ExecStart=/usr/local/bin/ids-and-key
END
	}
	for setting in NoNewPrivileges=yes ProtectSystem=full PrivateTmp=yes ProtectKernelTunables=yes; do
		service_of $setting
	done
	systemd-run -q --unit=derived-user -p User=user -p Delegate=yes -E XDG_RUNTIME_DIR=/run/user/1000 \
		/usr/lib/systemd/systemd --user
	is "a user's service manager runs" "$(until_is running "${plain_user[@]}" systemctl --user is-system-running)" running
	for setting in NoNewPrivileges ProtectSystem PrivateTmp ProtectKernelTunables; do
		"${plain_user[@]}" systemctl --user start derived-$setting 2>/dev/null
		said=$(cat /run/user/1000/$setting)
		if [ $setting = NoNewPrivileges ]; then
			like "a user's unit has all user ids" "$said" '^ *0 +0 +4294967295$'
			like "a user's unit gets a key" "$said" '^[0-9a-f]{64} '
		else
			like "a user's unit with $setting= has one user id" "$said" '^ *1000 +1000 +1$'
			like "a user's unit with $setting= gets no key" "$said" 'Operation not permitted'
		fi
	done
	systemctl stop derived-user.service
	filter=(User=user 'SystemCallFilter=~@keyring' SystemCallErrorNumber=EPERM)
	like 'a seccomp filter refuses with the same errno' "$(service "${filter[@]}" -- sh -c "$key")" 'Operation not permitted'
	like 'a seccomp filter refuses keys of other types, too' "$(service "${filter[@]}" -- keyctl add user test x @p)" 'Operation not permitted'
	tpm_slots_empty 'nothing is left in the TPM'
	done_testing
	exit
fi

# Where no gate refuses, each question has the answer that is not in the list.
served 'no gate refuses' "${user[@]}"
like 'no gate refuses: all user ids are there' "$(asks "${user[@]}" -- "$(user_ids self)")" "$all_ids"
is 'no gate refuses: the user namespace is the initial one' "$(asks "${user[@]}" -- "$(user_namespace self)")" "$init_user"
is 'no gate refuses: the PID namespace is the initial one' "$(asks "${user[@]}" -- "$(pid_namespace self)")" "$init_pid"
root=$(asks "${user[@]}" -- 'stat -L -c %d:%i /')
like 'no gate refuses: the root directory has numbers' "$root" '^[0-9]+:[0-9]+$'
is 'no gate refuses: the process has that root directory' "$(asks "${user[@]}" -- "$(root_directory self)")" "$root"
like 'no gate refuses: the executable is a path' "$(asks "${user[@]}" -- "$(executable self)")" '^/usr/bin/readlink$'
like 'no gate refuses: the file system is ext4' "$(asks "${user[@]}" -- "$(file_system "$bin/addkey")")" '^ext4 '
unlike 'no gate refuses: the file system is not FUSE, nosuid or noexec' \
	"$(asks "${user[@]}" -- "$(file_system "$bin/addkey")")" 'fuse|nosuid|noexec'
is 'no gate refuses: the path leads to the executable' \
	"$(asks "${user[@]}" -- "$(same_file self /usr/bin/stat)" | sort -u | grep -c '^[0-9]*:[0-9]*$')" 1

# G1
there=("${user[@]}" unshare -U)
refused 'in a user namespace' "${there[@]}"
is 'in a user namespace there are no user ids' "$(asks "${there[@]}" -- "$(user_ids self); echo end")" end
unlike 'in a user namespace with a mapping there is one user id' "$(asks "${there[@]}" -r -- "$(user_ids self)")" "$all_ids"
like 'in a user namespace, the namespace shows' "$(asks "${there[@]}" -- "$(user_namespace self)")" '^user:\[[0-9]+\]$'
isnt 'in a user namespace, it is not the initial one' "$(asks "${there[@]}" -- "$(user_namespace self)")" "$init_user"
"${there[@]}" sleep 1000 &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.1; done
like 'the user namespace shows from outside' "$(asks "${user[@]}" -- "$(user_namespace $!)")" '^user:\[[0-9]+\]$'
isnt 'from outside, it is not the initial user namespace' "$(asks "${user[@]}" -- "$(user_namespace $!)")" "$init_user"
is 'from outside, there are no user ids' "$(asks "${user[@]}" -- "$(user_ids $!); echo end")" end
kill $!
# A user namespace that another user has made, like that of a service, shows less.
unshare -U --map-root-user --keep-caps setpriv --bounding-set=-all --inh-caps=-all sleep 1000 &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.1; done
like "another user's user namespace does not show" "$(asks "${user[@]}" -- "$(user_namespace $!); echo end")" '^end$'
like "another user's user namespace: the user ids do show" "$(asks "${user[@]}" -- "$(user_ids $!)")" '^ *0 +0 +1$'
kill $!

# G6
there=(unshare -p --fork --mount-proc "${user[@]}")
refused 'in a PID namespace' "${there[@]}"
is 'in a PID namespace, the user namespace is the initial one' "$(asks "${there[@]}" -- "$(user_namespace self)")" "$init_user"
like 'in a PID namespace, the namespace shows' "$(asks "${there[@]}" -- "$(pid_namespace self)")" '^pid:\[[0-9]+\]$'
isnt 'in a PID namespace, it is not the initial one' "$(asks "${there[@]}" -- "$(pid_namespace self)")" "$init_pid"

mkdir /srv/root
for dir in usr etc proc dev derived bin lib lib64; do
	if [ -L /$dir ]; then
		cp -a /$dir /srv/root/
	else
		mkdir /srv/root/$dir
		mount --bind /$dir /srv/root/$dir
	fi
done
mkdir /srv/root/tmp
# setpriv --init-groups would look up the user; chroot(1) does not.
there=(chroot --userspec=1000:1000 --groups= /srv/root)
refused 'with another root directory' "${there[@]}"
is 'with another root directory, the user namespace is the initial one' \
	"$(asks "${there[@]}" -- "$(user_namespace self)")" "$init_user"
is 'with another root directory, the PID namespace is the initial one' \
	"$(asks "${there[@]}" -- "$(pid_namespace self)")" "$init_pid"
like 'the root directory shows' "$(asks "${there[@]}" -- "$(root_directory self)")" '^[0-9]+:[0-9]+$'
isnt "it is not the system's root directory" "$(asks "${there[@]}" -- "$(root_directory self)")" "$root"
"${there[@]}" sleep 1000 &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.1; done
like 'the root directory shows from outside' "$(asks "${user[@]}" -- "$(root_directory $!)")" '^[0-9]+:[0-9]+$'
isnt "from outside, it is not the system's root directory" "$(asks "${user[@]}" -- "$(root_directory $!)")" "$root"
kill $!

# G4
cp "$bin/disguise" $home/deleted
chown 1000:1000 $home/deleted
is 'a deleted executable: EPERM, and its name shows it' "$("${user[@]}" $home/deleted deleted)" \
	"$home/deleted (deleted)"$'\n''EPERM 1'
cp "$bin/disguise" $home/replaced
chown 1000:1000 $home/replaced
is 'a replaced executable: EPERM' "$("${user[@]}" $home/replaced replaced | tail -n 1)" 'EPERM 1'
is 'an executable in a memfd: EPERM, and its name shows it' "$("${user[@]}" "$bin/disguise" memfd)" \
	'/memfd:disguise (deleted)'$'\n''EPERM 1'
cp /usr/bin/sleep $home/sleep
"${user[@]}" $home/sleep 1000 &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.1; done
is 'an executable that exists has its name' "$(asks "${user[@]}" -- "$(executable $!)")" "$home/sleep"
cp /usr/bin/sleep $home/new
mv $home/new $home/sleep
is 'an executable whose name another file has taken is called deleted' "$(asks "${user[@]}" -- "$(executable $!)")" "$home/sleep (deleted)"
kill $!

# G3, G5
mkdir /srv/{nosuid,noexec,fuse,plain}
mount -t tmpfs -o mode=755 tmpfs /srv/plain
mount -t tmpfs -o mode=755,nosuid tmpfs /srv/nosuid
for dir in plain nosuid; do cp "$bin/addkey" /srv/$dir; done
at() { "${user[@]}" "$1" derived gates '32 path' @p 2>&1; }
like 'on another file system without nosuid: a key' "$(at /srv/plain/addkey)" '^[0-9]+$'
unlike 'findmnt shows no nosuid, noexec or FUSE there' "$(asks "${user[@]}" -- "$(file_system /srv/plain/addkey)")" 'fuse|nosuid|noexec'
is 'on a nosuid mount: EPERM' "$(at /srv/nosuid/addkey)" EPERM
like 'findmnt shows nosuid' "$(asks "${user[@]}" -- "$(file_system /srv/nosuid/addkey)")" '^tmpfs .*\bnosuid\b'
# If a service has a nosuid mount in its own mount namespace only, the first process's mount counts.
there=(unshare -m sh -c 'mount -o remount,bind,nosuid /srv/plain && exec "$@"' sh "${user[@]}")
like 'nosuid in a mount namespace only: a key' "$("${there[@]}" /srv/plain/addkey derived gates '32 path' @p)" '^[0-9]+$'
like 'findmnt without -N 1 shows that nosuid' "$(asks "${there[@]}" -- 'findmnt -n -o OPTIONS -T /srv/plain/addkey')" '\bnosuid\b'
unlike 'findmnt with -N 1 does not show it' "$(asks "${there[@]}" -- "$(file_system /srv/plain/addkey)")" nosuid
mount -t tmpfs -o mode=755,noexec tmpfs /srv/noexec
cp "$bin/addkey" /srv/noexec
like 'findmnt shows noexec' "$(asks "${user[@]}" -- "$(file_system /srv/noexec/addkey)")" '^tmpfs .*\bnoexec\b'

modprobe fuse
"$bin/two-faces" /srv/fuse suid,allow_other "$bin/addkey" "$bin/addkey" >/dev/null &
daemon=$!
until mountpoint -q /srv/fuse || ! kill -0 $daemon; do sleep 0.1; done
is 'on FUSE: EPERM' "$(at /srv/fuse/x)" EPERM
like 'findmnt shows FUSE' "$(asks "${user[@]}" -- "$(file_system /srv/fuse/x)")" '^fuse'
umount -l /srv/fuse
kill $daemon

there=(unshare -m sh -c 'mount --bind /srv/plain /srv/noexec && exec "$@"' sh "${user[@]}")
is 'on a mount in a mount namespace only: EPERM' "$("${there[@]}" /srv/noexec/addkey derived gates '32 path' @p)" EPERM
is 'its path leads to another file outside' \
	"$(echo "$(asks "${there[@]}" -- 'stat -L -c %d:%i /srv/noexec/addkey')"$'\n'"$(asks "${user[@]}" -- 'stat -L -c %d:%i /srv/noexec/addkey')" |
	sort -u | grep -c '^[0-9]*:[0-9]*$')" 2
cp /usr/bin/sleep /srv/plain
"${there[@]}" /srv/noexec/sleep 1000 &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.1; done
cp /usr/bin/sleep /srv/noexec
is 'from outside, the executable has its name' "$(asks "${user[@]}" -- "$(executable $!)")" /srv/noexec/sleep
is 'from outside, the executable and the file at its path are different files' \
	"$(asks "${user[@]}" -- "$(same_file $! /srv/noexec/sleep)" | sort -u | grep -c '^[0-9]*:[0-9]*$')" 2
kill $!

# If a key of another type is refused, too, the reason is not a gate: the second boot has such a place.
like 'a key of another type is made' "$("${user[@]}" keyctl add user gates x @p)" '^[0-9]+$'
tpm_slots_empty 'nothing is left in the TPM'
done_testing
