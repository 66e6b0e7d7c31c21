// SPDX-License-Identifier: GPL-2.0
/*
 * A module with one of several faults. Each fault must turn the run red on a
 * kernel that checks for it.
 */
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "overrun, free, shift, leak, order or sleep");

static DEFINE_MUTEX(one);
static DEFINE_MUTEX(two);
static DEFINE_SPINLOCK(lock);

static int sink;

static void overrun(void)
{
	u8 *p = kmalloc(16, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	if (p)
		WRITE_ONCE(sink, p[16]);
	kfree(p);
}

static void use_after_free(void)
{
	u8 *p = kmalloc(16, GFP_KERNEL);

	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	if (p)
		WRITE_ONCE(sink, p[0]);
}

static void shift(void)
{
	int by = 33;

	OPTIMIZER_HIDE_VAR(by);
	WRITE_ONCE(sink, 1 << by);
}

static void leak(void)
{
	int i;

	/* Leak several, because a stale pointer to one of them may remain. */
	for (i = 0; i < 16; i++) {
		void *p = kmalloc(100, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
}

static void wrong_order(void)
{
	mutex_lock(&one);
	mutex_lock(&two);
	mutex_unlock(&two);
	mutex_unlock(&one);

	mutex_lock(&two);
	mutex_lock(&one);
	mutex_unlock(&one);
	mutex_unlock(&two);
}

static void sleep_in_spinlock(void)
{
	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
}

static const struct {
	const char *name;
	void (*make)(void);
} faults[] = {
	{ "overrun", overrun },
	{ "free", use_after_free },
	{ "shift", shift },
	{ "leak", leak },
	{ "order", wrong_order },
	{ "sleep", sleep_in_spinlock },
};

static int __init faulty_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(fault, faults[i].name)) {
			faults[i].make();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit faulty_exit(void)
{
}

module_init(faulty_init);
module_exit(faulty_exit);
MODULE_DESCRIPTION("A fault, for the test harness");
MODULE_LICENSE("GPL");
