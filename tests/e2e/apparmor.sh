#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# apparmor.sh: a program has the same keys with and without an AppArmor profile.
#
# vm: boot tpm=golden

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module
program=/srv/confined
install -m 755 "$DERIVED/bin/confined" $program
# keys PROFILE: print which files the program may read, and its keys
keys() { $program "$1" '32 path' '32 csum' '32 path,csum' 2>&1; }

unlike 'the command line does not choose security modules' "$(cat /proc/cmdline)" '(lsm|security|apparmor)='
is 'AppArmor is on' "$(cat /sys/module/apparmor/parameters/enabled)" Y
free=$(keys -)
is 'unconfined, the program can read both files' "$(head -n 2 <<<"$free")" '/proc/self/exe can be read
/etc/shadow can be read'
free=$(sed -n '3,$p' <<<"$free")
is 'unconfined, it has three keys' "$(sort -u <<<"$free" | grep -cE '^x [0-9a-f]{64}$')" 3

# The profiles do not mention keys. The second one forbids the program to read its own file.
cat >/run/profiles <<'END_OF_PROFILES'
abi <abi/4.0>,
profile derived-attached /srv/confined {
	/srv/confined mr,
	/etc/ld.so.cache r,
	/usr/lib/** mr,
	/proc/*/attr/current rw,
	change_profile -> derived-blind,
}
profile derived-blind {
	deny /srv/confined rwklx,
}
END_OF_PROFILES
ok 'profiles are loaded' apparmor_parser --replace --skip-cache /run/profiles
like 'the profiles are enforced' "$(cat /sys/kernel/security/apparmor/profiles)" '^derived-attached \(enforce\)$'
is 'confined by the profile for its path: the keys are the same' "$(keys -)" "/proc/self/exe can be read
/etc/shadow EACCES
$free"
is 'confined so that it cannot read its own file: the keys are the same' "$(keys derived-blind)" "/proc/self/exe EACCES
/etc/shadow EACCES
$free"

tpm_slots_empty 'nothing is left in the TPM'
done_testing
