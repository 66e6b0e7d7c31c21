# SPDX-License-Identifier: GPL-2.0
#
# The commands for users; "make help" lists them. The kernel's build reads Kbuild.

KERNEL_RELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNEL_RELEASE)/build
PREFIX ?= /usr
DESTDIR ?=

# The kernels of the virtual machine, and the tests: "make check KERNELS=6.12 TESTS=request".
KERNELS ?=
KERNEL ?= 6.12
TESTS ?=
ARGS ?=
FUZZ_SECONDS ?=

all: module

.PHONY: all module demo check check-long check-debug static selftest fuzz packages vm bench deb install uninstall clean help

help:
	@echo 'For your own kernel ($(KERNEL_RELEASE)):'
	@echo '  make                 build the module (this needs the kernel headers)'
	@echo '  sudo make install    install it, load it at every boot, install programs and manual pages'
	@echo '  sudo make uninstall  remove what "make install" has installed'
	@echo ''
	@echo 'For every kernel, also after an update:'
	@echo '  make deb             build the Debian packages in build/deb: DKMS builds and signs the module'
	@echo ''
	@echo 'In a virtual machine, with a stock Debian kernel and a software TPM:'
	@echo '  make demo            see the module at work over several boots, with the real keyctl'
	@echo '  make vm              a shell to try things, with the module loaded and with a TPM'
	@echo '  make check           each test on at least one kernel; first installs missing packages'
	@echo '  make check-long      each test on every kernel, and the long tests: two hours'
	@echo '  make check-debug     every test (or TESTS="...") on a kernel with checkers (KASAN, lockdep,'
	@echo '                       kmemleak, ...); then list the lines of the module that were never run'
	@echo '  make bench           measure how long a key takes'
	@echo ''
	@echo 'Parts of "make check":'
	@echo '  make static          style, sparse, kernel-doc, shellcheck, documentation'
	@echo '  make selftest        the harness itself: each fault must turn a run red'
	@echo '  make packages        build the packages, install, upgrade and remove them in Debian 13'
	@echo '  make fuzz            fuzz the parser of requests; FUZZ_SECONDS=10'
	@echo '  make check TESTS="request identity"   tests by name (tests/*/NAME.sh)'
	@echo ''
	@echo 'Variables:'
	@echo '  KERNELS="6.12 7.3"   for check; "debug" is the kernel with checkers'
	@echo '  ARGS="vm_seconds=600 vm_seed=1"   for check: words for the kernel'"'"'s command line, which'
	@echo '                       the tests keyctl-fuzz and stress read (stress also vm_rounds=N)'
	@echo '  KERNEL=$(KERNEL)          for demo, vm and bench'
	@echo '  KDIR=$(KDIR)'
	@echo '                       for the module: the kernel build directory'
	@echo '  DERIVED_CACHE=DIR    the directory for the virtual machines (~/.cache/derived-keys)'
	@echo ''
	@echo 'The logs of the tests are in build/logs.'

# If the headers are missing, say which package has them.
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

deb:
	@tests/setup
	@scripts/deb

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

packages:
	@tests/setup
	@tests/checks/packages

selftest:
	@tests/setup
	@tests/vm/vm selftest

clean:
	rm -rf build
	@test ! -e $(KDIR)/Makefile || $(MAKE) -s -C $(KDIR) M=$(CURDIR) clean
