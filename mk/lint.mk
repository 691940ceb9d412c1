# format writes, lint only looks. Both act on the files that git knows.
C_FILES    = $(shell git ls-files '*.c' '*.h' '*.cc')
# Those that compile here and by themselves: tools/mca/*.c are compiled with definitions of their own.
TIDY_FILES = $(filter-out $(if $(filter x86_64,$(ARCH)),%_neon.c %_neonbf16.c,%_avx2.c %_avx512.c %_avx512bf16.c %_vnni.c) tests/emulate/% tools/mca/%,\
  $(shell git ls-files '*.c'))
CLANG_FORMAT ?= clang-format
CLANG_TIDY   ?= clang-tidy

format: ## clang-format over all C files
	$(CLANG_FORMAT) -i $(C_FILES)

lint: deps-format deps-lint lint-format lint-hygiene lint-tidy ## format, header hygiene, forbidden patterns, clang-tidy

lint-format:
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

lint-hygiene:
	CC='$(CC)' CXX='$(CXX)' CPPFLAGS='$(CPPFLAGS)' tools/hygiene.sh

# Each file with the flags it is compiled with: a kernel's suffix decides them; TIDY_FLAGS of the target adds to them.
lint-tidy: $(TIDY_FILES:%=lint-tidy/%)
lint-tidy/%: $(BUILD)/gen/build_info.h $(BUILD)/gen/evidence_list.h
	@$(CLANG_TIDY) --quiet $* -- $(CSTD) $(WARN) -fopenmp -Iinclude -I$(BUILD)/gen $(CPPFLAGS) \
	  $(FLAGS_$(call kernel_suffix,$*)) $(TIDY_FLAGS)

.PHONY: format lint lint-format lint-hygiene lint-tidy
