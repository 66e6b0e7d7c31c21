#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# sshd.sh: Debian's sshd with a host key that is made at each start, by examples/ssh-host-key.
#
# Boot 1 starts it by hand, boot 2 has it started by systemd, boot 3 is on another machine.
#
# vm: boot tpm=golden
# vm: boot tpm=golden init=systemd timeout=400
# vm: boot tpm=other
# vm: long[6.12] systemd starts
# vm: long[7.3] systemd starts

. "$DERIVED/tests/lib.sh"

plan_later
example=$DERIVED/examples/ssh-host-key
host_key=/run/ssh-host-key/ssh_host_ed25519_key
notes=/var/sshd

scan() { ssh-keyscan -q -T 60 127.0.0.1 2>/dev/null; }
# A client that believes nothing but its known_hosts.
client() {
	ssh -i "$notes/${LOGIN_KEY-client}" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
		-o UserKnownHostsFile=$notes/known_hosts root@127.0.0.1 "$@" 2>&1
}
start_by_hand() {
	mkdir -p /run/sshd
	ok 'the host key is made' derived-ssh-host-key
	ok 'sshd starts' /usr/sbin/sshd -E /run/sshd.log
	until grep -q 'Server listening' /run/sshd.log; do sleep 0.1; done
}
# The files on the root disk, written in this boot, that have the private key in them.  /usr is large.
touch /run/began
on_disk() { find / -xdev -path /usr -prune -o -newer /run/began -type f -exec grep -lF -e "$(sed -n 2p $host_key)" {} +; }

case $BOOT in
1)
	mkdir $notes
	install_module
	install -m 755 "$example/derived-ssh-host-key" /usr/local/sbin/
	install -m 644 "$example/derived-ssh-host-key.conf" /etc/ssh/sshd_config.d/
	install -m 644 "$example/derived-ssh-host-key.service" /etc/systemd/system/
	rm -f /etc/ssh/ssh_host_*
	ok 'the service is enabled' systemctl enable derived-ssh-host-key.service
	ssh-keygen -q -t ed25519 -N '' -f $notes/client
	ssh-keygen -q -t ed25519 -N '' -f $notes/stranger
	mkdir -p /root/.ssh
	cp $notes/client.pub /root/.ssh/authorized_keys

	mkdir -p /run/sshd
	like 'without it, sshd has no host key' "$(/usr/sbin/sshd -t 2>&1)" 'no hostkeys available'
	start_by_hand
	scan >$notes/known_hosts
	is 'ssh-keyscan sees one host key' "$(grep -c . $notes/known_hosts)" 1
	like 'an Ed25519 key' "$(cat $notes/known_hosts)" '^127.0.0.1 ssh-ed25519 AAAA'

	# The oracle's seed, made a key by other means than the example's.
	public=$("$DERIVED/scripts/derived-keys-recover" key --uid 0 --program /usr/bin/keyctl --raw \
		'32 path ssh-host-key v1' 2>/dev/null | python3 -c '
import sys
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key
public = Key.from_private_bytes(sys.stdin.buffer.read()).public_key()
print(public.public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode())')
	is 'it is the one that derived-keys-recover computes' "$(cut -d' ' -f2- $notes/known_hosts)" "$public"

	is 'ssh logs in' "$(client echo logged in)" 'logged in'
	like 'a stranger trusts the host as well, but is not let in' "$(LOGIN_KEY=stranger client echo logged in)" \
		'Permission denied \(publickey'

	like 'the private key is in a tmpfs that is not swapped' "$(findmnt -n -o FSTYPE,OPTIONS -T $host_key)" \
		'^tmpfs .*\<noswap\>'
	is 'only root can read it' "$(stat -c '%a %U' $host_key) $(stat -c %a ${host_key%/*})" '600 root 700'
	unlike 'the derived key is gone' "$(cat /proc/keys)" ' derived '
	cp $host_key /root/copied
	is 'a copy on the disk would be found' "$(on_disk)" /root/copied
	rm /root/copied
	is 'there is none' "$(on_disk)" ''
	;;
2)
	systemctl start systemd-user-sessions.service	# else a login is told to come back later
	ok 'systemd starts ssh.service' systemctl start ssh.service
	is 'and the host key before it' "$(systemctl is-active derived-ssh-host-key.service)" active
	is 'after a reboot, the host key is the same' "$(scan)" "$(cat $notes/known_hosts)"
	is 'ssh, which knows it, logs in' "$(client echo logged in)" 'logged in'
	is 'the private key is not on the disk' "$(on_disk)" ''
	# What services.sh calls "after a login".
	like 'the session keyring of a login links to @u' "$(client keyctl show @s)" 'keyring: _uid\.0'

	ok 'sshd is stopped' systemctl stop ssh.service derived-ssh-host-key.service
	umount ${host_key%/*}
	sed -i "s/^request=.*/request='bogus'/" /usr/local/sbin/derived-ssh-host-key
	fails 'without a host key, sshd does not start' systemctl start ssh.service
	is 'and no file looks like one' "$(ls -A ${host_key%/*})" ''
	sed -i "s/^request=.*/request='32 path ssh-host-key v1'/" /usr/local/sbin/derived-ssh-host-key
	;;
3)
	start_by_hand
	like "another machine has a host key" "$(scan)" '^127.0.0.1 ssh-ed25519 AAAA'
	isnt 'but another one' "$(scan)" "$(cat $notes/known_hosts)"
	like 'and ssh refuses it' "$(client echo logged in)" 'Host key verification failed'
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
