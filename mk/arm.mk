# The Arm side on any machine: cross compiler and user-mode emulator.
CROSS_ARM ?= aarch64-linux-gnu-
ARM_BUILD := $(BUILD)/aarch64
ARM_MAKE   = $(MAKE) BUILD=$(ARM_BUILD) CC=$(CROSS_ARM)gcc AR=$(CROSS_ARM)ar HWLOC=0 SANITIZE= DEBUG= --no-print-directory

arm: ## cross-build libattn for AArch64 into $(BUILD)/aarch64
	+$(ARM_MAKE) lib

# run.sh counts as skipped what cannot be run here, and says why.
test-neon: arm-tests ## the kernel harness on emulated Arm CPUs (qemu)
	tests/arm/run.sh $(ARM_BUILD)/tests/check_kernels_static

arm-tests:
	-@tools/deps.sh arm
	+@if command -v $(CROSS_ARM)gcc > /dev/null; then $(ARM_MAKE) $(ARM_BUILD)/tests/check_kernels_static; fi

TEST_SUITES += neon
suite_neon = SEED=$(TEST_SEED) tests/arm/run.sh $(ARM_BUILD)/tests/check_kernels_static
suite_neon_needs := arm-tests
suite_neon_seconds := 600

.PHONY: arm arm-tests test-neon
