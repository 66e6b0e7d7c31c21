#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # dracut sets its variables
#
# module-setup.sh: dracut's module derived-keys: load the kernel module in the initramfs, and close the cap PCR there.
#
# It is taken by itself if the administrator has chosen a cap PCR ("options derived-keys cap=13" in /etc/modprobe.d).
# To have it in any case: add_dracutmodules+=" derived-keys ".

# shellcheck source=integration/initramfs/functions
. "${dracutsysrootdir-}/usr/share/derived-keys/initramfs/functions"

# The files of modprobe.d that have options for the module.
derived_keys_options() {
	grep -lsE '^[[:space:]]*options[[:space:]]+derived[-_]keys[[:space:]]' \
		"${dracutsysrootdir-}"/{etc,run,usr/local/lib,usr/lib,lib}/modprobe.d/*.conf
}

check() {
	require_binaries derived-cap modprobe flock grep tr || return 1
	# shellcheck disable=SC2046
	if grep -sqE '^[[:space:]]*options[[:space:]]+derived[-_]keys[[:space:]](.*[[:space:]])?cap=' \
		$(derived_keys_options) /dev/null; then
		return 0
	fi
	return 255	# only if it is asked for
}

depends() {
	return 0
}

installkernel() {
	# hostonly= : also if the module is not loaded now.
	if ! hostonly='' instmods -c derived-keys; then
		dwarning "derived-keys: the kernel $kernel has no module derived-keys, so it will have no capped keys"
	fi
	derived_install_tpm_drivers
}

install() {
	local file

	while read -r file; do
		inst_simple "${file#"${dracutsysrootdir-}"}"
	done < <(derived_keys_options)
	inst_multiple derived-cap modprobe flock grep tr ls mkdir chmod sleep

	if dracut_module_included systemd; then
		# The order against systemd's units is in derived-cap.service, with the reasons.
		inst_multiple "$systemdsystemunitdir/derived-keys-load.service" \
			"$systemdsystemunitdir/derived-cap.service"
		$SYSTEMCTL -q --root "$initdir" add-wants sysinit.target derived-keys-load.service derived-cap.service
	else
		inst_hook pre-udev 01 "$moddir/derived-keys.sh"		# before udev
		inst_hook pre-pivot 01 "$moddir/derived-keys.sh"	# for a TPM that came later
	fi
}
