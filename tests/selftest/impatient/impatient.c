// SPDX-License-Identifier: GPL-2.0
/*
 * A module that makes the TPM driver impatient. While it is loaded, the driver
 * waits at most ms= for a command. Otherwise it waits up to five minutes for a
 * TPM that hangs.
 */
#include <linux/jiffies.h>
#include <linux/kprobes.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/ptrace.h>

static unsigned int ms = 1000;
module_param(ms, uint, 0444);
MODULE_PARM_DESC(ms, "how long the TPM driver waits for a TPM");

static int returns(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	regs_set_return_value(regs, min(regs_return_value(regs),
					msecs_to_jiffies(ms)));
	return 0;
}

static struct kretprobe duration = {
	.kp.symbol_name = "tpm2_calc_ordinal_duration",
	.handler = returns,
	.maxactive = 16,
};

static int __init impatient_init(void)
{
	return register_kretprobe(&duration);
}

static void __exit impatient_exit(void)
{
	unregister_kretprobe(&duration);
}

module_init(impatient_init);
module_exit(impatient_exit);
MODULE_DESCRIPTION("An impatient TPM driver, for the tests");
MODULE_LICENSE("GPL");
