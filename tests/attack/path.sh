#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# path.sh: attacks on the caller's identity: rows P of the table in Documentation/threat-model.rst, and
# E1, E3, E4. Each row is tried with all gates, without the gates that close it, and by the rules of
# the RFC of 2024 (no gate at all). ":csum" after a row's name: the key is bound to the contents.
#
# P19 is not here: io_uring has no operation for keys, and other kernel threads that borrow a process's
# memory run no code of users. P20, a child that shares X's memory, is not here either: it runs X's own
# code. In the RFC the kernel had no request_key() of this type, which E3 is about; the module's
# request_key() is not a gate, so it cannot be switched off for "the rules of the RFC".
#
# vm: boot tpm=golden timeout=400
# vm: skip[6.12] P4b is for kernels with fchroot(2)
# vm: skip[debug] P4b is for kernels with fchroot(2)
# vm: skip[6.12] P13 is for kernels with binfmt_misc's flag T
# vm: skip[debug] P13 is for kernels with binfmt_misc's flag T
# vm: skip[6.12] P13b is for kernels with binfmt_misc's flag T
# vm: skip[debug] P13b is for kernels with binfmt_misc's flag T
# vm: skip[6.12] P14 is for kernels with binfmt_misc's flag L
# vm: skip[debug] P14 is for kernels with binfmt_misc's flag L

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/attack.sh"

# row | with our gates | gates that close it | without those | RFC's rules | what
table='
P1|EPERM|1 2 5|KEY|KEY|own file bound over X in a user and mount namespace
P2|EPERM|5|KEY|KEY|the same, run from outside, through /proc/PID/root
P3|EPERM|5|KEY|KEY|program in a detached mount, by descriptor
P4|EPERM|5 6|KEY|KEY|chroot(2) by root, own file at the path of X
P4:user|EPERM|1 2 5 6|KEY|KEY|the same in a user namespace
P4b|EPERM|6|another key|another key|fchroot(2) to no root directory at all
P5|EPERM|5 6|KEY|KEY|container without a user namespace, own file at the path of X
P5b|EPERM|6|KEY|KEY|the same with the /usr of the host, and another loader for X
P5b:pid|EPERM|6|KEY|KEY|the same, but in the PID namespace of the host
P5b:root|EPERM|6|KEY|KEY|the same, with the root directory of the host, and another loader for X
P6|EPERM|4 5|KEY|KEY|deleted program; the kernel prints its path as that of "y (deleted)"
P6b|EPERM|4|KEY|KEY|the same, and "y (deleted)" is another link to it
P7|KEY||KEY|KEY|directories of the attacker are exchanged (both paths belong to the attacker)
P8|another key||another key|another key|hard link to X
P9|EPERM|1 2 3 5|KEY|KEY|overlay file system over /usr/bin in a user namespace
P9:outside|EPERM|3 5|KEY|KEY|the same, run from outside
P10|EPERM|4 5|KEY|KEY|memfd with the same name as the memfd of X
P11|EPERM|1 2|KEY|KEY|PR_SET_MM_MAP in a user namespace
P11:csum|EPERM|1 2|KEY|KEY|the same
P11b|EPERM|2|KEY|KEY|PR_SET_MM_MAP by a child in a user namespace that shares the memory
P11b:csum|EPERM|2|KEY|KEY|the same
P11c|EPERM|2|KEY|KEY|the same with a descriptor of X that execve(2) has opened
P11c:csum|EPERM|2|KEY|KEY|the same
P11d|EPERM|2|KEY|KEY|the same from a binfmt_misc entry of the administrator by extension, flag O
P11d:creds|EPERM|2|KEY|KEY|the same, flag C
P11d:csum|EPERM|2|KEY|KEY|the same, flag O
P12|EPERM|2|KEY|KEY|PR_SET_MM_EXE_FILE with CAP_SYS_RESOURCE
P12:csum|EPERM|2|KEY|KEY|the same
P12b|EACCES||EACCES|EACCES|the same as P11b with a message queue, opened by mq_open(2) as if for execution
P12c|EACCES||EACCES|EACCES|the same with a terminal, opened by TIOCGPTPEER
P13|EPERM|1 2|KEY|KEY|own binfmt_misc, flag T: X is the executable, and other code runs
P13b|EPERM|2|KEY|KEY|binfmt_misc of the administrator by extension, flag T: X is the executable, and the interpreter runs
P14|EPERM|1 2|KEY|KEY|own binfmt_misc, flag L: X with another loader
P15|KEY||KEY|KEY|binfmt_misc of the administrator: the key is the interpreter'"'"'s
P16|KEY||KEY|KEY|script: the key is the interpreter'"'"'s
P17|KEY||KEY|KEY|through the loader: the key is the loader'"'"'s
P18|EPERM|1 2|KEY|KEY|own loader bound over that of X in a user namespace
P18b|EPERM|1|KEY|KEY|the same, but X is run by a binfmt_misc entry of the administrator with flag F
P21|EPERM|4 5|KEY|KEY|file without a name, by its handle
P21b|KEY||KEY|KEY|descriptor of X on XFS, opened by root by its handle as if for execution
P22|KEY||KEY|KEY|LD_PRELOAD by the same user
E1|EPERM|1 2|another key|another key|root of a user namespace, for the key of root
E3|another key||another key|another key|request_key(2), when a helper is configured that runs as root
E4|EPERM|0|held|KEY|program run by /sbin/request-key as root, on behalf of the attacker
'

binfmt_misc=/proc/sys/fs/binfmt_misc

# attack ROW: print the attacker's result, in the words of ask.h.
attack() {
	local row=${1%:csum} what='32 path'
	[ "$row" = "$1" ] || what='32 csum'
	case $row in
	P6*|P7|P8|P11d*|P13b|P18b|P21)
		rm -rf $home/run
		install -d -o 1000 -g 1000 $home/run
		cd $home/run || return ;;
	esac
	case $row in
	P1|P2)		as_attacker "$bin/mounts" "$row" "$what" "$bin/evil" ;;
	P3|P9)		as_attacker "$bin/mounts" "$row" "$what" $home/tree ;;
	P4)		chroot --userspec=1000:1000 $home/tree /usr/bin/x "$what" ;;
	P4:user)	as_attacker "$bin/mounts" P4 "$what" $home/tree ;;
	P4b)		as_attacker "$bin/mounts" P4b "$what" "$bin/evil-loader" ;;
	P5)		"$bin/container" $home/tree "$what" ;;
	P5b)		"$bin/container" -u /srv/container "$what" ;;
	P5b:pid)	"$bin/container" -p /srv/container "$what" ;;
	P5b:root)	"$bin/container" -l "$bin/evil-loader" "$what" ;;
	P6|P6b)		install -o 1000 -m 755 "$bin/names" y
			as_attacker ./y "$row" "$what" "$bin/x" ;;
	P7)		install -d -o 1000 a b
			install -o 1000 -m 755 "$bin/names" a/y
			as_attacker a/y P7 "$what" ;;
	P8)		ln /usr/bin/x x
			as_attacker ./x "$what" ;;
	P9:outside)	as_attacker "$bin/mounts" P9-outside "$what" $home/tree ;;
	P10)		as_attacker "$bin/names" P10 "$what" "$bin/evil" ;;
	P11|P11b)	as_attacker "$bin/set-exe" "$row" "$what" ;;
	P11c)		as_attacker "$bin/set-exe" P11c "$what" \
				"$bin/binfmt" O "$bin/pass-execfd" $home/binfmt "$what" ;;
	P11d)		ln -s /usr/bin/x x.opened
			as_attacker "$bin/set-exe" P11d "$what" ./x.opened ;;
	P11d:creds)	ln -s /usr/bin/x x.creds
			as_attacker "$bin/set-exe" P11d "$what" ./x.creds ;;
	P12)		setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all,+sys_resource \
				--ambient-caps=-all,+sys_resource --bounding-set=-all,+sys_resource \
				"$bin/set-exe" P12 "$what" ;;
	P12[bc])	as_attacker "$bin/set-exe" "$row" "$what" ;;
	P13b)		if [ ! -e $binfmt_misc/P13b ]; then
				echo 'evil register:EINVAL'
				return
			fi
			ln -s /usr/bin/x x.transparent
			{ script evil; echo exit; } >Evil.pm
			as_attacker env PERL5LIB=. PERL5OPT=-MEvil ./x.transparent /dev/null ;;
	P13)		as_attacker "$bin/binfmt" T "$bin/evil-loader" $home/binfmt "$what" ;;
	P14)		as_attacker "$bin/binfmt" L "$bin/evil-loader" $home/binfmt "$what" ;;
	P15)		as_attacker $home/foreign-evil ;;
	P16)		as_attacker $home/script-evil ;;
	P17)		as_attacker /lib64/ld-linux-x86-64.so.2 "$bin/evil" "$what" ;;
	P18)		as_attacker "$bin/mounts" P18 "$what" "$bin/evil-loader" ;;
	P18b)		echo DERIVED-P18b >foreign
			chmod 755 foreign
			as_attacker "$bin/mounts" P18b "$what" "$bin/evil-loader" ;;
	P21)		install -m 755 "$bin/evil" evil
			"$bin/names" P21 "$what" evil ;;
	P21b)		"$bin/set-exe" P21b "$what" /srv/xfs ;;
	P22)		as_attacker env LD_PRELOAD="$bin/evil-library" /usr/bin/x "$what" ;;
	E1)		as_attacker "$bin/mounts" E1 "$what" ;;
	E3)		as_attacker keyctl session - "$bin/evil" 'request 32 path' -3 2>/dev/null ;;
	E4)		rm -f /run/helper
			# shellcheck disable=SC2016
			as_attacker keyctl session - sh -c '
				keyctl request2 user attack:4 "32 path" @s
				id=$(keyctl search @s derived attack) || exec cat /run/helper
				sed -n "s/.* attack: .* kcv:/holds /p" /proc/keys
				exec "$1" "read $id"' sh "$bin/evil" 2>/dev/null ;;
	esac
}

# victim ROW: print the key that the attack is after, as the victim gets it without an attack.
victim() {
	rm -rf $home/run
	case $1 in
	P5*|E1|E4)	/usr/bin/x ;;
	P6|P6b)		install -D -m 755 "$bin/x" $home/run/'y (deleted)'
			as_attacker $home/run/'y (deleted)' ;;
	P7)		install -D -m 755 "$bin/x" $home/run/b/y
			as_attacker $home/run/b/y ;;
	P10)		as_attacker "$bin/names" P10 '32 path' /usr/bin/x ;;
	P15)		as_attacker $home/foreign-x ;;
	P16)		as_attacker $home/script-x ;;
	P17)		as_attacker /lib64/ld-linux-x86-64.so.2 /usr/bin/x ;;
	P21)		install -D -m 755 "$bin/x" $home/run/x
			"$bin/names" P21 '32 path' $home/run/x ;;
	P21b)		as_attacker /srv/xfs/x ;;
	E3)		echo "x $(keyctl pipe "$(keyctl add derived attack '32 path' @s)" |
				od -An -v -tx1 | tr -d ' \n')" ;;
	*:csum)		as_attacker /usr/bin/x '32 csum' ;;
	*)		as_attacker /usr/bin/x ;;
	esac
}

# Prepare what the rows need besides the programs.
prepare_rows() {
	local who
	install -D -m 755 "$bin/evil-loader" /srv/container/lib64/ld-linux-x86-64.so.2
	mkdir -p /srv/container/usr
	for who in x evil; do
		script $who >$home/script-$who
		sed '1s/.*/# foreign/' $home/script-$who >$home/foreign-$who
		chmod 755 $home/script-$who $home/foreign-$who
	done
	modprobe overlay
	modprobe binfmt_misc
	mount -t binfmt_misc binfmt_misc $binfmt_misc
	echo ':foreign:M::# foreign::/usr/bin/perl:' >$binfmt_misc/register
	echo ':P18b:M::DERIVED-P18b::/usr/bin/x:F' >$binfmt_misc/register
	# The interpreter may be any program: it is stopped before it begins.
	echo ':P11d:E::opened::/bin/busybox:O' >$binfmt_misc/register
	echo ':P11d-creds:E::creds::/bin/busybox:C' >$binfmt_misc/register
	echo ':P13b:E::transparent::/usr/bin/perl:T' >$binfmt_misc/register 2>/dev/null
	modprobe -a loop xfs
	mkdir /srv/xfs
	truncate -s 512M $home/image
	mkfs.xfs -q $home/image
	mount -o loop $home/image /srv/xfs
	install -m 755 "$bin/x" /srv/xfs/x
	install -m 755 /dev/stdin /usr/local/sbin/attack-helper <<'END'
#!/bin/sh
/usr/bin/x "$@" >/run/helper 2>&1
END
	cat >/etc/request-key.conf <<'END'
create user attack:* * /usr/local/sbin/attack-helper %c %S
create derived * * /bin/keyctl instantiate %k "32 path" %S
END
}

late_victims=(P10 P21)
key_name() {
	case $1 in
	*:csum)	echo csum ;;
	P5*|E1|E4) echo root ;;
	P6|P6b)	echo deleted ;;
	P7|P1[05-7]|P21b|E3) echo "$1" ;;
	*)	echo user ;;
	esac
}
not_here() {
	case $2,$1 in
	*fchroot:ENOSYS,*)	echo 'fchroot(2)' ;;
	*register:EINVAL,P13*)	echo "binfmt_misc's flag T" ;;
	*register:EINVAL,*)	echo "binfmt_misc's flag L" ;;
	*)	return 1 ;;
	esac
}

# __FMODE_EXEC, 040, as /proc/PID/fdinfo shows it.
fmode_exec='^flags:[[:space:]]+[0-7]*[4-7][0-7]$'

plan_later
prepare_attacks
prepare_rows
ln -s /usr/bin/x /run/early.opened
mkfifo /run/go
as_attacker "$bin/set-exe" P11d-early '32 path' /run/early.opened \
	</run/go >/run/early 2>/run/stderr-early &
early=$!
exec 9>/run/go
until [ -s /run/stderr-early ] || ! kill -0 $early; do sleep 0.05; done
ok 'the module loads' load_module
exec 9>&-
wait $early
[ ! -e $gates_off ]
tap_point $? 'this module has no parameter to switch gates off'

# shellcheck disable=SC2016
kcv=$(keyctl session - sh -c '/usr/bin/x "32 path" -3 >&2
	sed -n "s/.* attack: .* kcv://p" /proc/keys' 2>/dev/null)

with_our_gates
is 'the victims got 9 keys, all different' \
	"$(printf '%s\n' "${key[@]}" | sort -u | grep -cE '^x [0-9a-f]{64}$')" 9
key_a=$(install -D -m 755 "$bin/x" $home/run/a/y; as_attacker $home/run/a/y)
is 'P7: the race gives no keys but those of the two paths' \
	"$(attack P7 | grep -vxF -e 'evil EPERM' -e "evil ${key_a#* }" -e "evil ${key[P7]#* }" \
		-e 'evil read:EPERM' -e 'evil read:EACCES')" ''	# read: it was moved after it got its key
like 'P11b: the attack works: the kernel takes the attacker for X' \
	"$(cat /run/stderr-P11b)" '^executable: /usr/bin/x$'
unlike 'P11b: the descriptor of X was not open for execution' "$(cat /run/stderr-P11b)" "$fmode_exec"
for row in P11c P11d; do
	like "$row: the attack works, too" "$(cat /run/stderr-$row)" '^executable: /usr/bin/x$'
	unlike "$row: the descriptor, which execve(2) opened, is no longer open for execution" \
		"$(cat /run/stderr-$row)" "$fmode_exec"
done
is 'P11d with a descriptor from before the module was loaded: the attack succeeds' \
	"$(outcome "$(cat /run/early)" "${key[P11d]#* }")" KEY
for row in P12b P12c P21b; do
	like "$row: the descriptor was open for execution" "$(cat /run/stderr-$row)" "$fmode_exec"
done
unload_module

ok 'the test build loads' insmod "$DERIVED/test/derived-keys.ko"
like 'the log says that it is a test build' "$(dmesg)" 'derived: TEST BUILD'
like 'modinfo says so, too' "$(modinfo "$DERIVED/test/derived-keys.ko")" '^derived_test_build:'
# The rows of G3 are in contents.sh.
without_gates 0 1 2 4 5 6
unload_module

print_table
done_testing
