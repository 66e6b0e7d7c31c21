/* SPDX-License-Identifier: GPL-2.0 */
/* A fixture for tests/checks/includes: an include that goes up, and closes a circle. */
#include "tpm2_auth.h"
