// SPDX-License-Identifier: GPL-2.0
/*
 * The capped root: it is fetched once per boot, and then nobody can fetch it.
 *
 * Any program that may open the TPM device can fetch the plain root, as the
 * module does. The capped root's primary key has a policy: a PCR, the cap PCR,
 * must be zero. The module fetches the root when it is loaded, and closes the
 * cap PCR: it extends it, and only a reset of the TPM makes it zero again. The
 * limits of this are in Documentation/threat-model.rst, "The capped root": above
 * all, a program that runs before the module can fetch the capped root.
 *
 * A request never makes a TPM command here: it is served from memory, or
 * refused. A worker makes all TPM commands, because no signal can interrupt a
 * worker.
 *
 * Once the cap PCR is closed, the module cannot be unloaded: a TPM can lose its
 * PCRs over suspend, and then the cap PCR has to be closed again before user
 * space runs.
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/bits.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/device/bus.h>
#include <linux/errno.h>
#include <linux/i2c.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spi/spi.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include <linux/tpm.h>
#include <linux/workqueue.h>

#include "derived.h"
#include "derived_cap.h"
#include "derived_kdf.h"
#include "derived_log.h"
#include "tpm2_hmac.h"

/* PCRs that can be the cap PCR: see cap_set(). */
#define CAP_PCRS	(BIT(8) | BIT(9) | GENMASK(15, 11))

/* PCRs that cap_pcrs= can have, and how many. */
#define FURTHER_PCRS	(GENMASK(9, 0) | GENMASK(15, 11))
#define FURTHER_MAX	7

/* How often (in ms) a fetch that fails is tried, for fetch_tried seconds. */
#define FETCH_DELAY	250

/* How often a TPM is looked for, and how often a failure is tried again. */
#define LOOK_DELAY	HZ
#define AGAIN_DELAY	(10 * HZ)

/*
 * Once the cap PCR is closed, the module stays loaded. The attack suite's build
 * does not: so a test of many fetches needs one boot only. And a test of many
 * fetches that fail cannot wait for ten seconds each time.
 */
#ifdef DERIVED_TEST_GATES
#define STAYS_LOADED	false
static unsigned int fetch_tried = 10;
module_param(fetch_tried, uint, 0444);
MODULE_PARM_DESC(fetch_tried, "for how many seconds a fetch of the capped root that fails is tried; for tests only");
#else
#define STAYS_LOADED	true
static const unsigned int fetch_tried = 10;
#endif

static const char * const state_names[] = {
	[DERIVED_CAP_OFF]	= "off",
	[DERIVED_CAP_WAIT]	= "wait",
	[DERIVED_CAP_HELD]	= "held",
	[DERIVED_CAP_LATE]	= "late",
	[DERIVED_CAP_MISSED]	= "missed",
	[DERIVED_CAP_OPEN]	= "open",
	[DERIVED_CAP_GONE]	= "gone",
	[DERIVED_CAP_UNFIT]	= "unfit",
};

/* What a request gets. */
static const int state_errors[] = {
	[DERIVED_CAP_OFF]	= -EOPNOTSUPP,
	[DERIVED_CAP_WAIT]	= -ENXIO,
	[DERIVED_CAP_HELD]	= 0,
	[DERIVED_CAP_LATE]	= -EACCES,
	[DERIVED_CAP_MISSED]	= -EACCES,
	[DERIVED_CAP_OPEN]	= -EIO,
	[DERIVED_CAP_GONE]	= -EACCES,
	[DERIVED_CAP_UNFIT]	= -EOPNOTSUPP,
};

/* Set when the module is loaded, and not changed. cap_pcr is 0 without cap=. */
static unsigned int cap_pcr;
static u32 further_pcrs;

/* All PCRs of the policy, as "7,13". */
static char pcr_list[sizeof("15,") * (FURTHER_MAX + 1)];

/* Protects everything below. Held for a few instructions only. */
static DEFINE_SPINLOCK(cap_lock);

static enum derived_cap_state state;

/* The capped root: secret while @state is DERIVED_CAP_HELD, else zero. */
static struct derived_root held_root;

/* Of the last fetch that succeeded, and when the cap PCR was closed. */
static u64 capped_check;
static u8 capped_policy[SHA256_DIGEST_SIZE];
static s64 closed_seconds;

static const char wiped[] = "it was wiped, by forget=1, hibernation or a reboot";

/* Why the state is what it is, if it is not HELD. */
static char reason[sizeof_field(struct tpm2_report, why)];

/* As in derived_root.c: not from a notifier until what it announces is over. */
static bool may_hold = true;

/* Counted up when the root is forgotten: a fetch of before is not kept. */
static unsigned int generation;

static bool has_expected_check;
static u64 expected_check;

/*
 * Held during all that uses the TPM. Protects what follows. Taken outside the
 * TPM's own locks.
 */
static DEFINE_MUTEX(tpm_lock);

/* Of the last fetch. .tpm has a reference. */
static struct derived_capped capped;

/*
 * Whether the cap PCR was closed, by the cap event or by another extend, and so
 * has to stay closed. If another program extended it, the capped root cannot be
 * fetched in this boot, but it could be after the TPM has lost its PCRs.
 */
static bool is_closed;

/* Whether the module has a reference to itself. */
static bool has_reference;

/* How often the system resumed since the TPM's counters were read last. */
static unsigned int resumes;

/* Whether the cap PCR is to be looked at again. */
static bool look_again;

/* A device of ours, which sleeps before the TPM and wakes up after it. */
static struct device *sleep_device;

/* The TPM's parent device that it is linked to, if it has one. */
static const struct device *linked_to;
static bool is_linked;

/* From .prepare to .complete. The worker would change the order of devices. */
static bool asleep;

/* The state and the reason that the log had last, of those that may pass. */
static enum derived_cap_state logged_state;
static char logged_reason[sizeof(reason)];

/* Whether the log says that the cap PCR is open. */
static bool logged_open;

static void cap_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(cap_worker, cap_work);

static enum derived_cap_state current_state(void)
{
	enum derived_cap_state now;

	spin_lock(&cap_lock);
	now = state;
	spin_unlock(&cap_lock);
	return now;
}

/*
 * The fetch.
 */

/* Makes suspend and resume wait for the TPM's. */
static void link_to_tpm(void)
{
	if (is_linked && linked_to == capped.tpm)
		return;
	linked_to = capped.tpm;
	is_linked = !capped.tpm ||
		    device_link_add(sleep_device, capped.tpm, DL_FLAG_STATELESS);
	if (!is_linked)
		pr_warn("no link to the TPM's device: the system cannot suspend any more\n");
}

/*
 * Whether a state that may pass is new: the worker finds it again and again. The
 * rate limits of derived_may_log() are not used: one of them would let a notice
 * that there is no TPM yet hide the error that the cap PCR is open.
 */
static bool is_new(enum derived_cap_state now, const char *why)
{
	const bool same = now == logged_state && !strcmp(why, logged_reason);

	logged_state = now;
	strscpy(logged_reason, why);
	return !same;
}

/* Tells the administrator what became of a fetch. */
static void log_fetch(enum derived_cap_state now, const char *why,
		      const struct tpm2_report *report, u64 check)
{
	const bool news = is_new(now, why);

	if (report->left)
		pr_notice("the object 0x%08x could not be removed from the TPM\n",
			  report->left);
	switch (now) {
	case DERIVED_CAP_HELD:
		pr_info("capped root check value %016llx, PCRs %s, policy %*phN, session: %s, TPM: %s. PCR %u was closed %lld s after the boot\n",
			check, pcr_list, SHA256_DIGEST_SIZE, capped.policy,
			report->session, report->vendor, cap_pcr,
			ktime_get_boottime_seconds());
		pr_info("the name of the TPM's null primary key was %*phN for the capped root: certify it to know that no attacker is on its bus\n",
			(int)sizeof(report->null_name), report->null_name);
		break;
	case DERIVED_CAP_WAIT:
		if (news)
			pr_notice("no capped root yet: %s\n", why);
		break;
	case DERIVED_CAP_OPEN:
		if (news)
			pr_err("no capped root, and PCR %u is not closed, so another program can fetch it: %s\n",
			       cap_pcr, why);
		break;
	case DERIVED_CAP_GONE:
		pr_notice("no capped root in this boot (gone): %s\n", why);
		break;
	default:
		pr_err("no capped root in this boot (%s): %s\n",
		       state_names[now], why);
		break;
	}
}

static const char wiped_by_hibernation[] =
	"it was wiped before the hibernation, and the cap PCR was closed when the system resumed";

/*
 * Keeps the result of a fetch. @began is the generation when it began, @before
 * the state.
 */
static void note_fetch(const struct derived_root *root,
		       const struct tpm2_report *report, unsigned int began,
		       enum derived_cap_state before)
{
	enum derived_cap_state now = capped.state;
	const char *why = report->why;

	spin_lock(&cap_lock);
	memzero_explicit(&held_root, sizeof(held_root));
	if (now == DERIVED_CAP_HELD) {
		capped_check = root->check;
		memcpy(capped_policy, capped.policy, sizeof(capped_policy));
		closed_seconds = ktime_get_boottime_seconds();
		why = "";
		if (may_hold && began == generation) {
			held_root = *root;
		} else {
			now = DERIVED_CAP_GONE;
			why = wiped;
		}
	} else if (now == DERIVED_CAP_LATE && before == DERIVED_CAP_GONE &&
		   capped.closed) {
		now = DERIVED_CAP_GONE;
		why = wiped_by_hibernation;
	}
	state = now;
	strscpy(reason, why);
	spin_unlock(&cap_lock);
	log_fetch(now, why, report, root->check);
}

/*
 * With tpm_lock held: fetches, and tries for a while if that fails. If the cap
 * PCR is known to be open, the first try closes it in any case.
 */
static void fetch(void)
{
	u64 give_up = get_jiffies_64() + fetch_tried * HZ;
	u8 secret[DERIVED_ROOT_SIZE];
	struct derived_root root = { };
	enum derived_cap_state before;
	struct tpm2_report report;
	unsigned int began;

	spin_lock(&cap_lock);
	began = generation;
	before = state;
	spin_unlock(&cap_lock);
	if (before == DERIVED_CAP_OPEN)
		give_up = get_jiffies_64();

	capped.extended = false;
	for (;;) {
		put_device(capped.tpm);
		capped.tpm = NULL;
		capped.last = !time_before64(get_jiffies_64(), give_up);
		if (!derived_tpm_fetch_capped(&capped, secret, &report))
			derived_root_prepare(&root, secret);
		memzero_explicit(secret, sizeof(secret));
		derived_wipe_stack();
		/* A TPM that is there and fails may work a moment later. */
		if (capped.last ||
		    !(capped.state == DERIVED_CAP_OPEN ||
		      (capped.state == DERIVED_CAP_WAIT && capped.is_tpm2)))
			break;
		msleep(FETCH_DELAY);
	}
	if (capped.closed || capped.state == DERIVED_CAP_LATE)
		link_to_tpm();
	note_fetch(&root, &report, began, before);
	memzero_explicit(&root, sizeof(root));
}

/*
 * With tpm_lock held: fetches, with a reference to this module. It is kept if the
 * cap PCR has to stay closed, and then also the next fetch has it.
 */
static void fetch_with_reference(void)
{
	if (!has_reference) {
		/* Not if the module is being removed. */
		if (!try_module_get(THIS_MODULE))
			return;
		has_reference = true;
	}
	fetch();
	is_closed = capped.closed || capped.state == DERIVED_CAP_LATE;
	if (!is_closed || !STAYS_LOADED) {
		module_put(THIS_MODULE);
		has_reference = false;
	}
}

/*
 * Tells the administrator that the cap PCR was open, and when it is closed
 * again: once each.
 */
static void log_open(void)
{
	if (capped.was_open && !logged_open)
		pr_alert("the TPM lost its PCRs: PCR %u was open, and another program could fetch the capped root. %s\n",
			 cap_pcr, capped.closed ? "It is closed again" :
						  "It could not be closed again yet");
	else if (logged_open && capped.closed)
		pr_alert("PCR %u is closed again\n", cap_pcr);
	logged_open = capped.was_open && !capped.closed;
}

/*
 * With tpm_lock held: looks whether the cap PCR is still closed. Returns whether
 * another look may succeed a moment later.
 */
static bool watch(void)
{
	const struct derived_resets before = capped.resets;
	const bool had_resets = capped.has_resets;
	struct tpm2_report report;
	u32 restarts;
	int err;

	if (!is_closed)
		return false;
	err = derived_tpm_watch_capped(&capped, &report);
	look_again = err;
	if (err) {
		if (capped.was_open)
			log_open();
		else if (is_new(DERIVED_CAP_HELD, report.why))
			pr_warn("PCR %u cannot be looked at: %s\n", cap_pcr,
				report.why);
		queue_delayed_work(system_long_wq, &cap_worker, LOOK_DELAY);
		return report.asked && err != -ENODEV;
	}
	log_open();

	/* Each suspend may make one TPM Resume, which keeps the PCRs. */
	restarts = capped.resets.restart - before.restart;
	if (had_resets && !capped.was_open &&
	    (capped.resets.reset != before.reset || restarts > resumes) &&
	    derived_may_log(DERIVED_CAUSE_CAP_LOST))
		pr_alert("the TPM was reset or cleared, and not the machine: PCR %u may have been open, and another program may know the capped root\n",
			 cap_pcr);
	resumes = 0;
	return false;
}

/*
 * The worker: it fetches when there is a TPM, closes a cap PCR that is still
 * open, and looks at one that could not be looked at.
 */
static void cap_work(struct work_struct *work)
{
	enum derived_cap_state now;
	bool may;

	mutex_lock(&tpm_lock);
	if (asleep) {
		/* on_complete() starts it again. */
		mutex_unlock(&tpm_lock);
		return;
	}
	if (look_again)
		watch();

	spin_lock(&cap_lock);
	now = state;
	may = may_hold;
	spin_unlock(&cap_lock);
	if ((now == DERIVED_CAP_WAIT || now == DERIVED_CAP_OPEN) && may)
		fetch_with_reference();
	mutex_unlock(&tpm_lock);

	now = current_state();
	if (now == DERIVED_CAP_WAIT)
		queue_delayed_work(system_long_wq, &cap_worker, LOOK_DELAY);
	else if (now == DERIVED_CAP_OPEN)
		queue_delayed_work(system_long_wq, &cap_worker, AGAIN_DELAY);
}

/**
 * derived_cap_watch() - look whether the cap PCR is still closed
 *
 * To be called when the TPM is asked anyhow. A TPM that is reset while the
 * machine runs has lost its PCRs.
 *
 * Context: a worker; sleeps until the TPM answers.
 */
void derived_cap_watch(void)
{
	/* If it is held, the cap PCR is looked at anyhow. */
	if (!mutex_trylock(&tpm_lock))
		return;
	watch();
	mutex_unlock(&tpm_lock);
}

/*
 * A TPM that appears later. Its class is not exported to modules, nor is the
 * ACPI bus, so the worker also looks every second.
 */

static int on_bus(struct notifier_block *nb, unsigned long event, void *data)
{
	if (event == BUS_NOTIFY_BOUND_DRIVER && current_state() == DERIVED_CAP_WAIT)
		mod_delayed_work(system_long_wq, &cap_worker, 0);
	return NOTIFY_OK;
}

/* A notifier of each bus that a TPM may be on. */
static const struct {
	const struct bus_type *bus;
	struct notifier_block *notifier;
} buses[] = {
#define BUS(type) { &(type), &(struct notifier_block){ .notifier_call = on_bus } }
	BUS(platform_bus_type),
#if IS_BUILTIN(CONFIG_SPI)
	BUS(spi_bus_type),
#endif
#if IS_BUILTIN(CONFIG_I2C)
	BUS(i2c_bus_type),
#endif
};

/*
 * Requests.
 */

/**
 * derived_cap_get() - get the capped root secret
 * @root:	the result; the caller wipes it
 * @pinned:	the result: whether expect_capped_root= is set
 *
 * It never uses the TPM, and sleeps only to log a refusal.
 *
 * Context: process context, of the process that asks.
 * Return: 0; -EKEYREJECTED if it is not the root that expect_capped_root= names;
 * -EOPNOTSUPP without cap=, or if the TPM cannot protect it; -ENXIO while there
 * is no TPM; -EACCES if it was not fetched in this boot, or was wiped; -EIO while
 * the cap PCR is not closed. On failure @root is wiped
 */
int derived_cap_get(struct derived_root *root, bool *pinned)
{
	enum derived_cap_state now;
	char why[sizeof(reason)];
	u64 expected;

	spin_lock(&cap_lock);
	now = state;
	if (now == DERIVED_CAP_HELD)
		*root = held_root;
	else
		memset(root, 0, sizeof(*root));
	*pinned = has_expected_check;
	expected = expected_check;
	if (now != DERIVED_CAP_HELD)
		strscpy(why, reason);
	spin_unlock(&cap_lock);

	if (now == DERIVED_CAP_OFF)
		return derived_refuse(DERIVED_CAUSE_CAPPED_REQUEST, state_errors[now],
				      "there is no capped root: the module was loaded without cap=");
	if (now != DERIVED_CAP_HELD)
		return derived_refuse(DERIVED_CAUSE_CAPPED_REQUEST, state_errors[now],
				      "the capped root is not held (%s): %s",
				      state_names[now], why);
	if (*pinned && root->check != expected) {
		derived_log(DERIVED_CAUSE_EXPECT_CAPPED,
			    "refused: the capped root check value is %016llx (PCRs %s), and expect_capped_root=%016llx",
			    root->check, pcr_list, expected);
		memzero_explicit(root, sizeof(*root));
		return -EKEYREJECTED;
	}
	return 0;
}

/**
 * derived_cap_pcrs() - the PCRs of the capped root's policy
 *
 * Context: any.
 * Return: a list like "7,13", static; empty without cap=
 */
const char *derived_cap_pcrs(void)
{
	return pcr_list;
}

/**
 * derived_cap_is_on() - whether there is a cap=
 *
 * Context: any.
 * Return: true if there is
 */
bool derived_cap_is_on(void)
{
	return cap_pcr;
}

/**
 * derived_cap_forget() - wipe the capped root secret
 *
 * It cannot be fetched again before the next boot, because the cap PCR is
 * closed.
 *
 * Context: process context.
 */
void derived_cap_forget(void)
{
	spin_lock(&cap_lock);
	generation++;
	if (state == DERIVED_CAP_HELD) {
		state = DERIVED_CAP_GONE;
		strscpy(reason, wiped);
	}
	memzero_explicit(&held_root, sizeof(held_root));
	spin_unlock(&cap_lock);
}

/**
 * derived_cap_may_hold() - allow or forbid the secret in memory
 * @may:	false before a hibernation, restore or reboot: the secret is wiped
 *
 * Context: process context.
 */
void derived_cap_may_hold(bool may)
{
	spin_lock(&cap_lock);
	may_hold = may;
	spin_unlock(&cap_lock);
	if (!may)
		derived_cap_forget();
}

/**
 * derived_cap_show() - show the capped root in the parameter status
 * @buffer:	of the parameter, a page
 * @at:		bytes that are in it already
 *
 * Return: bytes added
 */
int derived_cap_show(char *buffer, int at)
{
	u8 policy[SHA256_DIGEST_SIZE];
	enum derived_cap_state now;
	char why[sizeof(reason)];
	s64 seconds;
	u64 check;
	int n;

	spin_lock(&cap_lock);
	now = state;
	check = capped_check;
	memcpy(policy, capped_policy, sizeof(policy));
	seconds = closed_seconds;
	strscpy(why, reason);
	spin_unlock(&cap_lock);

	n = sysfs_emit_at(buffer, at, "capped: %s\n", state_names[now]);
	if (now == DERIVED_CAP_OFF)
		return n;
	n += sysfs_emit_at(buffer, at + n, "capped PCRs: %s\n", pcr_list);
	if (now == DERIVED_CAP_HELD)
		n += sysfs_emit_at(buffer, at + n,
				   "capped root check: %016llx\n"
				   "capped policy: %*phN\n"
				   "capped after: %lld s\n",
				   check, (int)sizeof(policy), policy, seconds);
	else
		n += sysfs_emit_at(buffer, at + n, "capped reason: %s\n", why);
	return n;
}

/*
 * Parameters.
 */

/*
 * 0 to 7 are never zero; 10 is IMA's; 16 and 23 can be reset by anybody, and do
 * not count as changes for TPM2_PolicyPCR; 17 to 22 belong to a DRTM.
 */
static int cap_set(const char *val, const struct kernel_param *kp)
{
	unsigned int pcr;
	int err;

	err = kstrtouint(val, 10, &pcr);
	if (err || pcr >= DERIVED_PCRS || !(BIT(pcr) & CAP_PCRS)) {
		pr_err("cap= takes one of the PCRs 8, 9, 11 to 15\n");
		return -EINVAL;
	}
	cap_pcr = pcr;
	return 0;
}

static int cap_get(char *buffer, const struct kernel_param *kp)
{
	return cap_pcr ? sysfs_emit(buffer, "%u\n", cap_pcr) :
			 sysfs_emit(buffer, "off\n");
}

static const struct kernel_param_ops cap_ops = {
	.set = cap_set,
	.get = cap_get,
};
module_param_cb(cap, &cap_ops, NULL, 0444);
MODULE_PARM_DESC(cap, "the PCR that is closed when the capped root is fetched: 8, 9, 11 to 15 (default: no capped root)");

static int cap_pcrs_set(const char *val, const struct kernel_param *kp)
{
	char copy[sizeof(pcr_list)], *rest = copy, *word;
	unsigned int pcr;
	u32 pcrs = 0;

	if (strscpy(copy, val) < 0) {
		pr_err("cap_pcrs= is too long\n");
		return -EINVAL;
	}
	strim(copy);
	while ((word = strsep(&rest, ","))) {
		if (kstrtouint(word, 10, &pcr) || pcr >= DERIVED_PCRS ||
		    !(BIT(pcr) & FURTHER_PCRS) || (BIT(pcr) & pcrs)) {
			pr_err("cap_pcrs= takes a list of PCRs, each of 0 to 9 and 11 to 15 once\n");
			return -EINVAL;
		}
		pcrs |= BIT(pcr);
	}
	further_pcrs = pcrs;
	return 0;
}

/* Writes a list of PCRs. Returns its length. */
static int list_pcrs(char *list, size_t size, u32 pcrs)
{
	unsigned int i;
	int n = 0;

	*list = '\0';
	for (i = 0; i < DERIVED_PCRS; i++)
		if (pcrs & BIT(i))
			n += scnprintf(list + n, size - n, n ? ",%u" : "%u", i);
	return n;
}

static int cap_pcrs_get(char *buffer, const struct kernel_param *kp)
{
	int n = list_pcrs(buffer, PAGE_SIZE - 1, further_pcrs);

	return n + sysfs_emit_at(buffer, n, "\n");
}

static const struct kernel_param_ops cap_pcrs_ops = {
	.set = cap_pcrs_set,
	.get = cap_pcrs_get,
};
module_param_cb(cap_pcrs, &cap_pcrs_ops, NULL, 0444);
MODULE_PARM_DESC(cap_pcrs, "further PCRs to which the capped root is bound, 4 or 7 among them: 7, or 4,7,8,9 (default: none)");

static int expect_capped_set(const char *val, const struct kernel_param *kp)
{
	size_t len = strlen(val);
	u64 check;
	int err;

	if (len && val[len - 1] == '\n')
		len--;
	err = derived_parse_check_value(val, len, &check);
	if (err)
		return err;
	/* Once: a later change would let another root pass. */
	spin_lock(&cap_lock);
	if (has_expected_check) {
		err = -EPERM;
	} else {
		expected_check = check;
		has_expected_check = true;
	}
	spin_unlock(&cap_lock);
	return err;
}

static int expect_capped_get(char *buffer, const struct kernel_param *kp)
{
	bool has;
	u64 check;

	spin_lock(&cap_lock);
	has = has_expected_check;
	check = expected_check;
	spin_unlock(&cap_lock);
	return has ? sysfs_emit(buffer, "%016llx\n", check) :
		     sysfs_emit(buffer, "\n");
}

static const struct kernel_param_ops expect_capped_ops = {
	.set = expect_capped_set,
	.get = expect_capped_get,
};
module_param_cb(expect_capped_root, &expect_capped_ops, NULL, 0644);
MODULE_PARM_DESC(expect_capped_root, "refuse every capped key unless the capped root check value is this one (16 lower-case hex digits); it can be written once");

/*
 * Sleep. User space is frozen in all of these functions. A PM notifier would be
 * too late: it is called when user space runs again.
 */

/* Why the system may not sleep, or NULL. */
static const char *why_awake(void)
{
	struct tpm_chip *chip;
	const char *why = NULL;

	if (!is_linked)
		return "its device has no link to the TPM's";
	chip = tpm_default_chip();
	if (!chip)
		return "the TPM is unbound or disabled";
	if (chip->dev.parent != capped.tpm)
		why = "the TPM that gave the capped root is not the first one";
	else if (tpm_try_get_ops(chip))
		why = "the TPM is unbound or disabled";
	else
		tpm_put_ops(chip);
	put_device(&chip->dev);
	return why;
}

/* What .prepare decided: a work has no return value. */
static int prepared;

/*
 * Refuses to sleep while no driver has the TPM. A driver that is unbound sends
 * TPM2_Shutdown(CLEAR). With nothing saved, the TPM would come back with a cap
 * PCR that is open, and no driver could close it. After a hibernation that does
 * not matter, because the TPM is reset anyhow.
 *
 * It also reads the TPM's counters, so that on_resume() excuses the restart of
 * this sleep alone: else a suspend to idle, which restarts no TPM, would excuse
 * one that root has made before.
 */
static void prepare_work(struct work_struct *work)
{
	const char *why = NULL;
	bool may;

	mutex_lock(&tpm_lock);
	spin_lock(&cap_lock);
	may = may_hold;
	spin_unlock(&cap_lock);
	if (is_closed && may)
		why = why_awake();
	if (is_closed && may && !why)
		watch();
	if (why && derived_may_log(DERIVED_CAUSE_SUSPEND))
		pr_err("refused to sleep: %s, so PCR %u could not be closed again afterwards\n",
		       why, cap_pcr);
	prepared = why ? -EBUSY : 0;
	asleep = !why;
	mutex_unlock(&tpm_lock);
}

/* Looks for as long as a fetch is tried: user space must not run before. */
static void watch_for_long(void)
{
	const u64 give_up = get_jiffies_64() + fetch_tried * HZ;

	while (watch() && time_before64(get_jiffies_64(), give_up))
		msleep(FETCH_DELAY);
}

static void resume_work(struct work_struct *work)
{
	mutex_lock(&tpm_lock);
	resumes++;
	watch_for_long();
	mutex_unlock(&tpm_lock);
}

/*
 * After a hibernation the TPM was reset: the cap PCR may be open, and then the
 * capped root is fetched. Xen restores a guest without the notifier that wipes
 * the root, and without a reset of the TPM.
 */
static void restore_work(struct work_struct *work)
{
	enum derived_cap_state now;

	mutex_lock(&tpm_lock);
	spin_lock(&cap_lock);
	may_hold = true;
	now = state;
	spin_unlock(&cap_lock);
	if (now == DERIVED_CAP_HELD)
		watch_for_long();
	else
		fetch_with_reference();
	mutex_unlock(&tpm_lock);
}

/* A worker: the TPM driver stops waiting when a signal is pending. */
static void run_in_worker(work_func_t function)
{
	struct work_struct work;

	INIT_WORK_ONSTACK(&work, function);
	queue_work(system_long_wq, &work);
	flush_work(&work);
	destroy_work_on_stack(&work);
}

static int __maybe_unused on_prepare(struct device *dev)
{
	run_in_worker(prepare_work);
	return prepared;
}

/* Also after a sleep that failed, if on_prepare() allowed it. */
static void __maybe_unused on_complete(struct device *dev)
{
	mutex_lock(&tpm_lock);
	asleep = false;
	mutex_unlock(&tpm_lock);
	mod_delayed_work(system_long_wq, &cap_worker, 0);
}

static int __maybe_unused on_resume(struct device *dev)
{
	run_in_worker(resume_work);
	return 0;
}

static int __maybe_unused on_restore(struct device *dev)
{
	run_in_worker(restore_work);
	return 0;
}

static const struct dev_pm_ops sleep_ops = {
	.prepare = pm_sleep_ptr(on_prepare),
	.complete = pm_sleep_ptr(on_complete),
	.resume = pm_sleep_ptr(on_resume),
	.restore = pm_sleep_ptr(on_restore),
};

static const struct device_type sleep_type = {
	.name = "derived-keys",
	.pm = pm_sleep_ptr(&sleep_ops),
};

static void release_device(struct device *dev)
{
	kfree(dev);
}

static int add_sleep_device(void)
{
	struct device *dev = kzalloc_obj(*dev);
	int err;

	if (!dev)
		return -ENOMEM;
	device_initialize(dev);
	dev->type = &sleep_type;
	dev->release = release_device;
	err = dev_set_name(dev, "derived-keys");
	if (!err)
		err = device_add(dev);
	if (err) {
		put_device(dev);
		return err;
	}
	sleep_device = dev;
	return 0;
}

static void remove_sleep_device(void)
{
	device_unregister(sleep_device);
	/* The link drops its reference later, and then calls release_device(). */
	device_link_wait_removal();
}

static void remove_notifiers(size_t count)
{
	while (count--)
		bus_unregister_notifier(buses[count].bus, buses[count].notifier);
}

/**
 * derived_cap_init() - fetch the capped root and close the cap PCR, with cap=
 *
 * It waits for the fetch, which is tried for fetch_tried and the TPM's time.
 * Without a TPM, or if the cap PCR cannot be closed, a worker goes on.
 *
 * Context: process context, before the key type is registered.
 * Return: 0; -EINVAL for parameters that do not go together; or a negative errno
 * if the device or a notifier could not be registered
 */
int derived_cap_init(void)
{
	size_t i;
	int err;

	if (further_pcrs && !cap_pcr) {
		pr_err("cap_pcrs= needs cap=\n");
		return -EINVAL;
	}
	if (!cap_pcr)
		return 0;
	if (further_pcrs & BIT(cap_pcr) || hweight32(further_pcrs) > FURTHER_MAX) {
		pr_err("cap_pcrs= takes at most %d PCRs, and not the one of cap=\n",
		       FURTHER_MAX);
		return -EINVAL;
	}
	/*
	 * 8 to 15 are zero when the firmware ends, and any program can extend
	 * them: another system replays them from an event log.
	 */
	if (further_pcrs && !(further_pcrs & (BIT(4) | BIT(7)))) {
		pr_err("cap_pcrs= needs PCR 4 or 7: another system can bring 8 to 15 to any value that they have here\n");
		return -EINVAL;
	}
	list_pcrs(pcr_list, sizeof(pcr_list), further_pcrs | BIT(cap_pcr));
	capped.cap = cap_pcr;
	capped.further = further_pcrs;

	err = add_sleep_device();
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(buses); i++) {
		err = bus_register_notifier(buses[i].bus, buses[i].notifier);
		if (err)
			goto out_notifiers;
	}

	state = DERIVED_CAP_WAIT;
	queue_delayed_work(system_long_wq, &cap_worker, 0);
	flush_delayed_work(&cap_worker);
	return 0;

out_notifiers:
	remove_notifiers(i);
	remove_sleep_device();
	return err;
}

/**
 * derived_cap_stay() - do not return while the cap PCR has to stay closed
 *
 * An unload by force ("rmmod -f", CONFIG_MODULE_FORCE_UNLOAD) does not ask for
 * the references to the module. Without the module, root could open the cap PCR:
 * by unbinding the TPM's driver and suspending the system. So the process that
 * unloads the module sleeps for ever, and everything stays as it is.
 *
 * Context: process context, first of all when the module is unloaded.
 */
void derived_cap_stay(void)
{
	bool stays;

	mutex_lock(&tpm_lock);
	stays = STAYS_LOADED && is_closed;
	mutex_unlock(&tpm_lock);
	if (stays)
		pr_err("an unload by force is refused: PCR %u has to stay closed. The process sleeps until the next boot\n",
		       cap_pcr);
	while (stays) {
		/* No signal wakes it up, and it does not keep the system awake. */
		set_current_state(TASK_IDLE | TASK_FREEZABLE);
		schedule();
	}
}

/**
 * derived_cap_exit() - wipe the capped root secret, and stop the worker
 *
 * With a cap PCR that is closed, it is only called if the module fails to load.
 *
 * Context: process context, after the key type is unregistered.
 */
void derived_cap_exit(void)
{
	if (!cap_pcr)
		return;
	remove_notifiers(ARRAY_SIZE(buses));
	remove_sleep_device();
	cancel_delayed_work_sync(&cap_worker);
	derived_cap_forget();
	put_device(capped.tpm);
}
