// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/includes: a file that is not in the table. */
#include "derived_new.h"
