#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# services.sh: a derived key and dm-crypt in systemd services: the right keyring, and a disk at boot.
# derivedtab-systemd.sh has the rest of disks at boot.
#
# Does dmsetup find the logon twin that keyctl request2 has made in a keyring? This is measured below;
# the results are the same with and without User=:
#
#				made before by the same service, in...		by another
#	the process		@s	@u	@p	a new session *)	service, in @u
#	KeyringMode=private	yes	no	no	yes			no
#	KeyringMode=shared	yes	yes	no	yes			yes
#	KeyringMode=inherit	no	yes	no	yes			yes
#	after a login (PAM)	yes	yes	no	yes			yes
#
#	*) keyctl session - sh -c 'keyctl request2 ... @s && dmsetup ...': what derived-disk does
#
# "private" is systemd's default: the service has a session keyring of its own, without a link to
# @u. keyctl can still put keys into @u there, but no process of the service finds them ("keyctl
# link @u @s" helps). With "inherit" there is no session keyring at all, as in an initramfs. The
# kernel then searches @us, and so @u; a keyring that keyctl gets for @s is new, and ends with
# keyctl. @p belongs to keyctl's own process. @u belongs to the user, so with User= it is another
# keyring.
#
# The tables of "Which keyring" in Documentation/derived.rst are compared with these measurements, also
# for ExecStartPre= and ExecStart=. logins.sh has the other rows.
#
# vm: disk 64M
# vm: boot tpm=golden
# vm: boot tpm=golden init=systemd timeout=600
# vm: long[6.12] systemd starts

. "$DERIVED/tests/lib/lib.sh"

plan_later
documented() { "$DERIVED/tests/e2e/documented" "$@"; }

# User= with the capabilities that dmsetup needs.
as_1000='User=user AmbientCapabilities=CAP_SYS_ADMIN CAP_DAC_OVERRIDE'

case $BOOT in
1)
	install_module
	install -m 755 "$DERIVED/tools/derived-disk" /usr/sbin/
	install -m 644 "$DERIVED/integration/systemd/derived-disk@.service" /usr/lib/systemd/system/
	install -m 755 "$DERIVED/integration/systemd/derived-disk-generator" /usr/lib/systemd/system-generators/
	mkdir /srv/nas
	echo '/dev/mapper/nas /srv/nas ext4 nofail 0 2' >>/etc/fstab

	export DM_DISABLE_UDEV=1	# no udev runs here: dmsetup makes and removes the device nodes itself
	ok 'the disk is made from a shell' derived-disk create nas /dev/vdc --mkfs ext4 --purpose nas-disk --yes
	ok 'the file system is mounted' mount /dev/mapper/nas /srv/nas
	echo 'what is on the NAS' >/srv/nas/file
	umount /srv/nas
	ok 'the disk is closed' derived-disk close nas
	;;
2)
	is 'process 1 is systemd' "$(cat /proc/1/comm)" systemd
	is 'systemd opened the disk at boot' "$(systemctl is-active derived-disk@nas.service)" active
	systemctl start srv-nas.mount		# the mount may not be finished yet
	is 'systemd mounted the disk' "$(findmnt -n -o SOURCE /srv/nas)" /dev/mapper/nas
	is 'the file is on the disk' "$(cat /srv/nas/file)" 'what is on the NAS'
	unlike 'the key of the disk is gone' "$(cat /proc/keys)" 'nas'
	ok 'the service stops' systemctl stop derived-disk@nas.service
	fails 'the disk is unmounted and closed then' dmsetup info nas
	ok 'starting the mount opens the disk again' systemctl start srv-nas.mount
	is 'the file is on the disk as before' "$(cat /srv/nas/file)" 'what is on the NAS'
	systemctl stop derived-disk@nas.service
	sed -i 's/kcv=[0-9a-f]*/kcv=0123456789abcdef/' /etc/derivedtab
	fails 'with a wrong check value, the service fails' systemctl start derived-disk@nas.service
	like 'with a wrong check value, the service says why' "$(journalctl -b --no-pager -u derived-disk@nas.service)" 'another key for "nas" than the one with kcv=0123456789abcdef'
	fails 'with a wrong check value, the disk stays closed' dmsetup info nas

	cells=$DERIVED/tests/e2e/keyring-cells
	# another: print whether dm-crypt finds the key that another service has made in @u.
	cat >/run/another <<'END'
#!/bin/sh
dmsetup create --noudevsync "$1" --table "0 64 crypt aes-xts-plain64 :64:logon:derived:another 0 /dev/vdc 0" 2>/dev/null &&
	dmsetup remove --retry --noudevsync "$1" && echo yes || echo no
END
	chmod 755 /run/another
	keyctl clear @u
	for user in User=root "$as_1000"; do
		read -r user caps <<<"$user"
		ok "another service makes a key in @u, $user" \
			service "$user" -- keyctl request2 derived another '64 path,logon another' @u
		while read -r mode another label <&3; do
			want=$(documented row 'the script runs' "$label")
			like "the documentation has a row: $label" "$want" '^(yes|no) (yes|no) no yes$'
			is "the row is right, $user: $label" \
				"$(service "$user" ${caps:+"$caps"} KeyringMode="$mode" -- "$cells" "$mode-${user#*=}")" "$want"
			is "another service's key in @u, KeyringMode=$mode, $user: $another" \
				"$(service "$user" ${caps:+"$caps"} KeyringMode="$mode" -- /run/another "$mode-${user#*=}")" "$another"
		done 3<<'END'
private no in a systemd service (that is, ``KeyringMode=private``)
shared yes ``KeyringMode=shared``
inherit yes ``KeyringMode=inherit``
END
	done
	is 'the row is right: after a login' "$("$cells" login)" "$(documented row 'the script runs' "after a login of root's")"
	like 'KeyringMode=private is the default' "$(systemctl show -p KeyringMode systemd-journald.service)" 'KeyringMode=private'
	# shellcheck disable=SC2016
	is 'KeyringMode=private: with a link to @u, the keys in @u are found' \
		"$(service -- sh -c 'keyctl link @u @s; exec "$1" linked' sh "$cells")" 'yes yes no yes'

	# The keys that ExecStartPre= has made.
	for mode in private shared inherit; do
		cat >/run/systemd/system/pre-$mode.service <<END
[Service]
Type=oneshot
KeyringMode=$mode
ExecStartPre=$cells pre-$mode make
ExecStart=$cells pre-$mode use
StandardOutput=append:/run/pre-$mode
END
		systemctl daemon-reload
		ok "a service with KeyringMode=$mode has an ExecStartPre=" systemctl start pre-$mode.service
		want=$(documented row 'both are in' "\`\`KeyringMode=$mode\`\`")
		like "KeyringMode=$mode: the documentation has a row for ExecStartPre=" "$want" '^no (yes|no) no no$'
		is "KeyringMode=$mode: ExecStart= finds exactly the documented keys" "$(cat /run/pre-$mode)" "$want"
	done
	is 'the table for ExecStartPre= has no other rows' "$(documented labels 'both are in' | wc -l)" 3

	# The other consumers.
	# shellcheck disable=SC2016
	cryptsetup='new=/opt/forky
		cryptsetup() { $new/lib64/ld-linux-x86-64.so.2 --library-path $new/usr/lib/x86_64-linux-gnu $new/usr/sbin/cryptsetup "$@"; }
		keyctl request2 derived disk "64 path,logon,noread nas-disk v1" @s >/dev/null
		cryptsetup open --batch-mode --type plain --volume-key-keyring=%logon:derived:disk \
			--cipher aes-xts-plain64 --key-size 512 /dev/vdc disk && blkid -p -o value -s TYPE /dev/mapper/disk
		cryptsetup close disk'
	is 'cryptsetup opens the disk in a service' "$(service -- keyctl session - sh -c "$cryptsetup" 2>&1 | tail -n 1)" ext4
	# shellcheck disable=SC2016
	afalg='keyctl request2 derived alg "64 path,logon v1" @s >/dev/null
		head -c 64 /dev/zero | '"$DERIVED"'/bin/afalg encrypt skcipher "xts(aes)" \
			$(keyctl search @s logon derived:alg) 00000000000000000000000000000000 | sha256sum'
	modprobe -a af_alg algif_skcipher
	there=$(as_user 1000 sh -c "$afalg")
	like 'a user encrypts by AF_ALG' "$there" '^[0-9a-f]{64} '
	isnt 'the cipher text is not empty' "$there" "$(sha256sum </dev/null)"
	is 'a service of that user gets the same cipher text' "$(service User=user -- keyctl session - sh -c "$afalg" 2>&1 | tail -n 1)" "$there"

	# Other settings of a unit.
	# shellcheck disable=SC2016
	key='id=$(keyctl add derived test "32 path" @s) && keyctl pipe $id | sha256sum'
	here=$(sh -c "$key")
	like 'there is a key to compare with' "$here" '^[0-9a-f]{64} '
	cat >/usr/local/bin/keys <<'END'
#!/bin/bash
id -u
for options in path csum path,csum; do x "32 $options"; done
END
	chmod 755 /usr/local/bin/keys
	install -m 755 "$DERIVED/bin/x" /usr/local/bin/
	keys=$(keys)
	like 'the keys are those of user 0' "$keys" '^0$'
	is 'path, csum and both give three keys' "$(sort -u <<<"$keys" | grep -cE '^x [0-9a-f]{64}$')" 3
	for setting in PrivateTmp=yes ProtectSystem=strict NoNewPrivileges=yes RootDirectory=/; do
		is "$setting does not change the keys" "$(service $setting -- keys)" "$keys"
	done
	hardened=(NoNewPrivileges=yes ProtectSystem=strict ProtectHome=tmpfs PrivateTmp=yes PrivateDevices=yes
		PrivateNetwork=yes PrivateIPC=yes PrivateMounts=yes ProtectKernelTunables=yes ProtectKernelModules=yes
		ProtectKernelLogs=yes ProtectControlGroups=yes ProtectClock=yes ProtectHostname=yes ProtectProc=invisible
		ProcSubset=pid RestrictNamespaces=yes RestrictSUIDSGID=yes RestrictRealtime=yes LockPersonality=yes
		MemoryDenyWriteExecute=yes RestrictAddressFamilies=AF_UNIX CapabilityBoundingSet= UMask=0077
		SystemCallFilter=@system-service SystemCallArchitectures=native TemporaryFileSystem=/srv:ro InaccessiblePaths=/boot)
	# One process of keyctl makes a key, and another reads it.
	hard=$(service "${hardened[@]}" -- sh -c "findmnt -n -o OPTIONS -T /usr/bin/keyctl; keys; $key")
	is 'with all hardening settings, the keys are the same' "$(tail -n +2 <<<"$hard")" "$keys"$'\n'"$here"
	like 'with all hardening settings, programs are on a nosuid mount' "$(head -n 1 <<<"$hard")" '(^|,)nosuid(,|$)'
	dynamic=$(service DynamicUser=yes User=derived-test -- keys)
	user=$(head -n 1 <<<"$dynamic")
	like 'DynamicUser= runs as a separate user' "$user" '^6[0-9]{4}$'
	is 'DynamicUser= has the keys of that user' "$dynamic" "$(setpriv --reuid "$user" --regid "$user" --clear-groups keys)"
	is "the keys of that user differ from root's" "$(sort -u <<<"$keys"$'\n'"$dynamic" | grep -cE '^x [0-9a-f]{64}$')" 6

	# Services that may have other libraries are refused.
	refused=$'0\nx EPERM\nx EPERM\nx EPERM'
	mkdir /srv/root
	is 'RootDirectory= is refused' "$(service RootDirectory=/srv/root 'BindReadOnlyPaths=/usr /etc /bin /lib /lib64' \
		MountAPIVFS=yes -- keys)" "$refused"
	is 'PrivatePIDs= is refused' "$(service PrivatePIDs=yes -- keys)" "$refused"
	is "TemporaryFileSystem=/ with some of the system's directories is refused" "$(service TemporaryFileSystem=/ \
		'BindReadOnlyPaths=/usr /etc /bin /lib /lib64' -- keys)" "$refused"
	like 'PrivateUsers= is refused' "$(service PrivateUsers=yes -- sh -c "$key")" 'Operation not permitted'
	user=$(service User=user -- sh -c "$key")
	like 'with User=, a service has a key' "$user" '^[0-9a-f]{64} '
	isnt "with User=, the key differs from root's" "$user" "$here"

	# Finally, the root directory of every process becomes an overlay, as on a live system.
	mkdir -p /live/{memory,root}
	mount -t tmpfs tmpfs /live/memory
	mkdir /live/memory/{upper,work}
	mount -t overlay -o lowerdir=/,upperdir=/live/memory/upper,workdir=/live/memory/work overlay /live/root
	mkdir /live/root/disk
	mount --make-rprivate /
	for dir in proc sys dev run tmp derived; do
		mount --move /$dir /live/root/$dir
	done
	cd /live/root && pivot_root . disk
	cd /
	is 'the root directory of process 1 is an overlay' "$(stat -f -c %T /proc/1/root/.) $(cat /proc/1/comm)" 'overlayfs systemd'
	is 'on the overlay, with all hardening settings, the keys are the same' \
		"$(service "${hardened[@]}" -- sh -c "keys; $key")" "$keys"$'\n'"$here"
	is 'on the overlay, the keys of DynamicUser= are the same, too' "$(service DynamicUser=yes User=derived-test -- keys)" "$dynamic"
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
