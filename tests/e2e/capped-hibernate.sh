#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-hibernate.sh: the capped root over hibernation. It is wiped before. After it, the kernel of the image
# fetches it again, if the kernel that booted has not closed the cap PCR.
#
# Boot 1 makes an image of a machine with the module, and goes on, as after a hibernation that was aborted.
# Boot 2 boots without the module, and resumes from that image. Boot 3 boots, loads the module as an initramfs
# would, and resumes from the same image. Boot 4 aborts hibernations in other ways.
#
# The test is capped-hibernate.py, with tpm.observer on the host.
#
# vm: boot tpm=golden memory=512 timeout=400 proxy="any:delay=0"
# vm: boot tpm=golden memory=512 timeout=400 proxy="any:delay=0"
# vm: boot tpm=golden memory=512 timeout=400 proxy="any:delay=0"
# vm: boot tpm=golden memory=512 timeout=400 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: disk 512M
# vm: long[6.12] four boots, and two times a machine resumes from an image

exec python3 "$DERIVED/tests/e2e/capped-hibernate.py"
