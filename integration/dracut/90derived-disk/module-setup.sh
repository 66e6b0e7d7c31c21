#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # dracut sets its variables
#
# module-setup.sh: dracut's module derived-disk: disks of /etc/derivedtab that the initramfs opens before the root file
# system is mounted: the disks with the option "initramfs", and in a host-only initramfs also the disk that the root
# file system is on.
#
# It is taken by itself if there is such a disk. If something is missing, for example the module derived-keys for a
# kernel that it was not built for yet, there is a warning, and the initramfs does not open the disks. If the root is on
# such a disk, dracut fails, because then the initramfs could not boot.

DERIVEDTAB=${DERIVEDTAB:-${dracutsysrootdir-}/etc/derivedtab}
export DERIVEDTAB
# shellcheck source=integration/initramfs/functions
. "${dracutsysrootdir-}/usr/share/derived-keys/initramfs/functions"

# root_disks: print the disks that the root is on. It may be on another machine's disks if the initramfs is for another
# machine.
root_disks() {
	[[ ! $hostonly ]] || derived_root_disks
}

# disks: print the disks that the initramfs opens.
disks() {
	{
		derived_names initramfs
		root_disks
	} | sort -u
}

# missing: print what is missing, and return 0 if something is.
missing() {
	local module program

	# dracut would leave out a missing module with no more than a line of its own.
	for module in derived-keys dm-crypt; do
		modinfo -k "$kernel" "$module" >/dev/null 2>&1 || {
			echo "the module $module is not installed for the kernel $kernel"
			return 0
		}
	done
	# The key is bound to the path of keyctl.
	for program in derived-disk /usr/bin/keyctl blkid dmsetup flock; do
		find_binary "$program" >/dev/null || {
			echo "there is no program $program"
			return 0
		}
	done
	return 1
}

check() {
	[[ ! -e $derived_table ]] || [[ ! $(disks 2>/dev/null) ]] || return 0
	return 255	# only if it is asked for
}

depends() {
	# Without dm, dracut would leave out this module, and not say what follows from that.
	! find_binary dmsetup >/dev/null || echo dm
}

installkernel() {
	local name reason lines root

	root=$(root_disks)
	if reason=$(missing); then
		if [[ $root ]]; then
			derror "derived-disk: $reason."
			derror "derived-disk: The root is on the disk ${root//$'\n'/, }, so the kernel $kernel could not boot."
			return 1
		fi
		dwarning "derived-disk: $reason."
		lines=$(disks 2>/dev/null)
		dwarning "derived-disk: The initramfs of the kernel $kernel will not open the disk ${lines//$'\n'/, }."
		dwarning "derived-disk: Mend that, and then: dracut --force --kver $kernel"
		return 0
	fi
	for name in $root; do
		derived_names initramfs 2>/dev/null | grep -Fqx "$name" ||
			dwarning "derived-disk: The root is on the disk $name, so the initramfs opens it. Set the option \"initramfs\" in $derived_table."
	done
	lines=$(derived_lines "$(disks 2>/dev/null)")
	# hostonly= : also if the modules are not loaded now.
	# shellcheck disable=SC2046
	hostonly='' instmods derived-keys $(derived_disk_modules "$lines")
	derived_install_tpm_drivers
}

install() {
	local functions=/usr/share/derived-keys/initramfs

	! missing >/dev/null || return 0	# installkernel says so
	disks >/dev/null			# this complains of malformed lines
	mkdir -p "$initdir/etc"
	derived_lines "$(disks 2>/dev/null)" >"$initdir/etc/derivedtab"
	inst_multiple derived-disk /usr/bin/keyctl blkid dmsetup flock \
		sh cat grep id mkdir modprobe readlink rm sed sleep stat uname
	inst_multiple -o partx

	if dracut_module_included systemd; then
		inst_multiple "$systemdutildir/system-generators/derived-disk-generator" systemd-escape ln \
			"$systemdsystemunitdir/derived-disk@.service" "$systemdsystemunitdir/blockdev@.target"
	else
		inst_simple "$functions/open-disks"
		inst_hook initqueue/settled 50 "$moddir/derived-disk.sh"
		inst_hook initqueue/finished 50 "$moddir/derived-disk-finished.sh"
	fi
}
