#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# derived-cap.sh: tools/derived-cap, against real TPMs and against systemd's own tools.
#
# The module is not loaded: a directory stands for what it says in /sys/module, so that each state can be tried. The
# capped root with the real module in an initramfs is in capped-initramfs.sh.
#
# vm: boot tpm=fresh
# vm: boot tpm=fresh
# vm: boot tpm=none
# vm: boot tpm=tpm12:old
# vm: long[7.3] four boots; this tests a tool, not the kernel

. "$DERIVED/tests/lib/lib.sh"

plan_later
event='derived-keys v1 cap'
log=/run/log/systemd/tpm2-measure.log
pcrlock=/usr/lib/systemd/systemd-pcrlock
cap() { derived-cap "$@"; }
install -m 755 "$DERIVED/tools/derived-cap" /usr/local/sbin/
said() { derived-cap "$@" 2>&1; }
row() { said pcrs | sed -nE "s/^ *$1  ([a-z]*) .*/\1/p"; }
pcr() { tr A-F a-f <"/sys/class/tpm/tpm0/pcr-$1/$2"; }
# cap_event N: the TPM itself hashes the string, for each bank, and extends the PCR.
cap_event() { printf %s "$event" | tpm2_pcrevent -T device:/dev/tpm0 "$1" >/dev/null; }
other_event() { printf x | tpm2_pcrevent -T device:/dev/tpm0 "$1" >/dev/null; }

# module STATE [CAP [LINE...]]: from now on /sys/module says that the module has this state, and these lines of status.
module() {
	mountpoint -q /sys/module || mount -t tmpfs tmpfs /sys/module
	mkdir -p /sys/module/derived_keys/parameters
	echo "${2-off}" >/sys/module/derived_keys/parameters/cap
	printf '%s\n' 'root check: none' "capped: $1" "${@:3}" >/sys/module/derived_keys/parameters/status
}
no_module() { umount /sys/module; }

# records FILE: each record of systemd's log as Python reads it, on a line, without the time.
records() {
	python3 -c '
import json, sys
for record in open(sys.argv[1], encoding="ascii").read().split("\x1e")[1:]:
    assert record.endswith("}\n"), record
    record = json.loads(record)
    assert isinstance(record["content"].pop("timestamp"), int)
    print(json.dumps(record))' "$1"
}

case $BOOT in
1)
	# Which PCR?
	ok 'pcrs: with a new TPM there is a recommendation' cap pcrs
	like 'pcrs: it is 13, for GRUB' "$out" '^Recommended: cap=13$'
	like 'pcrs: and 8 with a UKI, because the boot loader is not known' "$out" 'With systemd-boot or a UKI: cap=8$'
	like 'pcrs: it says that the boot loader is not known' "$out" '^The boot loader is not known\.$'
	like 'pcrs: it says that this is the running system' "$out" '^This is the running system'
	for n in 8 9 11 12 13 14 15; do
		is "pcrs: PCR $n is zero" "$(row $n)" zero
		like "pcrs: it names users of PCR $n" "$out" "^ *$n  zero    [A-Za-z]"
	done
	is 'pcrs: IMA uses PCR 10' "$(row 10)" used
	ok 'pcrs: an ordinary user can call it' as_user 1000 derived-cap pcrs

	mount -t tmpfs tmpfs /sys/firmware
	mkdir -p /sys/firmware/efi/efivars
	efi() {
		rm -f /sys/firmware/efi/efivars/*
		while [ $# -gt 0 ]; do
			{ printf '\6\0\0\0'; grep -o . <<<"$2" | tr '\n' '\0'; } \
				>"/sys/firmware/efi/efivars/$1-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
			shift 2
		done
	}
	efi LoaderInfo 'GRUB 2.12'
	like 'pcrs: GRUB is known by LoaderInfo' "$(said pcrs)" '^This machine was booted by GRUB: LoaderInfo is "GRUB 2\.12"\.$'
	like 'pcrs: with GRUB: 13' "$(said pcrs)" '^Recommended: cap=13$'
	efi LoaderInfo 'systemd-boot 257'
	like 'pcrs: systemd-boot is known by LoaderInfo' "$(said pcrs)" '^This machine was booted by systemd-boot, without a UKI: LoaderInfo is "systemd-boot 257"\.$'
	like 'pcrs: with systemd-boot: 8' "$(said pcrs)" '^Recommended: cap=8$'
	efi LoaderInfo 'systemd-boot 257' StubInfo 'systemd-stub 257'
	like 'pcrs: a UKI is known by StubInfo' "$(said pcrs)" '^This machine was booted by systemd-stub \(a UKI\): StubInfo is "systemd-stub 257"\.$'
	like 'pcrs: with a UKI: 8' "$(said pcrs)" '^Recommended: cap=8$'
	efi LoaderInfo 'GRUB 2.12' StubInfo 'systemd-stub 257'
	like 'pcrs: GRUB and a UKI: 15, with a warning' "$(said pcrs)" '^But see first that no LUKS2 slot demands that PCR 15 is zero'
	rmdir /sys/firmware/efi/efivars 2>/dev/null || rm -r /sys/firmware/efi/efivars
	like 'pcrs: efivarfs is not mounted' "$(said pcrs)" '^The boot loader is not known: efivarfs is not mounted\.$'
	umount /sys/firmware
	echo 'BOOT_IMAGE=/vmlinuz root=/dev/vda' >/var/cmdline
	mount --bind /var/cmdline /proc/cmdline
	like 'pcrs: GRUB is known by the kernel command line' "$(said pcrs)" '^This machine was booted by GRUB: BOOT_IMAGE= is on the kernel command line\.$'
	umount /proc/cmdline

	# In an initramfs: the shells, and no programs but those of busybox.
	mkdir /var/busybox
	for applet in tr grep ls mkdir chmod mv rm sleep; do
		ln -s "$(command -v busybox)" /var/busybox/$applet
	done
	ln -s "$(command -v flock)" /var/busybox/
	want=$(said pcrs)
	is 'pcrs: dash says the same as sh' "$(dash /usr/local/sbin/derived-cap pcrs)" "$want"
	is 'pcrs: bash --posix says the same' "$(bash --posix /usr/local/sbin/derived-cap pcrs)" "$want"
	is 'pcrs: busybox says the same' "$(PATH=/var/busybox /bin/busybox sh /usr/local/sbin/derived-cap pcrs)" "$want"
	touch /etc/initrd-release
	like 'pcrs: it says that this is an initramfs' "$(said pcrs)" '^This is an initramfs'
	rm /etc/initrd-release

	# systemd itself extends a PCR by the cap event. Its record is what the tool's record is compared with.
	ok 'systemd-pcrextend extends PCR 14 by the cap event' env SYSTEMD_FORCE_MEASURE=1 \
		SYSTEMD_MEASURE_LOG_USERSPACE=/var/theirs /usr/lib/systemd/systemd-pcrextend --pcr=14 "$event"
	is 'pcrs: it sees that the PCR is closed' "$(row 14)" closed
	ok 'pcrs: a closed PCR is a success' cap pcrs
	like 'pcrs: it names the closed PCR' "$out" '^Closed by the cap event in this boot: PCR 14\. See: derived-cap status$'
	fails_with 'log: without the module, it says so' 'the module is not loaded; to load it: modprobe derived-keys$' cap log
	fails 'log: without the module, there is no log' test -e $log
	module held 14 'capped PCRs: 7,14' 'capped root check: 1e8ddf4b9293fa37' 'capped policy: 00' 'capped after: 3 s'
	ok 'log: the event is logged' cap log
	like 'log: it says so' "$out" "^derived-cap: the cap event of PCR 14 is in $log\$"
	bytes_of() { sed 's/"timestamp":[0-9]*/TIME/' "$1" | od -c -v; }
	like "log: systemd's record is one line that begins with a record separator" "$(bytes_of /var/theirs)" '^0000000 036   \{   "   p   c   r'
	is "log: the record is systemd's, byte for byte, but for the time" "$(bytes_of $log)" "$(bytes_of /var/theirs)"
	is "log: the file's mode is systemd's" "$(stat -c '%a %u %g' $log)" "$(stat -c '%a %u %g' /var/theirs)"
	is 'log: it has one record' "$(records $log | wc -l)" 1
	ok 'log: the second time, nothing is written' cap log
	like 'log: it says that the event is there' "$out" "$log has the cap event of PCR 14 already\$"
	is 'log: it still has one record' "$(records $log | wc -l)" 1
	is 'log: with four banks' "$(records $log | grep -o '"hashAlg": "[a-z0-9]*"' | tr -d '\n')" \
		'"hashAlg": "sha1""hashAlg": "sha256""hashAlg": "sha384""hashAlg": "sha512"'

	# systemd-pcrlock reads it.
	like 'systemd-pcrlock reads the log, and shows the event' "$($pcrlock log --json=short 2>&1)" "\"derived-keys v1 cap\""
	like 'systemd-pcrlock cel has the record' "$($pcrlock cel 2>&1)" '"string" ?: ?"derived-keys v1 cap"'
	components=/var/components
	mkdir $components
	ok 'pcrlock: a file is written for the PCR of the module' cap pcrlock $components/740-derived-keys.pcrlock
	like 'systemd-pcrlock takes the file' "$($pcrlock list-components --components=$components 2>&1)" '740-derived-keys'
	# predicted N: what systemd-pcrlock predicts for the PCR in the SHA-256 bank. With no log of user space, nothing.
	predicted() { "${@:2}" $pcrlock predict --components=$components --pcr="$1" 2>/dev/null | sed -n 's/^ *sha256: //p'; }
	is 'systemd-pcrlock predicts the value that the PCR has' "$(predicted 14)" "$(pcr sha256 14)"
	pcr sha256 14 >/var/value
	is 'without the record in the log, it does not' "$(predicted 14 env SYSTEMD_MEASURE_LOG_USERSPACE=/var/none)" ''
	mv $components/740-derived-keys.pcrlock /var/
	is 'without the file, it does not' "$(predicted 14)" ''
	mv /var/740-derived-keys.pcrlock $components/
	# The same with systemd 262.
	for dir in dev sys proc run; do
		mkdir -p /opt/forky/$dir
		mount --rbind /$dir /opt/forky/$dir
	done
	mkdir -p /opt/forky/var/components
	cp $components/740-derived-keys.pcrlock /opt/forky/var/components/
	like 'systemd-pcrlock of forky is newer' "$(chroot /opt/forky $pcrlock --version | head -n 1)" '^systemd 2[6-9][0-9] '
	is 'it predicts the same value' "$(predicted 14 chroot /opt/forky)" "$(pcr sha256 14)"
	is 'without the record in the log, it does not' "$(predicted 14 chroot /opt/forky env SYSTEMD_MEASURE_LOG_USERSPACE=/var/none)" ''
	like 'its own file for os-separator is behind ours' \
		"$(cp $components/740-derived-keys.pcrlock /opt/forky/usr/lib/pcrlock.d/; chroot /opt/forky $pcrlock list-components --json=short 2>/dev/null | grep -oE '"7[0-9a-z-]+"' | uniq | tr '\n' ' ')" \
		'"740-derived-keys" "750-enter-initrd" "750-os-separator" '
	umount -R /opt/forky/{dev,sys,proc,run}
	# The order: systemd's own file for PCR 14 is behind ours.
	echo '{"records":[{"pcr":14,"digests":[{"hashAlg":"sha256","digest":"'"$(printf x | sha256sum | cut -c1-64)"'"}]}]}' \
		>$components/750-os-separator.pcrlock
	is 'pcrlock: the file is before 750-os-separator' \
		"$($pcrlock list-components --components=$components --json=short 2>/dev/null | grep -o '"7[0-9a-z-]*"' | tr '\n' ' ')" \
		'"740-derived-keys" "750-os-separator" '
	is 'pcrlock: all banks are in it' "$(python3 -c '
import hashlib, json
for record in json.load(open("/var/components/740-derived-keys.pcrlock"))["records"]:
    print(record["pcr"], *(d["hashAlg"] for d in record["digests"]
          if d["digest"] == hashlib.new(d["hashAlg"], b"derived-keys v1 cap").hexdigest()))')" '14 sha1 sha256 sha384 sha512'
	is 'pcrlock: --pcr, on standard output' "$(said pcrlock --pcr 8 - | cut -c1-33)" '{"records":[{"pcr":8,"digests":[{'
	ok 'pcrlock: the default is in /var/lib/pcrlock.d' cap pcrlock --pcr=13
	is 'pcrlock: there it is' "$(ls /var/lib/pcrlock.d)" 740-derived-keys.pcrlock
	like 'pcrlock: systemd-pcrlock finds it there' "$($pcrlock list-components 2>&1)" '/var/lib/pcrlock\.d/740-derived-keys\.pcrlock'
	ok 'pcrlock: --remove' cap pcrlock --remove
	is 'pcrlock: it is gone' "$(ls /var/lib/pcrlock.d)" ''
	fails_with 'pcrlock: a directory that cannot be written' 'cannot write /proc/740\.pcrlock$' cap pcrlock --pcr 13 /proc/740.pcrlock
	for n in 7 10 16 x ''; do
		fails_with "pcrlock: --pcr \"$n\" is refused" 'cap= does not take the PCR|--pcr needs a number|the module has no cap=' cap pcrlock --pcr="$n" -
	done
	module off
	fails_with 'pcrlock: without cap= and without --pcr, it asks for --pcr' 'the module has no cap=; name the PCR' cap pcrlock -
	for words in '' frobnicate 'log now' 'log --wait' 'log --wait soon' 'pcrs 8' 'pcrlock --pcr' 'pcrlock x' 'pcrlock --remove --pcr 8'; do
		# shellcheck disable=SC2086
		fails_with "\"derived-cap $words\" shows the usage" '^usage: derived-cap pcrs' cap $words
		# shellcheck disable=SC2086
		is "\"derived-cap $words\" has the exit status 2" "$(cap $words >/dev/null 2>&1; echo $?)" 2
	done
	ok '--help' cap --help

	# What the module says.
	module held 13 'capped PCRs: 7,13' 'capped root check: 1e8ddf4b9293fa37' 'capped after: 3 s'
	ok 'status: held is a success' cap status
	is 'status: held' "$out" "capped root: held
PCRs: 7,13
capped root check: 1e8ddf4b9293fa37
PCR 13 was closed 3 s after the boot. Until the next boot, only the module has the capped root secret."
	for state in 'off off' 'wait 13' 'late 13' 'missed 13' 'open 13' 'gone 13' 'unfit 13' 'strange 13'; do
		# shellcheck disable=SC2086
		module $state 'capped reason: a reason' 'capped PCRs: 13'
		fails_with "status: ${state% *} is a failure, and the reason is shown" '^reason: a reason$' cap status
		like "status: ${state% *} is named" "$out" "^capped root: ${state% *}\$"
	done
	like 'status: a state that the tool does not know' "$out" '^This tool does not know that state\.$'
	is 'status: only root may ask' "$(as_user 1000 derived-cap status 2>&1; chmod 400 /sys/module/derived_keys/parameters/status; as_user 1000 derived-cap status 2>&1 | tail -n 1)" \
		"$(said status)
derived-cap: only root may read /sys/module/derived_keys/parameters/status"
	printf 'root check: none\n' >/sys/module/derived_keys/parameters/status
	fails_with 'status: a module that knows no capped root' 'this module knows no capped root$' cap status

	# log, and what is in its way.
	module off
	ok 'log: without cap=, it succeeds' cap log
	like 'log: without cap=, there is nothing to log' "$out" 'no cap= is set, so there is nothing to log$'
	for state in wait late open strange; do
		module $state 14
		fails_with "log: nothing is logged in the state $state" "has not closed a PCR in this boot \(its state: $state\)" cap log
	done
	for state in held missed gone unfit; do
		module $state 14
		rm $log
		ok "log: the event is logged in the state $state" cap log
		is "log: the record is there ($state)" "$(records $log | wc -l)" 1
	done
	module held 15
	fails_with 'log: a PCR that is zero is not closed' 'PCR 15 is not closed, so nothing is logged$' cap log
	other_event 15
	module missed 15
	fails_with 'log: nor is a PCR that something else has extended' 'PCR 15 is not closed, so nothing is logged$' cap log
	cap_event 11
	other_event 11
	is 'pcrs: a PCR that was extended after the cap event is used' "$(row 11)" used
	module held 11
	ok 'log: if the module has seen it closed, the event is logged' cap log
	is 'log: now there are two records' "$(records $log | grep -o '"pcr": [0-9]*' | tr '\n' ' ')" '"pcr": 14 "pcr": 11 '
	cap_event 12
	ok 'systemd-pcrextend extends PCR 12 afterwards, and logs that' env SYSTEMD_FORCE_MEASURE=1 \
		/usr/lib/systemd/systemd-pcrextend --pcr=12 os-separator
	is 'systemd-pcrextend adds its record behind the others' "$(records $log | grep -o '"pcr": [0-9]*' | tr '\n' ' ')" '"pcr": 14 "pcr": 11 "pcr": 12 '
	module held 12
	fails_with 'log: then it is too late' "too late: $log has later events of PCR 12 already" cap log

	cap_event 13
	module wait 13
	SECONDS=0
	(sleep 3; module held 13) &
	ok 'log: --wait waits for the TPM' cap log --wait 30
	wait
	like 'log: it has waited' "$SECONDS" '^([3-9]|[1-9][0-9]+)$'
	module wait 13
	fails_with 'log: --wait gives up' 'its state: wait' cap log --wait 1
	again() { sed -i '/"pcr":13,/d' $log; }
	module held 13
	again
	flock -x $log sh -c 'sleep 15; touch /var/released' &
	sleep 1
	ok 'log: it can wait for the lock of systemd' cap log
	ok 'log: it has waited until the lock was free' test -e /var/released
	wait
	again
	chmod 1600 $log
	fails_with 'log: a log that was cut short is left alone' 'its sticky bit is set$' cap log
	is 'log: nothing was added to it' "$(grep -c '"pcr":13,' $log)" 0
	chmod 600 $log
	mount --bind /dev/null /usr/bin/flock
	fails_with 'log: without flock, nothing is written' 'there is no flock\(1\)' cap log
	umount /usr/bin/flock
	mount --bind /run/log /run/log
	mount -o remount,bind,ro /run/log
	fails_with 'log: a read-only log' "cannot write to $log\$" cap log
	umount /run/log
	mv /run/log /run/log.kept
	mount --bind /run /run
	mount -o remount,bind,ro /run
	fails_with 'log: a read-only /run' 'cannot make the directory /run/log/systemd$' cap log
	umount /run
	mkdir -p /run/log/systemd
	ln -s /var/elsewhere $log
	fails_with 'log: a symbolic link is not followed' 'is a symbolic link$' cap log
	fails 'log: nothing was written there' test -e /var/elsewhere
	rm $log
	mkfifo $log
	fails_with 'log: a pipe is refused' 'is not a file$' timeout 10 derived-cap log
	rm $log
	echo '0.05 0.01' >/var/uptime
	mount --bind /var/uptime /proc/uptime
	ok 'log: in the first second after the boot' cap log
	umount /proc/uptime
	is 'log: the record is JSON, and the time is right' "$(records $log | wc -l; grep -o '"timestamp":[0-9]*' $log)" $'1\n"timestamp":50000'
	rm -r /run/log
	mv /run/log.kept /run/log
	rm $log
	is 'log: busybox writes the same' \
		"$(PATH=/var/busybox /bin/busybox sh /usr/local/sbin/derived-cap log 2>&1; records $log | md5sum)" \
		"derived-cap: the cap event of PCR 13 is in $log
$(rm $log; cap log >/dev/null 2>&1; records $log | md5sum)"
	;;
2)
	cap_event 14
	is 'pcrs: it is another boot: PCR 13 is zero again' "$(row 13)" zero
	is 'after another boot, the value is the one of before' "$(pcr sha256 14)" "$(cat /var/value)"
	other_event 8
	like 'pcrs: PCR 8 is used: GRUB, probably' "$(said pcrs)" '^This machine was booted by GRUB: PCR 8 is used\.$'
	other_event 11
	like 'pcrs: PCR 11 is used: a UKI, probably' "$(said pcrs)" '^This machine was booted by systemd-stub \(a UKI\): PCR 11 is used\.$'
	;;
3)
	fails_with 'pcrs: no TPM' 'there is no TPM: /sys/class/tpm is empty$' cap pcrs
	module held 13
	fails_with 'log: no TPM' 'there is no TPM' cap log
	umount /sys/module

	# A TPM in this machine, with the banks of our choice.
	modprobe tpm_vtpm_proxy
	start_tpm() {
		rm -rf /var/tpm
		mkdir /var/tpm
		swtpm_setup --tpm2 --tpmstate /var/tpm --pcr-banks "$1" >/var/tpm.log 2>&1 || cat /var/tpm.log
		swtpm chardev --tpm2 --vtpm-proxy --tpmstate dir=/var/tpm --pid file=/var/tpm.pid >/var/tpm.log 2>&1 &
		for _ in $(seq 60); do
			[ ! -e /sys/class/tpm/tpm0/tpm_version_major ] || break
			sleep 0.5
		done
	}
	stop_tpm() {
		kill "$(cat /var/tpm.pid)"
		wait
		while [ -e /sys/class/tpm/tpm0 ]; do sleep 0.5; done
	}
	start_tpm sha1
	is 'a TPM with a SHA-1 bank alone' "$(cd /sys/class/tpm/tpm0 && echo pcr-*)" pcr-sha1
	fails_with 'pcrs: no SHA-256 bank' 'tpm0 has no SHA-256 bank \(it has: sha1\), so this machine has no capped root' cap pcrs
	cap_event 13
	module unfit 13
	ok 'log: the SHA-1 bank is closed, and logged' cap log
	is 'log: its digest is right' "$(records $log | sed 's/.*"digests": \(.*\), "content_type".*/\1/')" \
		'[{"hashAlg": "sha1", "digest": "'"$(printf %s "$event" | sha1sum | cut -c1-40)"'"}]'
	rm $log
	stop_tpm
	start_tpm sha1,sha256,sha384,sha512
	tpm2_pcrextend -T device:/dev/tpm0 "13:sha256=$(printf %s "$event" | sha256sum | cut -c1-64)"
	module held 13
	ok 'log: the SHA-256 bank alone is closed' cap log
	is 'log: only its digest is logged' "$(records $log | grep -o '"hashAlg": "[a-z0-9]*"' | tr -d '\n')" '"hashAlg": "sha256"'
	is 'pcrs: the PCR is closed' "$(umount /sys/module; row 13)" closed
	mkdir /var/class
	mkdir /var/class/tpm0
	echo 2 >/var/class/tpm0/tpm_version_major
	mount --bind /var/class /sys/class/tpm
	fails_with 'pcrs: a kernel that does not show the PCRs' 'the kernel does not show the PCRs of tpm0' cap pcrs
	mkdir /var/class/tpm0/pcr-sha256
	fails_with 'pcrs: a PCR that cannot be read' 'cannot read /sys/class/tpm/tpm0/pcr-sha256/8$' cap pcrs
	for n in 8 9 10 11 12 13 14 15; do printf '%064d\n' 0 | tr 0 F >/var/class/tpm0/pcr-sha256/$n; done
	fails_with 'pcrs: PCRs with all bits set cannot be closed' '^No PCR can be recommended here\. Zero are: none\.' cap pcrs
	is 'pcrs: it shows them' "$(row 8)" ones
	umount /sys/class/tpm
	stop_tpm
	;;
4)
	fails_with 'pcrs: a TPM 1.2' 'tpm0 is not a TPM 2\.0$' cap pcrs
	;;
esac
done_testing
