# SPDX-License-Identifier: GPL-2.0
#
# What a person runs; "make help" says what there is. Kbuild is what the kernel's
# build reads.

KERNEL_RELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNEL_RELEASE)/build
PREFIX ?= /usr
DESTDIR ?=

# The virtual machine's kernels, and which tests: "make check KERNELS=6.12 TESTS=request".
KERNELS ?=
KERNEL ?= 6.12
TESTS ?=
ARGS ?=
FUZZ_SECONDS ?=

all: module

.PHONY: all module demo check check-long check-debug static selftest fuzz vm bench install uninstall clean help

help:
	@echo 'For your own kernel ($(KERNEL_RELEASE)):'
	@echo '  make                 build the module (needs the kernel headers)'
	@echo '  sudo make install    install it, load it at every boot, install the manual pages'
	@echo '  sudo make uninstall  undo that'
	@echo ''
	@echo 'In a virtual machine, with a stock Debian kernel and a software TPM:'
	@echo '  make demo            see it work: a story of several boots, with the real keyctl'
	@echo '  make vm              a shell, with the module loaded and a TPM, to play with'
	@echo '  make check           the tests, each on one kernel at least; installs what is missing'
	@echo '  make check-long      each on every kernel, and what takes long: two hours'
	@echo '  make check-debug     on a kernel that watches itself (KASAN, lockdep, kmemleak, ...):'
	@echo '                       every test, and then the lines that were never run; or TESTS="..."'
	@echo '  make bench           what a key costs'
	@echo ''
	@echo 'Parts of "make check":'
	@echo '  make static          style, sparse, kernel-doc, shellcheck, documentation'
	@echo '  make selftest        the test harness itself: what must turn a run red does'
	@echo '  make fuzz            the parser of requests, with FUZZ_SECONDS=10'
	@echo '  make check TESTS="request identity"   tests by name (tests/*/NAME.sh)'
	@echo ''
	@echo 'Variables:'
	@echo '  KERNELS="6.12 7.3"   for check (debug: the one that watches itself)'
	@echo '  ARGS="vm_seconds=600 vm_seed=1"   for check: words for the kernel'"'"'s command line, which'
	@echo '                       keyctl-fuzz and stress look at (stress: vm_rounds=N, too)'
	@echo '  KERNEL=$(KERNEL)          for demo, vm and bench'
	@echo '  KDIR=$(KDIR)'
	@echo '                       for the module: the kernel build to build against'
	@echo '  DERIVED_CACHE=DIR    where the virtual machines are kept (~/.cache/derived-keys)'
	@echo ''
	@echo 'Logs of the tests stay in build/logs.'

# The sentence that a missing directory deserves.
module:
	@test -e $(KDIR)/Makefile || { \
		echo "The headers of the kernel $(KERNEL_RELEASE) are not installed ($(KDIR) is missing)."; \
		echo "On Debian and Ubuntu: sudo apt-get install linux-headers-$(KERNEL_RELEASE)"; \
		echo "On Fedora and RHEL: sudo dnf install kernel-devel-$(KERNEL_RELEASE)"; \
		exit 1; } >&2
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

install: module
	scripts/install "$(KDIR)" "$(DESTDIR)" "$(PREFIX)"

uninstall:
	scripts/uninstall "$(KERNEL_RELEASE)" "$(DESTDIR)" "$(PREFIX)"

demo:
	@tests/setup
	@tests/vm/vm demo --kernel $(KERNEL)

vm:
	@tests/setup
	@tests/vm/vm shell --kernel $(KERNEL)

bench:
	@tests/setup
	@tests/vm/vm demo --kernel $(KERNEL) bench

check:
	@tests/setup
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/check --args "$(ARGS)" $(KERNELS:%=--kernel %) $(TESTS)

check-long:
	@tests/setup
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/check --long --args "$(ARGS)" $(KERNELS:%=--kernel %) $(TESTS)

check-debug:
	@tests/setup
	@$(if $(TESTS),,rm -rf build/logs/debug)
	@tests/vm/vm run --long --kernel debug --args "$(ARGS)" $(TESTS)
	@$(if $(TESTS),,tests/checks/coverage)

fuzz:
	@tests/setup
	@tests/checks/fuzz $(or $(FUZZ_SECONDS),10)

static:
	@tests/setup
	@tests/checks/static $(or $(KERNELS),6.12 7.3)

selftest:
	@tests/setup
	@tests/vm/vm selftest

clean:
	rm -rf build
	@test ! -e $(KDIR)/Makefile || $(MAKE) -s -C $(KDIR) M=$(CURDIR) clean
