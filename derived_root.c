// SPDX-License-Identifier: GPL-2.0
/*
 * The life of the root secret: it is fetched once or for each key, kept in
 * memory or not, and wiped.
 *
 * A TPM is slow, and others need it: IMA may use it for every program that is
 * started. So with root=cached it is asked once.
 *
 * A process that waits for the TPM holds key_types_sem. A process that loads or
 * unloads a key type then waits for that semaphore, and every later add_key(2)
 * of the system waits behind it. So no more than 1 + TPM_WAITERS processes wait
 * for the TPM; the others are refused at once.
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>
#include <crypto/sha2.h>

#include "derived.h"
#include "derived_cap.h"
#include "derived_kdf.h"
#include "derived_log.h"
#include "derived_root.h"
#include "tpm2_hmac.h"
#include "tpm2_session.h"

/* How many processes wait while another one fetches. */
#define TPM_WAITERS		7

/* After a failure, the TPM is not asked again for this time (in jiffies). */
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
 * Held during a fetch. Taken inside key_types_sem, and outside the TPM's own
 * locks.
 */
static DEFINE_MUTEX(fetch_lock);

/* Processes that hold fetch_lock or wait for it, counted before they wait. */
static atomic_t fetchers = ATOMIC_INIT(0);

/* Protects everything below. Held for a few instructions only. */
static DEFINE_SPINLOCK(root_lock);

/* The root: secret while root_held is true, else zero. */
static bool root_held;
static struct derived_root held_root;

/*
 * Whether a root may be held: not from a notifier until the hibernation,
 * restore or reboot that it announces is over.
 */
static bool may_hold = true;

/*
 * Counted up whenever the root is forgotten. A fetch of an older generation is
 * served, but neither its root nor its failure is kept.
 */
static unsigned int root_generation;

/* The last failure, and until when (64-bit jiffies) it stands. */
static int failure;
static u64 failure_until;

/* The result of the last fetch that succeeded. */
static bool root_seen;
static u64 root_check;
static struct tpm2_report root_report;

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

/*
 * Wipes the root and forgets a failure, so that the next request fetches anew.
 * It does not wait for a fetch that is already running: that fetch is served,
 * but not cached.
 */
static void forget_root_locked(void)
{
	lockdep_assert_held(&root_lock);

	root_generation++;
	failure = 0;
	root_held = false;
	memzero_explicit(&held_root, sizeof(held_root));
}

static void forget_root(void)
{
	spin_lock(&root_lock);
	forget_root_locked();
	spin_unlock(&root_lock);
}

/* A fetch. A worker runs it, because no signal can interrupt a worker. */
struct fetch {
	struct work_struct work;
	struct derived_root root;
	struct tpm2_report report;
	int err;
};

static void fetch_work(struct work_struct *work)
{
	struct fetch *fetch = container_of(work, struct fetch, work);
	const ktime_t began = ktime_get();
	u8 secret[DERIVED_ROOT_SIZE];

	fetch->err = derived_tpm_fetch(secret, &fetch->report);
	if (!fetch->err)
		derived_root_prepare(&fetch->root, secret);
	memzero_explicit(secret, sizeof(secret));
	derived_wipe_stack();
	/* The TPM is asked anyhow, and answers: look whether it was reset. */
	if (!fetch->err)
		derived_cap_watch();
	/*
	 * Others wait for the TPM, too: IMA may, for every program that is
	 * started. The TPM mutex is unfair: our next waiter may overtake the
	 * one that the mutex woke. Sleep briefly so that others get a turn. That
	 * is short, compared with the time that the TPM took.
	 */
	fsleep(clamp(ktime_us_delta(ktime_get(), began) / 32,
		     100, 20 * USEC_PER_MSEC));
}

/* Tells the administrator how far the session can be trusted. */
static void note_session(const struct tpm2_report *report, bool first,
			 bool session_changed, bool null_changed)
{
	/* Without a session of our own, the name is all zero. */
	const bool salted = report->null_name[1];

	if (report->unencrypted[0] &&
	    (first || (session_changed && derived_may_log(DERIVED_CAUSE_SESSION))))
		pr_warn("no encrypted session: %s. The root secret crossed the TPM's bus in clear, as require_encryption=0 allows\n",
			report->unencrypted);
	if (salted &&
	    (first || ((session_changed || null_changed) &&
		       derived_may_log(DERIVED_CAUSE_NULL_NAME))))
		pr_info("the name of the TPM's null primary key %s %*phN: %s\n",
			null_changed ? "changed to" : "is",
			(int)sizeof(report->null_name), report->null_name,
			null_changed ?
			"the TPM was reset (as by hibernation), or an attacker is on its bus" :
			"certify it to know that no attacker is on its bus");
}

/*
 * Keeps the result of a fetch, holds the root if that is allowed, and tells the
 * administrator. @generation is the value of root_generation when the fetch
 * began.
 */
static void note_fetch(const struct fetch *fetch, unsigned int generation)
{
	const struct tpm2_report *report = &fetch->report;
	const u64 check = fetch->root.check;
	bool first, changed, session_changed, null_changed;
	u64 check_before;

	spin_lock(&root_lock);
	/*
	 * Only a failure of a TPM is remembered. Without a TPM, the next look
	 * costs nothing, and a TPM may appear at any moment. A lack of memory is
	 * no failure of the TPM.
	 */
	if (fetch->err && fetch->err != -ENOMEM && report->asked &&
	    generation == root_generation) {
		failure = fetch->err;
		failure_until = get_jiffies_64() + FAILURE_REMEMBERED;
	}
	check_before = root_check;
	first = !root_seen;
	changed = root_seen && check_before != check;
	session_changed = root_seen && root_report.session != report->session;
	null_changed = root_seen && !session_changed &&
		       memcmp(root_report.null_name, report->null_name,
			      sizeof(report->null_name));
	if (!fetch->err) {
		root_seen = true;
		root_check = check;
		root_report = *report;
		root_held = root_mode == ROOT_CACHED && may_hold &&
			    generation == root_generation;
		if (root_held)
			held_root = fetch->root;
	}
	spin_unlock(&root_lock);

	if (report->left)
		derived_log(DERIVED_CAUSE_TPM_LEFT,
			    "the object 0x%08x could not be removed from the TPM",
			    report->left);
	if (fetch->err) {
		derived_log(report->cause, "refused: %s", report->why);
		return;
	}
	if (changed && derived_may_log(DERIVED_CAUSE_ROOT_CHANGED))
		pr_warn("the root changed: its check value was %016llx. Every key is another one now\n",
			check_before);
	if (first || ((changed || session_changed) &&
		      derived_may_log(DERIVED_CAUSE_ROOT)))
		pr_info("root check value %016llx, session: %s, TPM: %s, firmware %u.%u.%u.%u\n",
			check, report->session, report->vendor,
			report->firmware[0] >> 16, report->firmware[0] & 0xffff,
			report->firmware[1] >> 16, report->firmware[1] & 0xffff);
	note_session(report, first, session_changed, null_changed);
}

/*
 * With fetch_lock held: takes the root that another process fetched meanwhile,
 * or fetches it.
 */
static int fetch_locked(struct derived_root *root)
{
	unsigned int generation;
	struct fetch *fetch;
	int err;

	lockdep_assert_held(&fetch_lock);

	if (copy_held_root(root))
		return 0;

	spin_lock(&root_lock);
	if (failure && !time_before64(get_jiffies_64(), failure_until))
		failure = 0;
	err = failure;
	generation = root_generation;
	spin_unlock(&root_lock);
	if (err)
		return err;

	fetch = kzalloc_obj(*fetch);
	if (!fetch)
		return -ENOMEM;
	INIT_WORK(&fetch->work, fetch_work);
	queue_work(system_long_wq, &fetch->work);
	flush_work(&fetch->work);

	note_fetch(fetch, generation);
	err = fetch->err;
	if (!err)
		*root = fetch->root;
	kfree_sensitive(fetch);
	return err;
}

/**
 * derived_root_get() - get the root secret
 * @root:	the result; the caller wipes it
 *
 * If the root is held, this function does not use the TPM, and sleeps only to
 * log that expect_root= refuses. Otherwise it may first wait for up to
 * TPM_WAITERS fetches of others; a fatal signal ends this wait. Then it waits
 * for its own fetch, which nothing interrupts.
 *
 * Context: process context, of the process that asks, with key_types_sem held
 * for reading; may sleep.
 * Return: 0; -EKEYREJECTED if it is not the root that expect_root= names;
 * -EAGAIN if too many processes wait, or the TPM is busy; -ENXIO without a TPM
 * 2.0 that works; -EACCES if the TPM refuses; -EIO if it fails or answers
 * nonsense; -ETIME if it does not answer; -EOPNOTSUPP if its answer would cross
 * the bus unencrypted (require_encryption=); -ENOMEM; -EINTR if the process is
 * killed. On failure @root is wiped.
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
	size_t len = strlen(val);
	int err;

	if (len && val[len - 1] == '\n')
		len--;
	err = derived_parse_check_value(val, len, &expected_check);
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
	if (!err && yes) {
		forget_root();
		derived_cap_forget();
	}
	return err;
}

static const struct kernel_param_ops forget_ops = {
	.set = forget_set,
};
module_param_cb(forget, &forget_ops, NULL, 0200);
MODULE_PARM_DESC(forget, "write 1 to wipe the root secrets; the next request fetches the plain one anew, the capped one is gone until the next boot");

static int status_get(char *buffer, const struct kernel_param *kp)
{
	struct tpm2_report report;
	bool held, seen;
	u64 check;
	int n;

	spin_lock(&root_lock);
	held = root_held;
	seen = root_seen;
	check = root_check;
	report = root_report;
	spin_unlock(&root_lock);

	if (!seen)
		n = sysfs_emit(buffer, "root check: none\nroot: %s, never fetched\n",
			       root_mode_names[root_mode]);
	else
		n = sysfs_emit(buffer,
			       "root check: %016llx\n"
			       "root: %s, %s\n"
			       "session: %s\n"
			       "null primary: %*phN\n"
			       "TPM vendor: %s\n"
			       "TPM firmware: %u.%u.%u.%u\n",
			       check, root_mode_names[root_mode],
			       held ? "held in memory" : "not held",
			       report.session,
			       report.null_name[1] ? (int)sizeof(report.null_name) : 0,
			       report.null_name, report.vendor,
			       report.firmware[0] >> 16, report.firmware[0] & 0xffff,
			       report.firmware[1] >> 16, report.firmware[1] & 0xffff);
	return n + derived_cap_show(buffer, n);
}

/* Without this, "modprobe derived-keys status=1" would call a NULL pointer. */
static int status_set(const char *val, const struct kernel_param *kp)
{
	return -EPERM;
}

static const struct kernel_param_ops status_ops = {
	.set = status_set,
	.get = status_get,
};
module_param_cb(status, &status_ops, NULL, 0400);
MODULE_PARM_DESC(status, "the root check value, the kind of root and of session, the TPM");

/*
 * Notifiers: the root must not be in a hibernation image, nor in the memory
 * that kexec leaves to the next kernel. After the notifier, keys are still
 * served, but no root is held.
 */

static void set_may_hold(bool may)
{
	spin_lock(&root_lock);
	may_hold = may;
	forget_root_locked();
	spin_unlock(&root_lock);
	derived_cap_may_hold(may);
}

static int on_sleep(struct notifier_block *nb, unsigned long event, void *data)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		set_may_hold(false);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		set_may_hold(true);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block sleep_notifier = {
	.notifier_call = on_sleep,
};

static int on_reboot(struct notifier_block *nb, unsigned long event, void *data)
{
	set_may_hold(false);
	return NOTIFY_OK;
}

static struct notifier_block reboot_notifier = {
	.notifier_call = on_reboot,
};

/**
 * derived_root_init() - fetch the root secrets, if there is a TPM already
 *
 * Without a TPM, or after a failure, the first request tries again. If the
 * administrator has turned require_encryption off, the log says so in any case.
 *
 * Context: process context, before the key type is registered.
 * Return: 0; -EINVAL for root=transient with cap=, or for other parameters that
 * do not go together; or a negative errno if a notifier or a device could not be
 * registered
 */
int derived_root_init(void)
{
	struct derived_root root;
	int err;

	/* Each request would use the TPM, and a capped one must not. */
	if (root_mode == ROOT_TRANSIENT && derived_cap_is_on()) {
		pr_err("root=transient and cap= exclude each other\n");
		return -EINVAL;
	}
	if (!derived_require_encryption)
		pr_notice("require_encryption=0: the administrator lets the root secret cross the TPM's bus in clear, where no session encrypts it\n");

	err = register_pm_notifier(&sleep_notifier);
	if (err)
		return err;
	err = register_reboot_notifier(&reboot_notifier);
	if (err) {
		unregister_pm_notifier(&sleep_notifier);
		return err;
	}

	/* First: until the cap PCR is closed, others can fetch the capped root. */
	err = derived_cap_init();
	if (err) {
		unregister_reboot_notifier(&reboot_notifier);
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
 * derived_root_exit() - wipe the root secret
 *
 * Context: process context, after the key type is unregistered: no process asks
 * any more.
 */
void derived_root_exit(void)
{
	derived_cap_exit();
	unregister_reboot_notifier(&reboot_notifier);
	unregister_pm_notifier(&sleep_notifier);
	forget_root();
}
