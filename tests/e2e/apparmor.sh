#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# apparmor.sh: a program that AppArmor confines has the keys that it has unconfined.
#
# vm: boot tpm=golden

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module
program=/srv/confined
install -m 755 "$DERIVED/bin/confined" $program
# keys PROFILE: what the program may read, and its keys
keys() { $program "$1" '32 path' '32 csum' '32 path,csum' 2>&1; }

unlike 'the kernel is not told which security modules it shall have' "$(cat /proc/cmdline)" '(lsm|security|apparmor)='
is 'and AppArmor is on' "$(cat /sys/module/apparmor/parameters/enabled)" Y
free=$(keys -)
is 'unconfined, everything can be read' "$(head -n 2 <<<"$free")" '/proc/self/exe can be read
/etc/shadow can be read'
free=$(sed -n '3,$p' <<<"$free")
is 'and there are three keys' "$(sort -u <<<"$free" | grep -cE '^x [0-9a-f]{64}$')" 3

# Nothing of it is about keys, and the second one forbids the program to read itself.
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
like 'and enforced' "$(cat /sys/kernel/security/apparmor/profiles)" '^derived-attached \(enforce\)$'
is 'confined by where it is: the keys are the same' "$(keys -)" "/proc/self/exe can be read
/etc/shadow EACCES
$free"
is 'confined so that it cannot read itself: the keys are the same' "$(keys derived-blind)" "/proc/self/exe EACCES
/etc/shadow EACCES
$free"

tpm_slots_empty 'nothing is left in the TPM'
done_testing
