# Fuzzing with libFuzzer: one target per tests/fuzz/fuzz_<name>.c, built with clang into a folder of its own. Parsers run under
# ASan and UBSan; targets on guard pages, which stop what ASan would, under UBSan alone at full optimisation. Kernels are built
# plainly, but for the scalar ones of the latter: executions are what counts, and the fuzzer learns enough from those.
.SECONDEXPANSION:
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_GUARDED := attention descriptor merge
FUZZ_NO_KERNELS := -fno-sanitize=all -fno-sanitize-coverage=inline-8bit-counters,pc-table,trace-cmp,indirect-calls
FUZZ_ASAN    := $(BUILD)/fuzz
FUZZ_FAST    := $(BUILD)/fuzz-fast
FUZZ_MAKE     = $(MAKE) --no-print-directory CC=$(FUZZ_CC) CXX=$(FUZZ_CC)++ DEBUG= HWLOC=0 FUZZ_FAST=$(FUZZ_FAST) \
  KERNEL_CFLAGS='$(FUZZ_NO_KERNELS)'
fuzz_build    = $(if $(filter $(FUZZ_GUARDED),$1),$(FUZZ_FAST),$(FUZZ_ASAN))

$(FUZZ_FAST)/obj/kernels/reference/%.o: override KERNEL_CFLAGS :=

# Called with BUILD, CC and SANITIZE of the fuzzing build. main() is the fuzzer's.
FUZZ_PROGRAM_OBJ = $(filter-out %/check_kernels.o,$(KERNEL_TEST_OBJ)) $(BENCH_OBJ)
FUZZ_LINK_FLAGS  = -fsanitize=fuzzer,$(subst fuzzer-no-link$(COMMA),,$(SANITIZE))
COMMA := ,
# What fuzz_command runs in its children.
$(BUILD)/obj/tests/fuzz/command_main.o: tools/main.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) -Dmain=attnbench_main -Wno-missing-prototypes -MMD -MP -c -o $@ $<
$(BUILD)/tests/fuzz_command: $(BUILD)/obj/tests/fuzz/command_main.o

$(BUILD)/tests/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $$(FUZZ_PROGRAM_OBJ) $(BUILD)/libattntools.a $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CXX) $(OPT) $(FUZZ_LINK_FLAGS) -fopenmp -o $@ -Wl,--start-group $^ -Wl,--end-group $(BENCH_LIBS) $(TOOLS_LIBS) \
	  $(LIB_LIBS)

# $(call fuzz_make,TARGETS): one make for each of the two folders, whose programs share their objects.
FUZZ_MAKE_ASAN = $(FUZZ_MAKE) BUILD=$(FUZZ_ASAN) SANITIZE=fuzzer-no-link$(COMMA)address$(COMMA)undefined
FUZZ_MAKE_FAST = $(FUZZ_MAKE) BUILD=$(FUZZ_FAST) SANITIZE=fuzzer-no-link$(COMMA)undefined CFLAGS=-O2
fuzz_make = $(if $(filter-out $(FUZZ_GUARDED),$1),$(FUZZ_MAKE_ASAN) $(patsubst %,$(FUZZ_ASAN)/tests/fuzz_%,$(filter-out $(FUZZ_GUARDED),$1)) &&) \
  $(if $(filter $(FUZZ_GUARDED),$1),$(FUZZ_MAKE_FAST) $(patsubst %,$(FUZZ_FAST)/tests/fuzz_%,$(filter $(FUZZ_GUARDED),$1)) &&) true
# One after the other: each writes what it found beside its corpus.
fuzz_run = tests/fuzz/fuzz.sh --seconds $(FUZZ_SECONDS) --dir $(BUILD)/fuzz-found $(call fuzz_build,$1)/tests/fuzz_$1

fuzz-build:
	+@$(call fuzz_make,$(FUZZ_TARGETS))

fuzz: deps-clang fuzz-build ## every fuzz target for FUZZ_SECONDS (60) each; make fuzz-<target> one
	@$(foreach t,$(FUZZ_TARGETS),$(call fuzz_run,$t) || s=$$?;) exit $${s-0}

$(FUZZ_TARGETS:%=fuzz-%): fuzz-%:
	+@$(call fuzz_make,$*)
	$(call fuzz_run,$*)

# In make test: the parsers, for a fixed number of executions.
FUZZ_SHORT := $(filter-out $(FUZZ_GUARDED) command,$(FUZZ_TARGETS))
fuzz-short:
	-@tools/deps.sh clang
	-+@! command -v $(FUZZ_CC) > /dev/null || { $(call fuzz_make,$(FUZZ_SHORT)); }
TEST_SUITES += fuzz
suite_fuzz = tests/fuzz/short.sh $(FUZZ_CC) $(FUZZ_ASAN)/tests $(BUILD)/fuzz-short $(FUZZ_SHORT)
suite_fuzz_needs := fuzz-short

# The same ways through the kernels that fuzz_attention takes, with a generator in the fuzzer's place.
TEST_SUITES += random
suite_random        = $(BUILD)/tests/check_kernels --grid random --count 60 --no-exp2 --seed $(TEST_SEED)
suite_random_needs := $(BUILD)/tests/check_kernels

.PHONY: fuzz-short fuzz fuzz-build $(FUZZ_TARGETS:%=fuzz-%)
