/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The key type "derived", for consumers in the kernel.
 *
 * The payload has the layout and the rules of &struct user_key_payload
 * (keys/user-type.h). Read it under the key's semaphore or RCU, with
 * user_key_payload_locked() or user_key_payload_rcu(). Expect NULL once the key
 * is revoked. ->datalen is the length of the key in bytes.
 */
#ifndef _KEYS_DERIVED_TYPE_H
#define _KEYS_DERIVED_TYPE_H

#include <keys/user-type.h>

extern struct key_type key_type_derived;

#endif /* _KEYS_DERIVED_TYPE_H */
