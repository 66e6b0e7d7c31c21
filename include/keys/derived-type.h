/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The "derived" key type, for consumers in the kernel.
 *
 * The payload has the layout of &struct user_key_payload (keys/user-type.h) and
 * its rules: read it under the key's semaphore or RCU, with
 * user_key_payload_locked() or user_key_payload_rcu(), and expect NULL once the
 * key is revoked. ->datalen is the length of the key in bytes.
 */
#ifndef _KEYS_DERIVED_TYPE_H
#define _KEYS_DERIVED_TYPE_H

#include <keys/user-type.h>

extern struct key_type key_type_derived;

#endif /* _KEYS_DERIVED_TYPE_H */
