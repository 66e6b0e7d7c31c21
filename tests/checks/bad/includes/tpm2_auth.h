/* SPDX-License-Identifier: GPL-2.0 */
/* A fixture for tests/checks/includes: an include that is allowed. */
#include "tpm2_command.h"
