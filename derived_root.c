// SPDX-License-Identifier: GPL-2.0
/*
 * The life of K_root: fetched once or for each key, kept in memory or not, and
 * wiped.
 *
 * A TPM is slow, and everybody's: IMA waits for it on behalf of every program
 * that is started. So with root=cached it is asked once. And whoever does wait
 * for it holds key_types_sem, for which who loads or unloads a key type waits,
 * and behind him every later add_key(2) of anybody. So no more than
 * 1 + TPM_WAITERS stand in line for the TPM; the others are refused at once.
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>

#include "derived.h"
#include "tpm2_hmac.h"

/* How many wait for the one that is at the TPM. */
#define TPM_WAITERS		7

/* A TPM that failed is left in peace for so long. */
#define FAILURE_REMEMBERED	(10 * HZ)

enum root_mode {
	ROOT_CACHED,		/* fetched once and kept in memory */
	ROOT_TRANSIENT,		/* fetched for each key and wiped */
};

static const char * const root_mode_names[] = {
	[ROOT_CACHED]		= "cached",
	[ROOT_TRANSIENT]	= "transient",
};

/* Set when the module is loaded, and not changed. */
static int root_mode = ROOT_CACHED;
static bool has_expected_check;
static u64 expected_check;

/*
 * Held by the one that is at the TPM, and by who wipes the root. Taken inside
 * key_types_sem, and outside the TPM's own locks.
 */
static DEFINE_MUTEX(fetch_lock);

/* How many hold fetch_lock or wait for it. Counted before the wait. */
static atomic_t fetchers = ATOMIC_INIT(0);

/* Under fetch_lock: the last failure, and until when (jiffies) it stands. */
static int failure;
static unsigned long failure_until;

/* Under fetch_lock: between the notifier and hibernation or reboot, false. */
static bool may_keep = true;

/* What is known of the root; under root_lock, for moments only. */
static DEFINE_SPINLOCK(root_lock);
static bool root_held;
static struct derived_root held_root;	/* secret while root_held, else zero */
static bool root_seen;
static u64 root_check;			/* of the last fetch */
static struct derived_tpm root_tpm;	/* that answered then */

static bool copy_held_root(struct derived_root *root)
{
	bool held;

	spin_lock(&root_lock);
	held = root_held;
	if (held)
		*root = held_root;
	spin_unlock(&root_lock);
	return held;
}

static void wipe_held_root(void)
{
	spin_lock(&root_lock);
	root_held = false;
	memzero_explicit(&held_root, sizeof(held_root));
	spin_unlock(&root_lock);
}

/* Notes what was fetched, keeps it if it may, and tells the administrator. */
static void note_root(const struct derived_root *root,
		      const struct derived_tpm *tpm)
{
	const bool keep = root_mode == ROOT_CACHED && may_keep;
	bool first, changed;
	u64 before;

	spin_lock(&root_lock);
	before = root_check;
	first = !root_seen;
	changed = root_seen && before != root->check;
	root_seen = true;
	root_check = root->check;
	root_tpm = *tpm;
	root_held = keep;
	if (keep)
		held_root = *root;
	spin_unlock(&root_lock);

	if (changed)
		pr_warn("the root changed: its check value was %016llx. Every key is another one now\n",
			before);
	if (first || changed)
		pr_info("root check value %016llx, session: %s, TPM: %s, firmware %u.%u.%u.%u\n",
			root->check, tpm->session, tpm->vendor,
			tpm->firmware[0] >> 16, tpm->firmware[0] & 0xffff,
			tpm->firmware[1] >> 16, tpm->firmware[1] & 0xffff);
}

/* With fetch_lock held: from what another one fetched meanwhile, or the TPM. */
static int fetch_locked(struct derived_root *root)
{
	struct derived_tpm tpm;
	bool asked;
	int err;

	lockdep_assert_held(&fetch_lock);

	if (copy_held_root(root))
		return 0;
	if (failure && time_before(jiffies, failure_until))
		return failure;
	failure = 0;

	err = derived_tpm_fetch(root, &tpm, &asked);
	if (!err) {
		note_root(root, &tpm);
		return 0;
	}
	/*
	 * That there is no TPM costs nothing to find out, and one may turn up
	 * any moment. To be out of memory is nothing that a TPM did.
	 */
	if (asked && err != -ENOMEM && err != -EINTR) {
		failure = err;
		failure_until = jiffies + FAILURE_REMEMBERED;
	}
	return err;
}

/**
 * derived_root_get() - get K_root
 * @root:	the result; the caller wipes it
 *
 * With a held root this neither sleeps nor touches the TPM. Else it may wait
 * for up to TPM_WAITERS fetches of others, in which time a signal that kills
 * ends it, and for its own, which the TPM driver does not let anybody interrupt.
 *
 * Context: process context, of the one who asks; may sleep.
 * Return: 0; -EKEYREJECTED if it is not the root that expect_root= names;
 * -EAGAIN if too many wait, or the TPM is busy; -ENXIO without a TPM 2.0;
 * -EACCES if it refuses; -EIO if it answers nonsense; -ETIME; -ENOMEM; -EINTR.
 * On failure @root is wiped.
 */
int derived_root_get(struct derived_root *root)
{
	int err = 0;

	if (!copy_held_root(root)) {
		if (atomic_inc_return(&fetchers) > 1 + TPM_WAITERS)
			err = -EAGAIN;
		if (!err)
			err = mutex_lock_killable(&fetch_lock);
		if (!err) {
			err = fetch_locked(root);
			mutex_unlock(&fetch_lock);
		}
		atomic_dec(&fetchers);
	}
	if (!err && has_expected_check && root->check != expected_check)
		err = derived_refuse(DERIVED_CAUSE_EXPECT_ROOT, -EKEYREJECTED,
				     "the root check value is %016llx, and expect_root=%016llx",
				     root->check, expected_check);
	if (err)
		memzero_explicit(root, sizeof(*root));
	return err;
}

/*
 * Wipes the root, and the memory of a failure, so that the next request fetches
 * anew. Waits for a fetch under way, else that one would bring it back.
 */
static void forget_root(bool keep_next)
{
	lockdep_assert_held(&fetch_lock);

	may_keep = keep_next;
	failure = 0;
	wipe_held_root();
}

/*
 * Parameters.
 */

static int root_mode_set(const char *val, const struct kernel_param *kp)
{
	int mode = sysfs_match_string(root_mode_names, val);

	if (mode < 0)
		return mode;
	root_mode = mode;
	return 0;
}

static int root_mode_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", root_mode_names[root_mode]);
}

static const struct kernel_param_ops root_mode_ops = {
	.set = root_mode_set,
	.get = root_mode_get,
};
module_param_cb(root, &root_mode_ops, NULL, 0444);
MODULE_PARM_DESC(root, "the root secret is \"cached\" in memory (default), or \"transient\": fetched from the TPM for each key");

static int expect_root_set(const char *val, const struct kernel_param *kp)
{
	int err = derived_parse_check_value(val, strcspn(val, "\n"),
					    &expected_check);

	if (!err)
		has_expected_check = true;
	return err;
}

static int expect_root_get(char *buffer, const struct kernel_param *kp)
{
	if (!has_expected_check)
		return sysfs_emit(buffer, "\n");
	return sysfs_emit(buffer, "%016llx\n", expected_check);
}

static const struct kernel_param_ops expect_root_ops = {
	.set = expect_root_set,
	.get = expect_root_get,
};
module_param_cb(expect_root, &expect_root_ops, NULL, 0444);
MODULE_PARM_DESC(expect_root, "refuse every request unless the root check value is this one (16 lower-case hex digits)");

static int forget_set(const char *val, const struct kernel_param *kp)
{
	bool yes;
	int err;

	err = kstrtobool(val, &yes);
	if (err || !yes)
		return err;
	err = mutex_lock_killable(&fetch_lock);
	if (err)
		return err;
	forget_root(may_keep);
	mutex_unlock(&fetch_lock);
	return 0;
}

static const struct kernel_param_ops forget_ops = {
	.set = forget_set,
};
module_param_cb(forget, &forget_ops, NULL, 0200);
MODULE_PARM_DESC(forget, "write 1 to wipe the cached root secret; the next request fetches it anew");

static int status_get(char *buffer, const struct kernel_param *kp)
{
	struct derived_tpm tpm;
	bool held, seen;
	u64 check;

	spin_lock(&root_lock);
	held = root_held;
	seen = root_seen;
	check = root_check;
	tpm = root_tpm;
	spin_unlock(&root_lock);

	if (!seen)
		return sysfs_emit(buffer, "root check: none\nroot: %s, never fetched\n",
				  root_mode_names[root_mode]);
	return sysfs_emit(buffer,
			  "root check: %016llx\n"
			  "root: %s, %s\n"
			  "session: %s\n"
			  "TPM vendor: %s\n"
			  "TPM firmware: %u.%u.%u.%u\n",
			  check, root_mode_names[root_mode],
			  held ? "held in memory" : "not held",
			  tpm.session, tpm.vendor,
			  tpm.firmware[0] >> 16, tpm.firmware[0] & 0xffff,
			  tpm.firmware[1] >> 16, tpm.firmware[1] & 0xffff);
}

static const struct kernel_param_ops status_ops = {
	.get = status_get,
};
module_param_cb(status, &status_ops, NULL, 0400);
MODULE_PARM_DESC(status, "the root check value, the kind of root and of session, the TPM");

/*
 * Notifiers: no root in a hibernation image, nor for the kernel that kexec
 * starts. Between the notifier and the end keys are still served, but nothing
 * is kept.
 */

static void set_may_keep(bool keep)
{
	mutex_lock(&fetch_lock);
	forget_root(keep);
	mutex_unlock(&fetch_lock);
}

static int on_sleep(struct notifier_block *nb, unsigned long event, void *data)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		set_may_keep(false);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		set_may_keep(true);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block sleep_notifier = {
	.notifier_call = on_sleep,
};

static int on_reboot(struct notifier_block *nb, unsigned long event, void *data)
{
	set_may_keep(false);
	return NOTIFY_OK;
}

static struct notifier_block reboot_notifier = {
	.notifier_call = on_reboot,
};

/**
 * derived_root_init() - fetch K_root, if there is a TPM already
 *
 * Without one, or if it fails, the first request tries again.
 *
 * Context: process context, before the key type is registered.
 * Return: 0, or a negative errno if a notifier could not be registered
 */
int derived_root_init(void)
{
	struct derived_root root;
	int err;

	err = register_pm_notifier(&sleep_notifier);
	if (err)
		return err;
	err = register_reboot_notifier(&reboot_notifier);
	if (err) {
		unregister_pm_notifier(&sleep_notifier);
		return err;
	}

	if (root_mode == ROOT_CACHED) {
		mutex_lock(&fetch_lock);
		err = fetch_locked(&root);
		mutex_unlock(&fetch_lock);
		memzero_explicit(&root, sizeof(root));
		if (err)
			pr_notice("no root secret yet (errno %d): the first request will fetch it\n",
				  -err);
	}
	return 0;
}

/**
 * derived_root_exit() - wipe K_root
 *
 * Context: process context, after the key type is unregistered: nobody asks.
 */
void derived_root_exit(void)
{
	unregister_reboot_notifier(&reboot_notifier);
	unregister_pm_notifier(&sleep_notifier);
	wipe_held_root();
}
