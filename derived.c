// SPDX-License-Identifier: GPL-2.0
/*
 * The key type "derived": keys that need no storage.
 *
 * A key is a function of a secret that only this machine's TPM can make and of
 * who asks: the user, the program by its path or its contents, and a purpose of
 * its own choosing. The same program gets the same key after every boot.
 *
 *	keyctl add derived nas '64 path,noread nas-disk v1' @u
 *
 * Another string is another key, and dm-crypt cannot tell a wrong key from a
 * right one: it shows noise, over which a script may then make a file system.
 * So whatever is odd about a request is refused, not guessed at.
 *
 * All the work is done in ->preparse(), under key_types_sem only. In
 * ->instantiate() it would be done under the one mutex under which every key of
 * the system is made, as trusted keys do. There is no ->update(): adding a key
 * again replaces it; and KEYCTL_UPDATE, like an upcall's KEYCTL_INSTANTIATE,
 * would call ->preparse() without the semaphore that makes it safe to unload
 * this module.
 *
 * request_key(2) is answered here too, in the context of who asks: a program
 * started for it would run as root on behalf of anybody.
 *
 * Documentation/derived.rst
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/align.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/key-type.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <keys/derived-type.h>
#include <keys/request_key_auth-type.h>

#include "derived.h"
#include "derived_exec.h"
#include "derived_identity.h"
#include "derived_kdf.h"
#include "derived_log.h"
#include "derived_root.h"

/*
 * What a key shows of itself stands in the payload's other three words by value:
 * ->describe() runs without the key's lock, so it may follow no pointer.
 */
enum {
	PAYLOAD_SHOWN = 1,	/* length and options of the request */
	PAYLOAD_KCV_HIGH = 2,
	PAYLOAD_KCV_LOW = 3,
};

#define SHOWN_LENGTH(shown)	((shown) & 0xffff)
#define SHOWN_OPTIONS(shown)	((shown) >> 16)

/*
 * Who may read the key stands behind its bytes, in the same allocation: so it
 * goes when they go, and what the kernel has for payloads of this layout
 * (user_read(), user_revoke(), ...) serves as it is.
 */
#define READER_OFFSET(length) \
	ALIGN(offsetof(struct user_key_payload, data) + (length), \
	      __alignof__(struct derived_reader))

static struct derived_reader *reader_of(const struct user_key_payload *payload)
{
	return (void *)payload + READER_OFFSET(payload->datalen);
}

/*
 * Derives the key and its check value.
 *
 * Returns the payload, or an ERR_PTR(): what derived_root_get() says; or
 * -EKEYREJECTED if the check value is not the one that was asked for.
 */
static struct user_key_payload *derive(const struct derived_request *req,
				       const u8 *context, size_t context_len,
				       const struct derived_reader *reader,
				       u64 *kcv)
{
	struct user_key_payload *payload;
	struct derived_root root;
	int err;

	*kcv = 0;
	payload = kzalloc(READER_OFFSET(req->length) + sizeof(*reader),
			  GFP_KERNEL);
	if (!payload)
		return ERR_PTR(-ENOMEM);
	payload->datalen = req->length;
	*reader_of(payload) = *reader;

	err = derived_root_get(&root);
	if (err)
		goto out_wipe;
	*kcv = derived_check_value(&root.key, DERIVED_USE_KCV,
				   context, context_len);
	derived_kdf(&root.key, DERIVED_USE_KEY, context, context_len,
		    (u8 *)payload->data, payload->datalen);
	memzero_explicit(&root, sizeof(root));
	derived_wipe_stack();

	if ((req->options & DERIVED_OPT_KCV) && *kcv != req->kcv) {
		err = derived_refuse(DERIVED_CAUSE_KCV, -EKEYREJECTED,
				     "the key's check value is %016llx, and kcv=%016llx was asked for",
				     *kcv, req->kcv);
		goto out_wipe;
	}
	return payload;

out_wipe:
	kfree_sensitive(payload);
	return ERR_PTR(err);
}

/* Derives the key for who was identified, into what instantiate() takes. */
static int preparse_for(const struct derived_request *req,
			const struct derived_identity *id,
			struct key_preparsed_payload *prep)
{
	const struct derived_context context = {
		.length = req->length,
		.euid = id->euid,
		.path = req->options & DERIVED_OPT_PATH ? id->path : NULL,
		.path_len = id->path_len,
		.sha256 = id->has_sha256 ? id->sha256 : NULL,
		.noread = req->options & DERIVED_OPT_NOREAD,
		.mixin = req->mixin,
		.mixin_len = req->mixin_len,
	};
	const size_t len = derived_context_size(&context);
	struct user_key_payload *payload;
	u8 *encoded;
	u64 kcv;

	encoded = kmalloc(len, GFP_KERNEL);
	if (!encoded)
		return -ENOMEM;
	derived_context_encode(&context, encoded);
	payload = derive(req, encoded, len, &id->reader, &kcv);
	kfree(encoded);
	if (IS_ERR(payload))
		return PTR_ERR(payload);

	prep->payload.data[0] = payload;
	prep->payload.data[PAYLOAD_SHOWN] =
		(void *)(unsigned long)(req->length | req->options << 16);
	prep->payload.data[PAYLOAD_KCV_HIGH] =
		(void *)(unsigned long)upper_32_bits(kcv);
	prep->payload.data[PAYLOAD_KCV_LOW] =
		(void *)(unsigned long)lower_32_bits(kcv);
	prep->quotalen = req->length;
	return 0;
}

/*
 * key_instantiate_and_link() calls ->preparse() for the key that request_key(2)
 * constructs, but what it should instantiate is derived already, and its twin
 * made of it. So that call gets the finished payload for its data, and a length
 * that none from user space has: the system calls end at 1 MiB.
 */
#define HANDOVER_LEN	SIZE_MAX

static void take_over(struct key_preparsed_payload *prep)
{
	/* Not the const of prep->data, which is for requests. */
	struct key_preparsed_payload *finished = (void *)prep->data;

	prep->payload = finished->payload;
	prep->quotalen = finished->quotalen;
	finished->payload.data[0] = NULL;
}

/* Derives the key of a request, in the context of who asks. */
static int preparse_request(const struct derived_request *req,
			    struct key_preparsed_payload *prep)
{
	struct derived_identity id;
	int err;

	err = derived_identify(req->options, &id);
	if (!err)
		err = preparse_for(req, &id, prep);
	derived_identity_put(&id);
	return err;
}

/*
 * Does all the work, in the context of who asks.
 *
 * Called with key_types_sem held for reading, and nothing else.
 */
static int derived_preparse(struct key_preparsed_payload *prep)
{
	struct derived_request req;
	int err;

	/* This type proposes no description: do no work for what fails later. */
	if (!prep->orig_description)
		return -EINVAL;

	if (prep->datalen == HANDOVER_LEN) {
		take_over(prep);
		return 0;
	}

	err = derived_parse(prep->data, prep->datalen, &req);
	if (err)
		return err;
	if (req.options & DERIVED_OPT_LOGON)
		return derived_refuse(DERIVED_CAUSE_LOGON, -EINVAL,
				      "the option logon is for request_key(2): keyctl request2 derived NAME 'REQUEST' KEYRING");
	return preparse_request(&req, prep);
}

/* Called after derived_preparse(), whether that failed or not. */
static void derived_free_preparse(struct key_preparsed_payload *prep)
{
	kfree_sensitive(prep->payload.data[0]);
	prep->payload.data[0] = NULL;
}

static unsigned long shown(const struct key *key)
{
	return (unsigned long)key->payload.data[PAYLOAD_SHOWN];
}

/*
 * Shows in /proc/keys what a key is and whether it is still the same one.
 *
 * Called under RCU and a spinlock, but without key->sem.
 */
static void derived_describe(const struct key *key, struct seq_file *m)
{
	const char *name, *separator = " ";
	unsigned int option;

	seq_puts(m, key->description);
	if (!key_is_positive(key))
		return;

	seq_printf(m, ": %lu", SHOWN_LENGTH(shown(key)));
	for (option = 1; (name = derived_option_name(option)); option <<= 1) {
		if (option == DERIVED_OPT_KCV ||
		    !(SHOWN_OPTIONS(shown(key)) & option))
			continue;
		seq_printf(m, "%s%s", separator, name);
		separator = ",";
	}
	seq_printf(m, " kcv:%08lx%08lx",
		   (unsigned long)key->payload.data[PAYLOAD_KCV_HIGH],
		   (unsigned long)key->payload.data[PAYLOAD_KCV_LOW]);
}

/*
 * Called with key->sem held for reading.
 *
 * Returns the key's length in bytes; -EOPNOTSUPP for a key with noread, for which
 * the keyring's own permissions would not do: the possessor may change them; or
 * what derived_check_reader() says.
 */
static long derived_read(const struct key *key, char *buffer, size_t buflen)
{
	int err;

	if (SHOWN_OPTIONS(shown(key)) & DERIVED_OPT_NOREAD)
		return -EOPNOTSUPP;
	err = derived_check_reader(reader_of(user_key_payload_locked(key)));
	if (err)
		return err;
	return user_read(key, buffer, buflen);
}

/* What the twin's name begins with: names of logon keys have a prefix. */
#define TWIN_PREFIX	"derived:"

/*
 * The possessor of a twin may use it, and so can try every algorithm of AF_ALG on
 * it. Some give a short key away: ghash all of 16 bytes, hmac(poly1305) most of
 * one half of 32, hmac(xxhash64) all of 32 in some 2^32 calls. Longer keys are
 * hashed first, and only that hash is learned; essiv() with a checksum gives that
 * checksum away. On Linux 6.12 this makes 314 bits in all, so 198 of 64 bytes
 * remain unknown. Documentation/threat-model.rst, "Use".
 */
#define TWIN_LENGTH_MIN	64

static bool short_twins;
module_param(short_twins, bool, 0444);
MODULE_PARM_DESC(short_twins, "also make twins of less than 64 bytes, which their possessors may be able to read (default: no)");

/* A name that is as long cannot be given to any system call (keyctl.c). */
#define TWIN_NAME_SIZE	4096

/*
 * Takes a key of ours out of a keyring. key_unlink() takes out whatever has the
 * name: so look first, for somebody may have put another key there meanwhile.
 * A moment is left between; the keyring's lock is not ours to take.
 */
static void unlink_ours(struct key *keyring, struct key *key)
{
	key_ref_t found;

	if (!keyring)
		return;
	found = keyring_search(make_key_ref(keyring, true), key->type,
			       key->description, false);
	if (IS_ERR(found))
		return;
	if (key_ref_to_ptr(found) == key)
		key_unlink(keyring, key);
	key_ref_put(found);
}

/*
 * Makes a key of type logon with the same bytes, for consumers that take that
 * type and not ours, and links it beside: an older one of that name goes.
 *
 * Nobody may write it: KEYCTL_UPDATE would put other bytes under a name that
 * says where they come from. Nor set attributes, permissions being one.
 *
 * Returns the twin, to be given to key_put(), or an ERR_PTR().
 */
static struct key *make_twin(const struct key *target, struct key *keyring,
			     const struct key_preparsed_payload *prep)
{
	const struct user_key_payload *payload = prep->payload.data[0];
	const struct cred *cred = current_cred();
	struct key *twin;
	char *name;
	int err;

	if (strlen(TWIN_PREFIX) + strlen(target->description) >= TWIN_NAME_SIZE)
		return ERR_PTR(-EINVAL);
	name = kasprintf(GFP_KERNEL, TWIN_PREFIX "%s", target->description);
	if (!name)
		return ERR_PTR(-ENOMEM);
	twin = key_alloc(&key_type_logon, name, cred->fsuid, cred->fsgid, cred,
			 KEY_POS_VIEW | KEY_POS_SEARCH | KEY_POS_LINK |
			 KEY_USR_VIEW, KEY_ALLOC_IN_QUOTA, NULL);
	kfree(name);
	if (IS_ERR(twin))
		return twin;

	err = key_instantiate_and_link(twin, payload->data, payload->datalen,
				       keyring, NULL);
	if (err) {
		key_put(twin);
		return ERR_PTR(err);
	}
	return twin;
}

/*
 * Serves request_key(2). The twin comes first: whoever waits for the target
 * wakes when that turns positive, and may then look for the twin. On return both
 * are linked, or neither new key is: a twin that was linked elsewhere meanwhile,
 * or where we may not search, is revoked.
 */
static int serve_request(struct request_key_auth *rka, struct key *authkey)
{
	struct key_preparsed_payload prep = {
		.orig_description = rka->target_key->description,
	};
	struct derived_request req;
	struct key *twin = NULL;
	int err;

	err = derived_parse(rka->callout_info, rka->callout_len, &req);
	if (err)
		return err;
	if ((req.options & DERIVED_OPT_LOGON) && req.length < TWIN_LENGTH_MIN &&
	    !short_twins)
		return derived_refuse(DERIVED_CAUSE_LOGON, -EOPNOTSUPP,
				      "a twin of less than %d bytes could be read by way of AF_ALG (see short_twins=)",
				      TWIN_LENGTH_MIN);
	err = preparse_request(&req, &prep);
	if (err)
		return err;

	if (req.options & DERIVED_OPT_LOGON) {
		twin = make_twin(rka->target_key, rka->dest_keyring, &prep);
		if (IS_ERR(twin)) {
			err = PTR_ERR(twin);
			goto out_free_prep;
		}
	}

	err = key_instantiate_and_link(rka->target_key, &prep, HANDOVER_LEN,
				       rka->dest_keyring, authkey);
	if (twin) {
		if (err) {
			/* In this order: what is revoked is not found. */
			unlink_ours(rka->dest_keyring, twin);
			key_revoke(twin);
		}
		key_put(twin);
	}
out_free_prep:
	derived_free_preparse(&prep);
	return err;
}

/*
 * Answers request_key(2), for a name that nobody within reach has a key of: the
 * kernel searches first, and does not look at the request if it finds one.
 *
 * A refusal takes the key under construction out of its keyring again, where a
 * negative key would answer for a minute. And before it is rejected: once it has
 * expired, the garbage collector may be first to unlink it, and that one does not
 * give the link's quota back.
 *
 * Called in the context of who asks, with key_types_sem held for reading. That
 * is what unloading waits for, so nothing here may take it again: no
 * key_create_or_update().
 */
static int derived_request_key(struct key *authkey, void *aux)
{
	struct request_key_auth *rka = get_request_key_auth(authkey);
	int err;

	err = serve_request(rka, authkey);
	if (err) {
		unlink_ours(rka->dest_keyring, rka->target_key);
		/*
		 * Invalidates the authkey, as complete_request_key() would, and
		 * tells those who wait for the same key. A signal was only ours.
		 */
		key_reject_and_link(rka->target_key, 0,
				    err == -EINTR ? EAGAIN : -err,
				    NULL, authkey);
	}
	return err;
}

struct key_type key_type_derived = {
	.name		= "derived",
	.flags		= KEY_TYPE_INSTANT_REAP,
	.preparse	= derived_preparse,
	.free_preparse	= derived_free_preparse,
	.instantiate	= generic_key_instantiate,
	.revoke		= user_revoke,
	.destroy	= user_destroy,
	.describe	= derived_describe,
	.read		= derived_read,
	.request_key	= derived_request_key,
};
EXPORT_SYMBOL_GPL(key_type_derived);

static int __init derived_init(void)
{
	int err;

	if (short_twins)
		pr_notice("short_twins=1: the possessor of a twin of less than %d bytes may be able to read it\n",
			  TWIN_LENGTH_MIN);
	err = derived_identity_init();
	if (err)
		return err;
	err = derived_root_init();
	if (err)
		goto out_identity;

	/* Last: from here on somebody may ask. */
	err = register_key_type(&key_type_derived);
	if (err)
		goto out_root;
	derived_exec_init();	/* which cannot fail, so nothing takes it back */
	return 0;

out_root:
	derived_root_exit();
out_identity:
	derived_identity_exit();
	return err;
}

static void __exit derived_exit(void)
{
	/*
	 * Waits for who is in ->preparse(), and for the garbage collector to
	 * wipe every key. Payloads of revoked keys are freed by the kernel's own
	 * RCU callback: none is left that points here.
	 */
	unregister_key_type(&key_type_derived);
	derived_exec_exit();
	derived_root_exit();
	derived_identity_exit();
}

late_initcall(derived_init);
module_exit(derived_exit);

MODULE_DESCRIPTION("Keys derived from the TPM and the asking program");
MODULE_LICENSE("GPL");
MODULE_SOFTDEP("pre: tpm_crb tpm_tis");
