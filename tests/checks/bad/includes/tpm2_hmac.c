// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/includes: an include across, from the TPM to the caller. */
/* #include "derived_root.h" */
#include <derived_root.h>
#include "derived_log.h"
#include "derived_identity.h"
