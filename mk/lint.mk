# format writes, lint only looks. Both act on the files that git knows.
C_FILES    = $(shell git ls-files '*.c' '*.h' '*.cc')
# Those that compile here and by themselves: tools/mca/*.c are compiled with definitions of their own.
TIDY_FILES = $(filter-out $(if $(filter x86_64,$(ARCH)),%_neon.c %_neonbf16.c %_dotprod.c,%_avx2.c %_avx512.c %_avx512bf16.c %_amx.c %_vnni.c) tests/emulate/% tools/mca/%,\
  $(shell git ls-files '*.c'))
CLANG_FORMAT ?= clang-format
CLANG_TIDY   ?= clang-tidy

format: ## clang-format over all C files
	$(CLANG_FORMAT) -i $(C_FILES)

lint: deps-format deps-lint lint-format lint-hygiene lint-cppcheck lint-analyzer lint-tidy ## format, hygiene, cppcheck, gcc -fanalyzer, clang-tidy

lint-format:
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

lint-hygiene:
	CC='$(CC)' CXX='$(CXX)' CPPFLAGS='$(CPPFLAGS)' tools/hygiene.sh

# Each file with the flags it is compiled with: a kernel's suffix decides them; TIDY_FLAGS of the target adds to them.
lint-tidy: $(TIDY_FILES:%=lint-tidy/%)
lint-tidy/%: $(BUILD)/gen/build_info.h $(BUILD)/gen/evidence_list.h
	@$(CLANG_TIDY) --quiet $* -- $(CSTD) $(WARN) -fopenmp -Iinclude -I$(BUILD)/gen $(CPPFLAGS) \
	  $(FLAGS_$(call kernel_suffix,$*)) $(TIDY_FLAGS)

# What it reports without cause stands in tools/cppcheck.list. Kernels are loops over intrinsics, of which it knows nothing.
CPPCHECK ?= cppcheck
lint-cppcheck: $(BUILD)/gen/build_info.h $(BUILD)/gen/evidence_list.h
	$(CPPCHECK) --quiet --error-exitcode=1 --std=c11 --language=c --library=posix --enable=warning,performance,portability \
	  --suppressions-list=tools/cppcheck.list --suppress=missingIncludeSystem -Iinclude -I$(BUILD)/gen -D_GNU_SOURCE -D__x86_64__ \
	  $(filter-out kernels/x86/% kernels/arm/%,$(TIDY_FILES))

# gcc 12 does not follow memory into structures, nor memcpy() and snprintf() into variables: LeakSanitizer under fault injection
# and MemorySanitizer look for those two. It does not know that an assertion of cmocka ends a test, and kernels neither
# allocate nor open anything.
ANALYZER ?= gcc
ANALYZER_FILES = $(filter-out $(NO_LIBPQ),$(filter dispatch/% bench/% tools/% examples/%,$(TIDY_FILES)))
lint-analyzer: $(ANALYZER_FILES:%=lint-analyzer/%)
lint-analyzer/%: $(BUILD)/gen/build_info.h $(BUILD)/gen/evidence_list.h
	@$(ANALYZER) $(CSTD) -fanalyzer -Werror -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value -fopenmp \
	  -Iinclude -I$(BUILD)/gen $(CPPFLAGS) $(FLAGS_$(call kernel_suffix,$*)) $(TIDY_FLAGS) -S -o /dev/null $*

.PHONY: format lint lint-format lint-hygiene lint-cppcheck lint-analyzer lint-tidy
