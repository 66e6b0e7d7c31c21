// SPDX-License-Identifier: GPL-2.0
/*
 * The key type "derived": keys that need no storage.
 *
 * A key is a function of a secret that only this machine's TPM can compute, and
 * of the process that asks: its user, its program (by path or by contents), and
 * a purpose that it chooses. The same program gets the same key after every
 * boot.
 *
 *	keyctl add derived nas '64 path,noread nas-disk v1' @u
 *
 * Another request gives another key, and dm-crypt cannot tell a wrong key from
 * the right one: the disk looks like noise, and a script may then make a file
 * system over the data. So an odd request is refused; its meaning is never
 * guessed.
 *
 * All the work is done in ->preparse(), under key_types_sem only. Trusted keys
 * do theirs in ->instantiate(), under the one mutex under which every key of
 * the system is made. There is no ->update(). It is not needed: adding a key
 * again replaces it. And with it, KEYCTL_UPDATE would call ->preparse() without
 * the semaphore that makes it safe to unload this module. So would an upcall's
 * KEYCTL_INSTANTIATE; that is one reason why there is no upcall.
 *
 * request_key(2) is answered here too, in the context of the process that asks.
 * A helper program in user space would run as root on behalf of any user.
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
#include "derived_cap.h"
#include "derived_exec.h"
#include "derived_identity.h"
#include "derived_kdf.h"
#include "derived_log.h"
#include "derived_root.h"

/*
 * /proc/keys shows the length, the options and the check value of a key. They
 * stand by value in three members of payload.data[]: ->describe() runs without
 * the key's lock, so it may not follow a pointer.
 */
enum {
	PAYLOAD_SHOWN = 1,	/* length and options of the request */
	PAYLOAD_KCV_HIGH = 2,
	PAYLOAD_KCV_LOW = 3,
};

#define SHOWN_LENGTH(shown)	((shown) & 0xffff)
#define SHOWN_OPTIONS(shown)	((shown) >> 16)

/*
 * The reader, the program that may read the key, stands behind the key's bytes
 * in the same allocation. So it is freed with them, and the kernel's functions
 * for payloads of this layout (user_read(), user_revoke(), ...) can be used as
 * they are.
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
 * Returns the payload, or an ERR_PTR(): what derived_root_get() or
 * derived_cap_get() returns; or -EKEYREJECTED if the check value is not the one
 * that was asked for, or a capped key has no expected value.
 */
static struct user_key_payload *derive(const struct derived_request *req,
				       const u8 *context, size_t context_len,
				       const struct derived_reader *reader,
				       u64 *kcv)
{
	struct user_key_payload *payload;
	bool capped_pinned = true;
	struct derived_root root;
	u64 check;
	int err;

	*kcv = 0;
	payload = kzalloc(READER_OFFSET(req->length) + sizeof(*reader),
			  GFP_KERNEL);
	if (!payload)
		return ERR_PTR(-ENOMEM);
	payload->datalen = req->length;
	*reader_of(payload) = *reader;

	if (req->options & DERIVED_OPT_CAPPED)
		err = derived_cap_get(&root, &capped_pinned);
	else
		err = derived_root_get(&root);
	if (err)
		goto out_wipe;
	check = root.check;
	*kcv = derived_check_value(&root.key, DERIVED_USE_KCV,
				   context, context_len);
	derived_kdf(&root.key, DERIVED_USE_KEY, context, context_len,
		    (u8 *)payload->data, payload->datalen);
	memzero_explicit(&root, sizeof(root));
	derived_wipe_stack();

	err = -EKEYREJECTED;
	if ((req->options & DERIVED_OPT_KCV) && *kcv != req->kcv) {
		if (req->options & DERIVED_OPT_CAPPED)
			derived_log(DERIVED_CAUSE_KCV,
				    "refused: the key's check value is %016llx, and kcv=%016llx was asked for (capped root check value %016llx, PCRs %s)",
				    *kcv, req->kcv, check, derived_cap_pcrs());
		else
			derived_log(DERIVED_CAUSE_KCV,
				    "refused: the key's check value is %016llx, and kcv=%016llx was asked for",
				    *kcv, req->kcv);
		goto out_wipe;
	}
	/*
	 * Another cap=, another PCR value or another order of boot gives another
	 * capped root, and so another key.
	 */
	if (!(req->options & DERIVED_OPT_KCV) && !capped_pinned) {
		derived_log(DERIVED_CAUSE_CAPPED_PIN,
			    "refused: a capped key needs kcv=, or the parameter expect_capped_root=. This key has kcv=%016llx, of the capped root with check value %016llx (PCRs %s)",
			    *kcv, check, derived_cap_pcrs());
		goto out_wipe;
	}
	return payload;

out_wipe:
	kfree_sensitive(payload);
	return ERR_PTR(err);
}

/* Derives the key for an identity, and fills in what ->instantiate() takes. */
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
		.capped = req->options & DERIVED_OPT_CAPPED,
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
 * constructs. By then the payload is already derived, and the twin is made of
 * it. So this call passes the finished payload as its data, with a length that
 * no data from user space can have: the system calls accept 1 MiB at most.
 */
#define HANDOVER_LEN	SIZE_MAX

static void take_over(struct key_preparsed_payload *prep)
{
	/* prep->data is const because of requests; this is no request. */
	struct key_preparsed_payload *finished = (void *)prep->data;

	prep->payload = finished->payload;
	prep->quotalen = finished->quotalen;
	finished->payload.data[0] = NULL;
}

/* Derives the key of a request, in the context of the process that asks. */
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
 * Does all the work, in the context of the process that asks.
 *
 * Called with key_types_sem held for reading, and no other lock.
 */
static int derived_preparse(struct key_preparsed_payload *prep)
{
	struct derived_request req;
	int err;

	/* This type proposes no description, so the call would fail later. */
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
 * Shows length, options and check value in /proc/keys. The check value tells
 * the administrator whether the key is still the same.
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
 * Returns the key's length in bytes; -EOPNOTSUPP for a key with noread; or what
 * derived_check_reader() returns. The key's own permissions could not forbid
 * reading, because the possessor may change them.
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

/* The twin's name begins with this: logon keys need a prefix. */
#define TWIN_PREFIX	"derived:"

/*
 * The possessor of a twin may use it, and so can try every algorithm of AF_ALG
 * with it. Some algorithms give a short key away: ghash all of 16 bytes,
 * hmac(poly1305) most of one half of 32 bytes, hmac(xxhash64) all of 32 bytes
 * in some 2^32 calls. A key that is longer than an HMAC's block is hashed
 * first, and then only that hash is learned. essiv() with a checksum gives that
 * checksum away. On Linux 6.12 all this makes 314 bits, so 198 bits of a key of
 * 64 bytes remain unknown. Documentation/threat-model.rst, "Use".
 */
#define TWIN_LENGTH_MIN	64

static bool short_twins;
module_param(short_twins, bool, 0444);
MODULE_PARM_DESC(short_twins, "also make twins of less than 64 bytes, which their possessors may be able to read (default: no)");

/* No system call accepts a name of this length (keyctl.c). */
#define TWIN_NAME_SIZE	4096

/*
 * Removes a key of ours from a keyring. key_unlink() removes any key of that
 * name, and another process may have put its own key there meanwhile. So look
 * first. A short gap is left between the look and the removal, because a module
 * cannot take the keyring's lock.
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
 * Makes the twin: a key of type logon with the same bytes, for consumers that
 * take this type and not ours. It is linked into the same keyring, and replaces
 * an older logon key of that name.
 *
 * The twin cannot be written: KEYCTL_UPDATE would put other bytes under a name
 * that says where they come from. Its attributes cannot be set either, because
 * permissions are one of them.
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
 * Serves request_key(2). The twin is made first: when the target turns
 * positive, the processes that wait for it wake up, and may look for the twin
 * at once. On return both keys are linked, or none is. After a failure the twin
 * is also revoked, because it may have been linked elsewhere meanwhile, or be
 * in a keyring that we may not search.
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
			/* In this order: a revoked key is not found. */
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
 * Answers request_key(2). The kernel calls this only if the caller's keyrings
 * have no key of that name. If they have one, the kernel does not look at the
 * request.
 *
 * A refusal removes the key under construction from its keyring: there, a
 * negative key would answer further requests for a minute. It is removed before
 * it is rejected. Afterwards the garbage collector might unlink the expired key
 * first, and the garbage collector does not return the quota of the link.
 *
 * Called in the context of the process that asks, with key_types_sem held for
 * reading. A process that unloads the module waits for that semaphore, so
 * taking it again here would deadlock: key_create_or_update() must not be
 * called.
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
		 * wakes the processes that wait for the same key. They get EAGAIN
		 * for an EINTR: the signal was for this process alone.
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

	/* After this, requests come in. */
	err = register_key_type(&key_type_derived);
	if (err)
		goto out_root;
	derived_exec_init();	/* last, and cannot fail: see there */
	return 0;

out_root:
	derived_root_exit();
out_identity:
	derived_identity_exit();
	return err;
}

static void __exit derived_exit(void)
{
	derived_cap_stay();
	/*
	 * Waits until no process is in ->preparse(), and until the garbage
	 * collector has wiped every key. The kernel's own RCU callback frees the
	 * payloads of revoked keys: no pointer into this module is left.
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
#ifdef DERIVED_VERSION
MODULE_VERSION(DERIVED_VERSION);
#endif
MODULE_SOFTDEP("pre: tpm_crb tpm_tis");
