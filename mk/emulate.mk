# Emulated x86 CPUs: programs built static and booted in Bochs (tests/emulate). The Arm side: mk/arm.mk.
#
# A static build of its own, with gcc: Debian has no static libomp, and a static hwloc drags a tree of libraries along.
STATIC_BUILD := $(BUILD)/static
STATIC_MAKE   = $(MAKE) BUILD=$(STATIC_BUILD) CC=gcc HWLOC=0 SANITIZE= DEBUG= --no-print-directory
EMULATE      := $(BUILD)/emulate

# (BUILD and HWLOC=0 are given by whoever asks for it.) --no-warnings: libgomp's dlopen(), which is never called
$(BUILD)/tests/check_dispatch: $(BUILD)/obj/tests/emulate/check_dispatch.o $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -static -fopenmp -Wl,--no-warnings -o $@ $^ $(LIB_LIBS)

# Where packages are missing, the suites say so and count what they skip.
emulate-tests:
	-@tools/deps.sh emulate
	+@$(STATIC_MAKE) $(STATIC_BUILD)/tests/check_kernels_static $(STATIC_BUILD)/tests/check_dispatch

emulate-tests-arm: arm-tests # (after it: both build in $(ARM_BUILD))
	+@if command -v $(CROSS_ARM)gcc > /dev/null; then $(ARM_MAKE) $(ARM_BUILD)/tests/check_dispatch; fi

# Where this CPU runs those kernels itself, the suite `kernels` has them over a larger grid, and a quarter is emulated in its stead.
AVX512_HERE := $(shell grep -qsw avx512bw /proc/cpuinfo && echo yes)
AVX512_COMMAND = tests/emulate/avx512.sh --dir $(EMULATE) --seed $(or $(TEST_SEED),1) $1 \
  $(STATIC_BUILD)/tests/check_kernels_static
DISPATCH_COMMAND = tests/emulate/dispatch.sh --dir $(EMULATE) --x86 $(STATIC_BUILD)/tests/check_dispatch \
  --arm $(ARM_BUILD)/tests/check_dispatch

test-avx512: emulate-tests ## the kernel harness on an emulated AVX-512 CPU (Bochs)
	$(call AVX512_COMMAND)

test-dispatch: emulate-tests emulate-tests-arm ## which kernel each of 13 emulated CPUs gets, and that it runs there
	$(DISPATCH_COMMAND)

TEST_SUITES += avx512 dispatch
suite_avx512 = $(call AVX512_COMMAND,$(AVX512_HERE:yes=--every 4))
suite_avx512_needs := emulate-tests
suite_avx512_seconds := 1800
suite_dispatch = $(DISPATCH_COMMAND)
suite_dispatch_needs := emulate-tests emulate-tests-arm
suite_dispatch_seconds := 1800

test-conformance: emulate-tests dist ## the ONNX cases on emulated Arm and AVX-512 CPUs, by the programs of make dist
	-@tools/deps.sh arm
	tests/emulate/conformance.sh --dir $(EMULATE) $(DIST)/attnbench-x86_64 $(DIST)/attnbench-aarch64 $(ONNX_CASES)

.PHONY: test-conformance emulate-tests emulate-tests-arm test-avx512 test-dispatch
