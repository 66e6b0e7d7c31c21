#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# keyctl-fuzz.sh: add_key(2), request_key(2) and all of keyctl(2) with random arguments, for 20 s,
# by root and by an ordinary user. Each key that can be read is the right one, each request has the
# outcome that a second parser predicts, each errno is in a manual page, and afterwards everything
# works. make check TESTS=keyctl-fuzz KERNELS=debug ARGS="vm_seconds=3600" does this for an hour.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=300
# vm: long[6.12] most of a minute
# vm: long[7.3] most of a minute

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/stress.sh"

plan_later
processes=8
seconds=${FUZZ_SECONDS:-$(boot_word seconds 20)}
user=3001 given=65534		# keys are given to the user "given"

# The possible outcomes of each operation, from add_key(2), request_key(2), keyctl(2) and
# derived-key(7), without the outcomes of a failing TPM. ENOMEM is not there either: no operation
# here needs so much. $gone is possible wherever a key or keyring is named: it may be gone, or
# belong to another user; and if it is an invalidated user keyring, the kernel makes a new one
# (EDQUOT). EDEADLK and ELOOP are possible wherever a keyring that is found may be linked to
# another. "-other" is of any type, also of type derived.
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
is 'there are two CPUs from now on' "$(nproc)" 2
ok 'the module loads' load_module
choose_seed
# The persistent keyrings stay for three days.
keyctl get_persistent @s -1 >/dev/null
as_user $user keyctl get_persistent @s -1 >/dev/null
begin_stress $user $given
# The limits are those of an ordinary user, so that the quota is reached.
echo 200 >/proc/sys/kernel/keys/maxkeys
echo 20000 >/proc/sys/kernel/keys/maxbytes
out=$("$DERIVED/bin/keyctl_fuzz" "$seed" $processes "$seconds" 2>&1)
tap_point $? "$processes processes make random calls for $seconds s" "$out"
calls=$(awk '$1 == "calls" { print $2 }' <<<"$out")
note "$calls calls, $((calls / seconds)) each second; $(grep generations <<<"$out") of processes"
print_table "$out"
is 'no key and no answer is wrong' "$(grep '^WRONG' <<<"$out")" ''
is 'each errno is one of the possible errnos' "$(unexpected "$out" "$may_come")" ''
missing=''
for what in 'add_key ok' 'add_key EINVAL' 'add_key ERANGE' 'add_key EDQUOT' 'request_key ok' 'request_key EINVAL' \
	    'request_key EOPNOTSUPP' \
	    'read ok' 'read EOPNOTSUPP' 'describe ok' 'search ok' 'link ok' 'unlink ok' 'revoke ok' \
	    'invalidate ok' 'set_timeout ok' 'clear ok' 'update EOPNOTSUPP' 'instantiate EPERM'; do
	[ "$(counted "$out" "${what% *}" "${what#* }")" -gt 0 ] || missing+="$what, "
done
is 'each outcome that shows progress has come' "$missing" ''
lift_quota
well_afterwards $user $given
done_testing
