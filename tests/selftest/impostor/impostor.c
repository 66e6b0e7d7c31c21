// SPDX-License-Identifier: GPL-2.0
/*
 * Another key type with the name "derived". Its payload has the same layout as
 * ours, so a consumer that mistakes it for ours is noticed, and does no harm.
 */
#include <linux/key-type.h>
#include <linux/module.h>
#include <keys/user-type.h>

static struct key_type impostor = {
	.name		= "derived",
	.preparse	= user_preparse,
	.free_preparse	= user_free_preparse,
	.instantiate	= generic_key_instantiate,
	.revoke		= user_revoke,
	.destroy	= user_destroy,
	.describe	= user_describe,
};

static int __init impostor_init(void)
{
	return register_key_type(&impostor);
}

static void __exit impostor_exit(void)
{
	unregister_key_type(&impostor);
}

module_init(impostor_init);
module_exit(impostor_exit);
MODULE_DESCRIPTION("Another key type of the same name");
MODULE_LICENSE("GPL");
