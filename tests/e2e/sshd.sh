#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# sshd.sh: Debian's sshd with a host key that integration/ssh makes at each start.
#
# In boot 1 sshd is started by hand. In boot 2 systemd starts it, also by sockets. Boot 3 is on another
# machine.
#
# vm: boot tpm=golden
# vm: boot tpm=golden init=systemd timeout=400
# vm: boot tpm=other
# vm: long[6.12] systemd starts

. "$DERIVED/tests/lib/lib.sh"

plan_later
program=/usr/libexec/derived-keys/derived-ssh-host-key
config=/etc/ssh/sshd_config.d/derived-ssh-host-key.conf
host_key=/run/ssh-host-key/ssh_host_ed25519_key
units=(ssh sshd ssh@ sshd@ sshd-unix-local@ sshd-unix-export@ sshd-vsock@)	# all that start an sshd, in Debian or elsewhere
notes=/var/sshd

scan() { ssh-keyscan -q -T 60 127.0.0.1 2>/dev/null; }
# A client that trusts only its known_hosts.
SSH_OPTIONS=()
client() {
	ssh -i "$notes/${LOGIN_KEY-client}" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
		-o UserKnownHostsFile=$notes/known_hosts "${SSH_OPTIONS[@]}" root@127.0.0.1 "$@" 2>&1
}
start_by_hand() {
	mkdir -p /run/sshd
	ok 'the host key is made' $program make
	ok 'sshd starts' /usr/sbin/sshd -E /run/sshd.log
	until grep -q 'Server listening' /run/sshd.log; do sleep 0.1; done
}
# Print the files on the root disk that were written in this boot and contain the private key. /usr
# is too large to search all of it.
touch /run/began
on_disk() { find / -xdev -path /usr -prune -o -newer /run/began -type f -exec grep -lF -e "$(sed -n 2p $host_key)" {} +; }

case $BOOT in
1)
	mkdir $notes
	install_module
	# Where a package puts the files.
	install -D -m 755 "$DERIVED/integration/ssh/derived-ssh-host-key" $program
	install -m 644 "$DERIVED/integration/ssh/derived-ssh-host-key.service" /usr/lib/systemd/system/
	for unit in "${units[@]}"; do
		install -D -m 644 "$DERIVED/integration/ssh/after-derived-ssh-host-key.conf" \
			"/usr/lib/systemd/system/$unit.service.d/after-derived-ssh-host-key.conf"
	done
	ok 'after the installation, sshd has its old keys' /usr/sbin/sshd -G
	unlike 'it does not know of the new key' "$out" "$host_key"
	# Without systemd: what "enable" does.
	echo "HostKey $host_key" >$config
	rm -f /etc/ssh/ssh_host_*
	ssh-keygen -q -t ed25519 -N '' -f $notes/client
	ssh-keygen -q -t ed25519 -N '' -f $notes/stranger
	mkdir -p /root/.ssh
	cp $notes/client.pub /root/.ssh/authorized_keys

	mkdir -p /run/sshd
	like 'before the service runs, sshd has no host key' "$(/usr/sbin/sshd -t 2>&1)" 'no hostkeys available'
	start_by_hand
	scan >$notes/known_hosts
	is 'ssh-keyscan sees one host key' "$(grep -c . $notes/known_hosts)" 1
	like 'the host key is an Ed25519 key' "$(cat $notes/known_hosts)" '^127.0.0.1 ssh-ed25519 AAAA'

	# The oracle's seed, converted into a key by another program than the example's.
	public=$("$DERIVED/tools/derived-keys-recover" key --uid 0 --program /usr/bin/keyctl --raw \
		'32 path ssh-host-key v1' 2>/dev/null | python3 -c '
import sys
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key
public = Key.from_private_bytes(sys.stdin.buffer.read()).public_key()
print(public.public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode())')
	is 'the host key is the one that derived-keys-recover computes' "$(cut -d' ' -f2- $notes/known_hosts)" "$public"

	is 'ssh logs in' "$(client echo logged in)" 'logged in'
	like 'a client with another login key trusts the host, too, but may not log in' "$(LOGIN_KEY=stranger client echo logged in)" \
		'Permission denied \(publickey'

	like 'the private key is in a tmpfs that is not swapped' "$(findmnt -n -o FSTYPE,OPTIONS -T $host_key)" \
		'^tmpfs .*\<noswap\>'
	is 'only root can read it' "$(stat -c '%a %U' $host_key) $(stat -c %a ${host_key%/*})" '600 root 700'
	unlike 'the derived key is gone' "$(cat /proc/keys)" ' derived '
	cp $host_key /root/copied
	is 'a copy on the disk would be found' "$(on_disk)" /root/copied
	rm /root/copied
	is 'there is no copy on the disk' "$(on_disk)" ''
	;;
2)
	systemctl start systemd-user-sessions.service	# otherwise users may not log in yet

	# What the package has installed does nothing yet.
	rm $config
	ssh-keygen -q -A
	is 'before "enable", the unit is not enabled' "$(systemctl is-enabled derived-ssh-host-key.service)" disabled
	ok 'sshd starts without it' systemctl start ssh.service
	unlike 'with its old keys' "$(scan)" "$(cut -d' ' -f3 $notes/known_hosts)"
	is 'the unit was not started' "$(systemctl is-active derived-ssh-host-key.service)" inactive
	systemctl stop ssh.service
	mkdir -p /run/systemd/system/derived-ssh-host-key.service.d
	printf '%s\n' '[Service]' ExecStart= ExecStart=false >/run/systemd/system/derived-ssh-host-key.service.d/fails.conf
	fails_with 'if no key can be made, "enable" fails' 'nothing was changed' $program enable
	fails 'then sshd keeps its keys' test -e $config
	is 'and the unit is not enabled' "$(systemctl is-enabled derived-ssh-host-key.service)" disabled
	rm -r /run/systemd/system/derived-ssh-host-key.service.d
	sed -i 's/^Include/#&/' /etc/ssh/sshd_config
	fails_with 'if sshd does not read the directory, "enable" fails' 'must include' $program enable
	fails 'then it leaves nothing behind' test -e $config
	sed -i 's/^#Include/Include/' /etc/ssh/sshd_config
	ok '"enable" succeeds' $program enable
	like 'it shows the fingerprint' "$out" "$(ssh-keygen -l -f $notes/known_hosts | cut -d' ' -f2)"
	rm /etc/ssh/ssh_host_*
	ok '"enable" succeeds a second time' $program enable
	ok '"disable" succeeds' $program disable
	like 'it says that sshd has no key then' "$out" 'sshd has no host key now'
	is 'then the unit is not enabled' "$(systemctl is-enabled derived-ssh-host-key.service)" disabled
	fails 'then sshd has its old configuration' test -e $config
	ok '"enable" succeeds after that' $program enable
	is 'the unit is enabled' "$(systemctl is-enabled derived-ssh-host-key.service)" enabled
	systemctl stop derived-ssh-host-key.service
	umount ${host_key%/*}

	# Two sockets: one of systemd-ssh-generator, and one as Fedora and other distributions have
	# it. A connection comes before the key exists: the key is made only when /run/make-it
	# exists.
	unit_dir=/run/systemd/system drop_in=after-derived-ssh-host-key.conf
	mkdir $unit_dir/derived-ssh-host-key.service.d
	cat >$unit_dir/derived-ssh-host-key.service.d/slow.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c 'until [ -e /run/make-it ]; do sleep 0.1; done'
END
	cat >$unit_dir/sshd.socket <<'END'
[Socket]
ListenStream=127.0.0.1:2222
Accept=yes
END
	systemctl daemon-reload
	ok 'sshd is started by a socket of systemd-ssh-generator' systemctl start sshd-unix-local.socket
	ok 'sshd is started by a socket for sshd@.service' systemctl start sshd.socket
	sockets=("-o HostKeyAlias=127.0.0.1 -p 2222" "-o HostKeyAlias=127.0.0.1 -o ProxyUseFdpass=yes
		-o ProxyCommand='/usr/lib/systemd/systemd-ssh-proxy unix/run/ssh-unix-local/socket 22'")
	by_socket() { eval "SSH_OPTIONS=($1)"; client echo logged in; }

	systemctl start --no-block derived-ssh-host-key.service
	for number in 0 1; do
		rm -rf /run/waited
		(by_socket "${sockets[number]}" >/run/said; touch /run/waited) &
		sleep 8
		fails "while the key is being made, the first connection waits ($number)" test -e /run/waited
		is "the key does not exist yet ($number)" "$(systemctl show -P ActiveState derived-ssh-host-key.service)" activating
		touch /run/make-it
		wait
		is "when the key exists, the connection succeeds ($number)" "$(cat /run/said)" 'logged in'
		rm /run/make-it
		systemctl stop derived-ssh-host-key.service
		umount ${host_key%/*}
	done
	is 'a connection starts the service that makes the key' \
		"$(touch /run/make-it; by_socket "${sockets[0]}"; rm /run/make-it)" 'logged in'
	systemctl stop derived-ssh-host-key.service
	umount ${host_key%/*}

	# Without the drop-ins, connections do not wait for the key.
	mkdir /run/drop-ins
	mv /usr/lib/systemd/system/ssh*.service.d /run/drop-ins/
	systemctl daemon-reload
	systemctl start --no-block derived-ssh-host-key.service
	for number in 0 1; do
		like "without the drop-ins, the first connection is closed ($number)" "$(by_socket "${sockets[number]}")" \
			'Connection (closed|reset) by'
	done
	like 'without the drop-ins, sshd has no key' "$(journalctl -b --no-pager)" 'no hostkeys available'
	mv /run/drop-ins/* /usr/lib/systemd/system/
	touch /run/make-it
	until_is active systemctl show -P ActiveState derived-ssh-host-key.service

	for unit in "${units[@]}"; do
		[ -n "$(systemctl cat "${unit/@/@1}.service" 2>/dev/null)" ] ||
			printf '[Service]\nExecStart=/usr/sbin/sshd -i\n' >"$unit_dir/$unit.service"
		systemctl daemon-reload
		is "$unit.service waits for the key" "$(systemctl show -P After "${unit/@/@1}.service" | tr ' ' '\n' |
			grep '^derived')" derived-ssh-host-key.service
		like "$unit.service wants the key" "$(systemctl show -P Wants "${unit/@/@1}.service")" 'derived-ssh-host-key\.service'
		ok "$unit.service has the drop-in" test -e "/usr/lib/systemd/system/$unit.service.d/$drop_in"
	done
	systemctl stop sshd.socket sshd-unix-local.socket derived-ssh-host-key.service
	umount ${host_key%/*}
	rm -r $unit_dir/derived-ssh-host-key.service.d
	systemctl daemon-reload

	ok 'systemd starts ssh.service' systemctl start ssh.service
	is 'systemd has made the host key before it' "$(systemctl is-active derived-ssh-host-key.service)" active
	is 'after a reboot, the host key is the same' "$(scan)" "$(cat $notes/known_hosts)"
	is 'after a reboot, ssh knows the host key and logs in' "$(client echo logged in)" 'logged in'
	is 'the private key is not on the disk' "$(on_disk)" ''
	# services.sh calls this "after a login".
	like 'the session keyring of a login links to @u' "$(client keyctl show @s)" 'keyring: _uid\.0'

	ok 'sshd is stopped' systemctl stop ssh.service derived-ssh-host-key.service
	umount ${host_key%/*}
	sed -i "s/^request=.*/request='bogus'/" $program
	fails 'without a host key, sshd does not start' systemctl start ssh.service
	is 'without a host key, there is no file of that name' "$(ls -A ${host_key%/*})" ''
	sed -i "s/^request=.*/request='32 path ssh-host-key v1'/" $program
	;;
3)
	start_by_hand
	like "another machine has a host key" "$(scan)" '^127.0.0.1 ssh-ed25519 AAAA'
	isnt 'the host key of another machine is another key' "$(scan)" "$(cat $notes/known_hosts)"
	like 'ssh refuses the host key of another machine' "$(client echo logged in)" 'Host key verification failed'
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
