#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# keyctl-fuzz.sh: add_key(2), request_key(2) and all of keyctl(2) with random arguments, for 20 s, from
# root and from an ordinary user.  Each key that can be read is the right one, each request is answered
# as a second parser says, no errno comes that no manual page knows, and afterwards all is well.
# make check TESTS=keyctl-fuzz KERNELS=debug ARGS="vm_seconds=3600" does it for an hour.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=300
# vm: long[6.12] most of a minute
# vm: long[7.3] most of a minute

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/stress.sh"

plan_later
processes=8
seconds=${FUZZ_SECONDS:-$(boot_word seconds 20)}
user=3001 given=65534		# to whom keys are given

# What may come of each operation: as in add_key(2), request_key(2), keyctl(2) and derived-key(7), but
# for what comes of a failing TPM.  ENOMEM is not there either: nothing here takes so much.
# These come wherever a key or keyring is named, for it may be gone, or somebody else's, or be the user's
# own, which the kernel makes anew where somebody has invalidated it (EDQUOT); EDEADLK and ELOOP wherever a
# keyring that is found may be linked to another. "-other" is of any type, ours included.
gone='EACCES ENOKEY EKEYREVOKED EKEYEXPIRED EDQUOT'
may_come="add_key ok $gone EPERM EFAULT EINVAL ERANGE E2BIG ENOTDIR EKEYREJECTED EAGAIN
add_key-other ok $gone EPERM EFAULT EINVAL ERANGE E2BIG ENOTDIR EKEYREJECTED EAGAIN ENODEV
request_key ok $gone EPERM EFAULT EINVAL ERANGE E2BIG ENOTDIR EKEYREJECTED EAGAIN EOPNOTSUPP
request_key-other ok $gone EPERM EFAULT EINVAL ERANGE E2BIG ENOTDIR EKEYREJECTED EAGAIN EDEADLK ELOOP EOPNOTSUPP
get_keyring_id ok $gone EINVAL
join_session ok EPERM EFAULT EINVAL EDQUOT EACCES
update ok $gone EFAULT EINVAL EOPNOTSUPP
revoke ok $gone EINVAL
chown ok $gone EINVAL
setperm ok $gone EINVAL
describe ok $gone EFAULT EINVAL
clear ok $gone EINVAL ENOTDIR
link ok $gone EPERM EINVAL ENOTDIR EDEADLK ELOOP
unlink ok $gone EINVAL ENOTDIR ENOENT
search ok $gone EPERM EFAULT EINVAL ENOTDIR EAGAIN EDEADLK ELOOP
read ok $gone EFAULT EINVAL EOPNOTSUPP
instantiate EPERM EFAULT EINVAL
instantiate_iov EPERM EFAULT EINVAL
negate EPERM
reject EPERM EINVAL
set_reqkey ok EINVAL EDQUOT
set_timeout ok $gone EINVAL
assume_authority ok ENOKEY EINVAL
get_security ok $gone EFAULT EINVAL
session_to_parent ok $gone EPERM
invalidate ok $gone EINVAL
get_persistent ok $gone EPERM EINVAL ENOTDIR EDEADLK ELOOP
dh_compute $gone EFAULT EINVAL ENOENT EMSGSIZE EOPNOTSUPP
pkey_query $gone EFAULT EINVAL EOPNOTSUPP
pkey_encrypt $gone EFAULT EINVAL EOPNOTSUPP
pkey_decrypt $gone EFAULT EINVAL EOPNOTSUPP
pkey_sign $gone EFAULT EINVAL EOPNOTSUPP
pkey_verify $gone EFAULT EINVAL EOPNOTSUPP
restrict_keyring ok $gone EPERM EFAULT EINVAL ENOTDIR ENOENT EEXIST EDEADLK
move ok $gone EPERM EINVAL ENOTDIR ENOENT EEXIST EDEADLK ELOOP
capabilities ok EFAULT
watch_key EOPNOTSUPP
no-operation EOPNOTSUPP"

echo 1 >/sys/devices/system/cpu/cpu1/online
is 'there are two CPUs from here on' "$(nproc)" 2
ok 'the module loads' load_module
choose_seed
# These stay for three days.
keyctl get_persistent @s -1 >/dev/null
as_user $user keyctl get_persistent @s -1 >/dev/null
begin_stress $user $given
# The user's quota is what a user has, so that it is reached.
echo 200 >/proc/sys/kernel/keys/maxkeys
echo 20000 >/proc/sys/kernel/keys/maxbytes
out=$("$DERIVED/bin/keyctl_fuzz" "$seed" $processes "$seconds" 2>&1)
tap_point $? "$processes processes call at random for $seconds s" "$out"
calls=$(awk '$1 == "calls" { print $2 }' <<<"$out")
note "$calls calls, $((calls / seconds)) each second; $(grep generations <<<"$out") of processes"
print_table "$out"
is 'everything that should be so was so' "$(grep '^WRONG' <<<"$out")" ''
is 'no other errno came than those that may' "$(unexpected "$out" "$may_come")" ''
missing=''
for what in 'add_key ok' 'add_key EINVAL' 'add_key ERANGE' 'add_key EDQUOT' 'request_key ok' 'request_key EINVAL' \
	    'request_key EOPNOTSUPP' \
	    'read ok' 'read EOPNOTSUPP' 'describe ok' 'search ok' 'link ok' 'unlink ok' 'revoke ok' \
	    'invalidate ok' 'set_timeout ok' 'clear ok' 'update EOPNOTSUPP' 'instantiate EPERM'; do
	[ "$(counted "$out" "${what% *}" "${what#* }")" -gt 0 ] || missing+="$what, "
done
is 'each of the outcomes that show that it got somewhere came' "$missing" ''
lift_quota
well_afterwards $user $given
done_testing
