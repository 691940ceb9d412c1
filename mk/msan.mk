# Reads of what nobody has written: the scalar kernels, the dispatcher and the parsers under clang's MemorySanitizer. Kernels
# of other ISAs are plain, and so is nothing else: without OpenMP, whose runtime is not instrumented, one thread does all.
MSAN_BUILD := $(BUILD)/msan
MSAN_TESTS := api errors cache scores masks rope tuning nan layer
MSAN_ENV   := ATTN_ISA=scalar MSAN_OPTIONS=exitcode=66:allocator_may_return_null=1
MSAN_CHECK  = $(MSAN_BUILD)/tests/check_kernels --isa scalar --no-exp2 --seed $(TEST_SEED)
MSAN_COMMAND = command -v $(FUZZ_CC) > /dev/null || { echo "skipped: no $(FUZZ_CC)"; echo "0 passed, 0 failed, 1 skipped"; exit; }; \
  for t in $(MSAN_TESTS); do $(MSAN_ENV) $(MSAN_BUILD)/tests/test_$$t || s=$$?; done; \
  $(MSAN_ENV) $(MSAN_CHECK) --grid emulated || s=$$?; exit $${s-0}

MSAN_PROGRAMS := $(MSAN_TESTS:%=$(MSAN_BUILD)/tests/test_%) $(MSAN_BUILD)/tests/check_kernels

$(MSAN_BUILD)/obj/kernels/reference/%.o: override KERNEL_CFLAGS := -O1
$(MSAN_PROGRAMS): $(MSAN_BUILD)/obj/tests/no_openmp.o

msan-build:
	-@tools/deps.sh clang
	-+@! command -v $(FUZZ_CC) > /dev/null || $(MAKE) --no-print-directory BUILD=$(MSAN_BUILD) MSAN_BUILD=$(MSAN_BUILD) CC=$(FUZZ_CC) CXX=$(FUZZ_CC)++ HWLOC=0 DEBUG= \
	  SANITIZE=memory CFLAGS='-fno-openmp -Wno-source-uses-openmp -Wno-missing-prototypes' KERNEL_CFLAGS=-fno-sanitize=memory $(MSAN_PROGRAMS)

msan: msan-build ## scalar kernels, dispatcher and caches under MemorySanitizer
	@$(MSAN_COMMAND)

.PHONY: msan msan-build
