#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A fixture for scripts/check-static: what shellcheck must catch.
name=$1
rm $name
