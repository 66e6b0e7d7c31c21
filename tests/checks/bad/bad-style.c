// SPDX-License-Identifier: GPL-2.0
/* A fixture for tests/checks/static: what checkpatch must catch. */
int derived_bad_style( int a ){
  return(a);
}
