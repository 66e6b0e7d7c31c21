#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# logins.sh: the commands of the documentation, word for word, in all places where root may type them.
#
# The commands are extracted from README.md, derived.rst and derived-key.7. They open a disk after a
# login, by sudo, sudo -i, su, su -, in cron, in tmux and in services. The rows of the first table in
# "Which keyring" of derived.rst are measured and compared; its row for the initramfs is in
# initramfs.sh, and the second table is in services.sh.
#
# vm: disk 64M
# vm: boot tpm=golden init=systemd timeout=900
# vm: long[6.12] systemd starts

. "$DERIVED/tests/lib/lib.sh"

# This script changes passwords, and logs in without one.
[ "$(hostname)" = derived-vm ] || bail_out 'this is for the virtual machine'
plan_later
documented() { "$DERIVED/tests/e2e/documented" "$@"; }
jobs=/run/jobs mapping=/dev/mapper/nas
mkdir $jobs

ok 'the module loads' load_module
modprobe dm-crypt
ln -s vdc /dev/sdb		# the disk of the documentation
# The documentation needs a newer cryptsetup.
cat >/usr/sbin/cryptsetup <<'END'
#!/bin/sh
new=/opt/forky
exec $new/lib64/ld-linux-x86-64.so.2 --library-path $new/usr/lib/x86_64-linux-gnu $new/usr/sbin/cryptsetup "$@"
END
like 'there is a cryptsetup 2.8 or later' "$(cryptsetup --version)" '^cryptsetup (2\.([89]|[1-9][0-9])|[3-9])\.'

# Root, and a user who may become root.
systemctl start systemd-user-sessions.service	# otherwise users may not log in yet
ssh-keygen -q -t ed25519 -N '' -f /run/client
for home in /root /home/user; do
	mkdir -p $home/.ssh
	cp /run/client.pub $home/.ssh/authorized_keys
done
chown -R user /home/user/.ssh
echo 'user ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
echo 'root:secret' | chpasswd
systemctl start ssh.service
log_in() {	# USER COMMAND
	ssh -i /run/client -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		"$1@127.0.0.1" "$2" 2>&1
}
wait_for() {
	for _ in $(seq 300); do
		[ ! -e "$1" ] || return 0
		sleep 0.2
	done
	echo "there is no $1"
	return 1
}

# Each of these functions runs a script in one place, and prints the script's output.
after_login() { log_in root "sh $1"; }
by_sudo() { log_in user "sudo sh $1"; }
by_sudo_i() { log_in user "sudo -i sh $1"; }
by_su() { log_in user "su -c 'sh $1'" <<<secret | sed 's/^Password: //'; }
by_su_l() { log_in user "su - -c 'sh $1'" <<<secret | sed 's/^Password: //'; }
# In tmux. The script begins when $jobs/go exists.
tmux_command() {
	echo "tmux -L test new-session -d \
		'until [ -e $jobs/go ]; do sleep 0.1; done; sh $1 >$jobs/out 2>&1; touch $jobs/done'"
}
in_tmux() {
	rm -f $jobs/{go,done}
	log_in root "$(tmux_command "$1"); touch $jobs/go; until [ -e $jobs/done ]; do sleep 0.1; done"
	cat $jobs/out
}
in_tmux_afterwards() {
	rm -f $jobs/{go,done}
	log_in root "$(tmux_command "$1")"
	until_is '' pgrep -x sshd-session
	touch $jobs/go
	wait_for $jobs/done && cat $jobs/out
}
# In a crontab, with cron's own PATH. cron runs the jobs for "@reboot" when it is started.
in_cron() {
	rm -f $jobs/done /run/crond.reboot
	echo "@reboot sh $1 >$jobs/out 2>&1; touch $jobs/done" | crontab -u root -
	systemctl restart cron.service
	wait_for $jobs/done && cat $jobs/out
	crontab -u root -r
}
service() { systemd-run --wait --pipe --collect -q -p KeyringMode="$1" sh "$2" 2>&1; }
in_private_service() { service private "$1"; }
in_shared_service() { service shared "$1"; }
in_service_without() { service inherit "$1"; }

# --- the commands of the documentation

commands() { documented commands "$@"; }
first() { commands "$1" '# keyctl add derived nas' | sed -n "s/^# /$2/p"; }
shown=$(commands README.md '# keyctl add derived nas' | grep -o 'nas: .*')
like 'README.md begins with a key' "$(first README.md '')" "^keyctl add derived nas '64 path nas-disk v1' @u\$"
like 'README.md shows its check value' "$shown" '^nas: 64 path kcv:[0-9a-f]{16}$'
is 'derived.rst begins with the same key' "$(commands derived.rst '# keyctl add derived nas')" \
	"$(commands README.md '# keyctl add derived nas')"

in_readme() { grep -o "\`$1[^\`]*\`" "$DERIVED/README.md" | tr -d '`' | sort -u; }
open=$(commands README.md :logon:derived:nas)
format=$(in_readme mkfs) close=$(in_readme 'dmsetup remove') with_kcv=$(in_readme '"64 path,noread,logon,kcv=')
like 'README.md says how to open a disk' "$open" ':logon:derived:nas'
is 'README.md says how to make a file system' "$format" 'mkfs.ext4 /dev/mapper/nas'
is 'README.md says how to close the disk' "$close" 'dmsetup remove nas'
is 'README.md says how to demand the check value' "$with_kcv" '"64 path,noread,logon,kcv=... nas-disk v1"'
# The commands of the quick start are the same, as root types them.
is 'the quick start of derived.rst has the same commands' "$(commands derived.rst 'modprobe derived-keys')" "$(
	commands README.md 'sudo make install' | sed 's/^sudo //'
	in_readme 'sudo modprobe' | sed 's/^sudo //'
	echo "$open"
	in_readme 'dmesg')"
echo "$open" >$jobs/open
said=$(after_login $jobs/open)
like 'the disk opens, for the first time' "$said" ' nas: 64 path,noread,logon kcv:[0-9a-f]{16}$'
kcv=$(sed -n 's/.* nas: .*kcv://p' <<<"$said")
ok 'the file system is made' sh -c "$format"
uuid=$(blkid -p -o value -s UUID $mapping)
like 'the file system has a UUID' "$uuid" '^[0-9a-f-]{36}$'
ok 'the disk is closed' sh -c "$close"
fails 'closed, the disk shows no file system' blkid -p /dev/sdb

# --- these commands in each place

# Print the script for a place. Its output has a line "== NAME" before the output of each part.
job() {	# PLACE
	echo "exec 2>&1; echo '== table'; $DERIVED/tests/e2e/keyring-cells $1"
	echo "echo '== first'; sh $jobs/first; keyctl clear @u"
	for file in "$jobs"/open-*; do
		case $1:$file in
		# All commands from "su", where neither PATH nor @u is root's; those of README.md from
		# everywhere.
		by_su:* | *README*)
			# A key that is left in /proc/keys is printed as a line that ends in LEFT.
			# The kernel collects the keys of a session a short time after its end.
			echo "echo '== ${file##*/}'; sh $file; /usr/sbin/blkid -p -o value -s UUID $mapping"
			echo "for n in \$(seq 40); do grep -qE ' (derived:)?nas[2:]' /proc/keys || break; sleep 0.25; done"
			echo "grep -E ' (derived:)?nas[2:]' /proc/keys | sed 's/\$/ LEFT/'; /usr/sbin/dmsetup remove --retry nas"
			;;
		esac
	done
	echo "echo '== end'"
}
part() { sed -n "/^== $1\$/,/^== /{/^== /!p}" <<<"$said"; }
# opened DESCRIPTION SAID
opened() {
	like "$1: the disk opens" "$2" "^$uuid\$"
	unlike "$1: no key is left" "$2" 'LEFT$'
}

first README.md '' >$jobs/first
commands README.md :logon:derived:nas >$jobs/open-README-dmsetup
commands README.md =%logon:derived:nas >$jobs/open-README-cryptsetup
# The first is the quick start.
commands derived.rst :logon:derived:nas 2 >$jobs/open-derived.rst-which-keyring
commands derived.rst :logon:derived:nas 3 >$jobs/open-derived.rst-dmsetup
commands derived.rst =%logon:derived:nas >$jobs/open-derived.rst-cryptsetup
commands man/derived-key.7 :logon:derived:nas >$jobs/open-derived-key.7-dmsetup
commands man/derived-key.7 =%logon:derived:nas >$jobs/open-derived-key.7-cryptsetup
is 'there are seven ways to open the disk' "$(grep -l /dev/sdb $jobs/open-* | wc -l)" 7
# The eighth way, which README.md names.
install_module
install -m 755 "$DERIVED/tools/derived-disk" /usr/sbin/
echo 'nas /dev/sdb purpose=nas-disk' >/etc/derivedtab
echo '/usr/sbin/derived-disk open nas' >$jobs/open-README-derived-disk

rows=0
while read -r place label <&3; do
	job "$place" >$jobs/job
	said=$("$place" $jobs/job)
	like "$place: the job was done" "$said" '^== end$' || note "$said"
	if [ "$label" != - ]; then
		rows=$((rows + 1))
		is "the table is right: $label" "$(part table)" "$(documented row 'the script runs' "$label")"
	fi
	like "$place: the first key is the documented one" "$(part first)" " $shown\$"
	for file in "$jobs"/open-*; do
		file=${file##*/}
		! grep -q "/$file;" $jobs/job || opened "$place, $file" "$(part "$file")"
	done
done 3<<'END'
after_login after a login of root's
in_tmux in tmux, started there
in_tmux_afterwards the same, when that login has ended
by_sudo ``sudo``, after a user's login
by_sudo_i ``sudo -i``
by_su ``su``
by_su_l ``su -``
in_cron in cron
in_private_service in a systemd service (that is, ``KeyringMode=private``)
in_shared_service ``KeyringMode=shared``
in_service_without ``KeyringMode=inherit``
END
is 'the row of the initramfs is the only one that is not tried here' \
	"$rows, $(documented labels 'the script runs' | wc -l), $(documented labels 'the script runs' | tail -n 1)" \
	'11, 12, in an initramfs'

# With sudo in front.
{ first README.md 'sudo '; sed '1s/^/sudo /' <<<"$open"; } >$jobs/job
said=$(log_in user "sh $jobs/job")
like 'with sudo in front, the first key is the documented one' "$said" " $shown\$"
is 'with sudo in front, the disk opens' "$(blkid -p -o value -s UUID $mapping)" "$uuid"
dmsetup remove --retry nas
keyctl clear @u

# With the check value.
for value in "$kcv" 0123456789abcdef; do
	echo "${open/\"64*v1\"/${with_kcv/.../$value}}" >"$jobs/open-$value"
done
like 'the commands can demand the check value' "$(cat "$jobs/open-$kcv")" "kcv=$kcv nas-disk v1\" @s\$"
ok 'with the right check value, the disk opens' sh "$jobs/open-$kcv"
is 'with the right check value, the file system is there' "$(blkid -p -o value -s UUID $mapping)" "$uuid"
dmsetup remove --retry nas
said=$(sh $jobs/open-0123456789abcdef 2>&1)
like 'with a wrong check value, the key is refused' "$said" 'Key was rejected by service'
fails 'with a wrong check value, nothing is opened' dmsetup info nas

# Resizing a mapping looks up its key again.
sh $jobs/open-README-cryptsetup >/dev/null 2>&1
fails 'cryptsetup cannot resize the disk after the session has ended' cryptsetup resize --batch-mode --size 4096 nas
is 'the size has not changed' "$(blockdev --getsz $mapping)" "$(blockdev --getsz /dev/sdb)"
ok 'cryptsetup can resize it in one session with the key made again' keyctl session - sh -ec "
	keyctl request2 derived nas '64 path,noread,logon,kcv=$kcv nas-disk v1' @s
	cryptsetup resize --batch-mode --size 4096 nas"
is 'the size has changed' "$(blockdev --getsz $mapping)" 4096
dmsetup remove --retry nas

# By a pipe. The key has to be readable, so it is another key, which opens another file system.
# shellcheck disable=SC2016 # for the shell in that session
bytes=$(keyctl session - sh -c 'keyctl pipe $(keyctl add derived nas "64 path nas-disk v1" @s)' 2>/dev/null |
	od -An -v -tx1 | tr -d ' \n')
like 'there is a key to compare with' "$bytes" '^[0-9a-f]{128}$'
for file in derived.rst man/derived-key.7; do
	commands $file -hash >$jobs/open
	like "there are commands in $file that use a pipe" "$(cat $jobs/open)" 'keyctl pipe'
	said=$(sh $jobs/open 2>&1)
	is "$file: dm-crypt has exactly this key" "$(dmsetup table --showkeys nas | cut -d' ' -f5)" "$bytes" || note "$said"
	dmsetup remove --retry nas
done

# --- the processes that share @s

echo 'keyctl request2 derived left "64 path,logon v1" @s >/dev/null && echo made' >$jobs/left
# shellcheck disable=SC2016 # for the shell that reads the file
echo 'keyctl search @s logon derived:left && keyctl pipe $(keyctl search @s derived left)' >$jobs/found
echo "sudo sh $jobs/left; sh $jobs/found" >$jobs/sudo-left
said=$(log_in user "sh $jobs/sudo-left")
like 'sudo leaves a key in @s' "$said" '^made$'
like 'the user possesses the twin' "$said" '^[0-9]+$'
like 'the user cannot read the key' "$said" 'Permission denied'
sed '1s/^/sudo /' <<<"$open" >$jobs/open
echo 'keyctl search @s logon derived:nas' >>$jobs/open
said=$(log_in user "sh $jobs/open")
like 'the commands of README.md with sudo: the disk is open' "$(blkid -p $mapping)" 'TYPE="ext4"'
like 'the commands of README.md with sudo: the user finds no key' "$said" 'keyctl_search: Required key not available'
dmsetup remove --retry nas
# A new cron has a new session keyring. Both jobs run in the same cron, so they share it.
touch $jobs/user-out
chown user $jobs $jobs/user-out
echo "@reboot until [ -e $jobs/left-there ]; do sleep 0.1; done; sh $jobs/found >$jobs/user-out 2>&1; touch $jobs/user-done" |
	crontab -u user -
echo "sh $jobs/left; touch $jobs/left-there; until [ -e $jobs/user-done ]; do sleep 0.1; done" >$jobs/cron-left
is "root's cron job leaves a key in @s" "$(in_cron $jobs/cron-left)" made
like "a user's cron job possesses that key" "$(cat $jobs/user-out)" '^[0-9]+$'
like "a user's cron job cannot read that key" "$(cat $jobs/user-out)" 'Permission denied'

# --- other commands of derived.rst, by sudo

commands derived.rst 'afalg encrypt' | sed "s|<plain >cipher|<$jobs/plain >$jobs/cipher|" >$jobs/afalg
modprobe -a af_alg algif_skcipher
install "$DERIVED/bin/afalg" /usr/bin/
head -c 64 /dev/zero >$jobs/plain
said=$(by_sudo $jobs/afalg)
is 'afalg encrypts' "$(stat -c %s $jobs/cipher)" 64 || note "$said"
fails 'the cipher text differs from the plain text' cmp $jobs/plain $jobs/cipher

commands derived.rst 'keyctl add derived ssh-host' >$jobs/ssh-host
like 'the seed of an SSH host key goes into a pipe' "$(cat $jobs/ssh-host)" ' \| \.\.\.$'
sed -i 's/ | \.\.\.$/ | wc -c/' $jobs/ssh-host
like 'the seed has 32 bytes' "$(by_sudo $jobs/ssh-host)" '^32$'

echo -n passphrase >$jobs/passphrase
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/sdb $jobs/passphrase
commands derived.rst luksAddKey >$jobs/luks-add
commands derived.rst 'cryptsetup open --key-file=- /dev/sdb' >$jobs/luks-open
said=$(sh $jobs/luks-add 2>&1 <$jobs/passphrase)
unlike 'a derived key is added to a LUKS disk' ".$said" 'no key was added'
fails 'that key is not left in a file' test -e /run/nas.key
said=$(by_sudo $jobs/luks-open)
ok 'that key opens the disk' test -b $mapping || note "$said"
like 'the disk is open as LUKS2' "$(dmsetup info -c --noheadings -o uuid nas)" '^CRYPT-LUKS2-'
dmsetup remove --retry nas

tpm_slots_empty 'nothing is left in the TPM'
done_testing
