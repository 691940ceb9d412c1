# Races: the tests of threads under ThreadSanitizer, with clang's OpenMP runtime and Archer, which tells it what a parallel
# region orders. The scalar kernels are instrumented, so they are what runs; the others would take minutes to compile.
TSAN_BUILD := $(BUILD)/tsan
TSAN_TESTS := threads life cache scores
TSAN_ENV    = ATTN_ISA=scalar OMP_TOOL_LIBRARIES=$$($(FUZZ_CC) -print-file-name=libarcher.so) \
  TSAN_OPTIONS=ignore_noninstrumented_modules=1:die_after_fork=0:exitcode=66:suppressions=tests/tsan.supp
TSAN_COMMAND = command -v $(FUZZ_CC) > /dev/null || { echo "skipped: no $(FUZZ_CC)"; echo "0 passed, 0 failed, 1 skipped"; exit; }; \
  for t in $(TSAN_TESTS); do $(TSAN_ENV) $(TSAN_BUILD)/tests/test_$$t || s=$$?; done; exit $${s-0}

$(TSAN_BUILD)/obj/kernels/reference/%.o: override KERNEL_CFLAGS := -O1

tsan-build:
	-@tools/deps.sh clang
	-+@! command -v $(FUZZ_CC) > /dev/null || $(MAKE) --no-print-directory BUILD=$(TSAN_BUILD) TSAN_BUILD=$(TSAN_BUILD) CC=$(FUZZ_CC) CXX=$(FUZZ_CC)++ HWLOC=0 DEBUG= \
	  SANITIZE=thread KERNEL_CFLAGS=-fno-sanitize=thread $(TSAN_TESTS:%=$(TSAN_BUILD)/tests/test_%)

tsan: tsan-build ## the tests of threads under ThreadSanitizer
	@$(TSAN_COMMAND)

TEST_SUITES += tsan
suite_tsan         = $(TSAN_COMMAND)
suite_tsan_needs  := tsan-build
suite_tsan_seconds := 600

.PHONY: tsan tsan-build
