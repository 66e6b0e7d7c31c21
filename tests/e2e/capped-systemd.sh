#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-systemd.sh: integration/systemd in the root file system: the module closes the cap PCR before systemd's own
# units extend PCRs, and systemd-pcrlock can explain the PCR.
#
# systemd 257 has no systemd-pcrosseparator.service, so a unit with its name and its order (of systemd 262) extends
# PCR 13. In the last boot it is made to come first: then the module must be too late. cryptsetup-pre.target is in
# the package systemd-cryptsetup, which is not installed, so the test makes that, too.
#
# vm: boot tpm=golden
# vm: boot tpm=golden init=systemd timeout=300
# vm: boot tpm=golden init=systemd timeout=300
# vm: long[6.12] systemd boots twice

. "$DERIVED/tests/lib/lib.sh"

plan_later
units=/etc/systemd/system
log=/run/log/systemd/tpm2-measure.log
status() { sed -n "s/^$1: //p" /sys/module/derived_keys/parameters/status; }
started() { systemctl show -p "$2" --value "$1"; }
# before DESC UNIT UNIT [PROPERTY]: the first unit was started before the second began to start.
before() {
	local one two
	one=$(started "$2" ActiveEnterTimestampMonotonic)
	two=$(started "$3" "${4-InactiveExitTimestampMonotonic}")
	[ "$one" -gt 0 ] && [ "$two" -gt 0 ] && [ "$one" -le "$two" ]
	tap_point $? "$1" "$2: $one, $3: $two"
}
events() { grep -o '"pcr":13,.*"string":"[^"]*"' $log | sed 's/.*"string"://' | tr '\n' ' '; }

case $BOOT in
1)
	echo "install derived-keys /sbin/insmod $DERIVED/derived-keys.ko cap=13" >/etc/modprobe.d/derived-vm.conf
	install -m 755 "$DERIVED/tools/derived-cap" /usr/sbin/
	install -m 644 "$DERIVED"/integration/systemd/*.service /usr/lib/systemd/system/
	ok 'systemd finds no fault in the units' systemd-analyze verify --man=no derived-keys-load.service derived-cap.service
	is 'it says nothing about them' "$out" ''
	ok 'enabling derived-cap.service works' systemctl enable derived-cap.service
	is 'it enables both units' "$(cd $units/sysinit.target.wants && echo derived*)" 'derived-cap.service derived-keys-load.service'
	cat >$units/systemd-pcrosseparator.service <<-'EOF'
		[Unit]
		DefaultDependencies=no
		Conflicts=shutdown.target
		After=tpm2.target
		Before=sysinit.target shutdown.target cryptsetup-pre.target cryptsetup.target
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		Environment=SYSTEMD_FORCE_MEASURE=1
		ExecStart=/usr/lib/systemd/systemd-pcrextend --pcr=13 os-separator
		[Install]
		WantedBy=sysinit.target
	EOF
	printf '%s\n' '[Unit]' 'Description=Local Encrypted Volumes (Pre)' RefuseManualStart=yes Before=cryptsetup.target \
		>$units/cryptsetup-pre.target
	ok 'a unit extends PCR 13 as systemd-pcrosseparator.service does' systemctl enable systemd-pcrosseparator.service
	;;
2)
	is 'both units have done their work' "$(systemctl is-active derived-keys-load.service derived-cap.service | tr '\n' ' ')" 'active active '
	is 'the module holds the capped root' "$(status capped)" held
	is 'it is the golden one' "$(status 'capped root check')" 1e8ddf4b9293fa37
	before 'the module was loaded before udev' derived-keys-load.service systemd-udevd.service
	before 'the module was loaded before the devices were triggered' derived-keys-load.service systemd-udev-trigger.service
	before 'the module was loaded before the other modules' derived-keys-load.service systemd-modules-load.service
	before 'the event was logged before systemd-pcrosseparator' derived-cap.service systemd-pcrosseparator.service
	before 'the event was logged before cryptsetup-pre.target' derived-cap.service cryptsetup-pre.target ActiveEnterTimestampMonotonic
	is 'the log has both events, in their order' "$(events)" '"derived-keys v1 cap" "os-separator" '
	mkdir /var/components
	ok 'the file for systemd-pcrlock is written' derived-cap pcrlock /var/components/740-derived-keys.pcrlock
	echo '{"records":[{"pcr":13,"digests":[{"hashAlg":"sha256","digest":"'"$(printf os-separator | sha256sum | cut -c1-64)"'"}]}]}' \
		>/var/components/750-os-separator.pcrlock
	predicted() { /usr/lib/systemd/systemd-pcrlock predict --components=/var/components --pcr=13 2>/dev/null | sed -n 's/^ *sha256: //p'; }
	is 'systemd-pcrlock predicts the value that PCR 13 has after both' "$(predicted | tail -n 1)" \
		"$(tr A-F a-f </sys/class/tpm/tpm0/pcr-sha256/13)"
	mv /var/components/740-derived-keys.pcrlock /var/components/760-derived-keys.pcrlock
	isnt 'with a number behind 750, it predicts another value' "x$(predicted | tail -n 1)" \
		"x$(tr A-F a-f </sys/class/tpm/tpm0/pcr-sha256/13)"

	# For the next boot: systemd-pcrosseparator is first.
	for unit in derived-keys-load derived-cap; do
		sed 's/^Before=.*//; s/^After=.*/&/' /usr/lib/systemd/system/$unit.service >$units/$unit.service
		sed -i 's/^\[Service\]/After=systemd-pcrosseparator.service\n[Service]/' $units/$unit.service
	done
	;;
3)
	is 'if systemd-pcrosseparator is first, the module is late' "$(status capped)" late
	is 'then derived-cap.service fails' "$(systemctl is-failed derived-cap.service)" failed
	like 'it says why' "$(journalctl -b -u derived-cap.service -o cat 2>&1; systemctl status derived-cap.service 2>&1)" 'its state: late'
	is 'the log has only the other event' "$(events)" '"os-separator" '
	fails_with 'derived-cap status says what to do' '^PCR 13 was not zero when the module was loaded\. Load the module earlier' derived-cap status
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing
