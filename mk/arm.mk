# The Arm side on any machine: cross compiler and user-mode emulator.
CROSS_ARM ?= aarch64-linux-gnu-
ARM_BUILD := $(BUILD)/aarch64
ARM_MAKE   = $(MAKE) BUILD=$(ARM_BUILD) CC=$(CROSS_ARM)gcc AR=$(CROSS_ARM)ar HWLOC=0 SANITIZE=

arm: ## cross-build libattn for AArch64 into $(BUILD)/aarch64
	+$(ARM_MAKE) lib

.PHONY: arm
