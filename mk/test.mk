# Tests. A suite is a command whose output tells its counts: `N passed, N failed[, N skipped]` or cmocka's lines.
# Another fragment adds one with
#   TEST_SUITES += name
#   suite_name := command
#   suite_name_needs := files or targets to make first
# and may give suite_name_seconds, its time limit (default 300).

KERNEL_TEST_ISAS := scalar $(if $(filter x86_64,$(ARCH)),avx2 avx512) $(if $(filter aarch64,$(ARCH)),neon)
ISA_TEST_SRC := $(foreach isa,$(KERNEL_TEST_ISAS),tests/kernels/exp2_$(isa).c tests/kernels/half_$(isa).c)
KERNEL_TEST_SRC := $(filter-out $(foreach isa,scalar avx2 avx512 neon,%/exp2_$(isa).c %/half_$(isa).c), \
  $(wildcard tests/kernels/*.c)) $(ISA_TEST_SRC)
KERNEL_TEST_OBJ := $(KERNEL_TEST_SRC:%.c=$(BUILD)/obj/%.o)

# exp2_<isa>.c and half_<isa>.c are compiled as the kernels of that ISA are.
$(ISA_TEST_SRC:%.c=$(BUILD)/obj/%.o): $(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) $(if $(SANITIZE),,$(KERNEL_FLAGS)) $(FLAGS_$(call kernel_suffix,$<)) -MMD -MP -c -o $@ $<

$(BUILD)/tests/check_kernels: $(KERNEL_TEST_OBJ) $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp -o $@ $^ $(LIB_LIBS)

# For emulators and foreign machines: one file, without hwloc (BUILD and HWLOC=0 are given by whoever asks for it).
$(BUILD)/tests/check_kernels_static: $(KERNEL_TEST_OBJ) $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -static -fopenmp -Wl,--no-warnings -o $@ $^ $(LIB_LIBS) # libgomp's dlopen() is never called

# Seed of the harness; a fixed one, so that `make test` of one commit says the same twice. TEST_SEED=$RANDOM looks further.
TEST_SEED ?= 1
SAN_BUILD := $(BUILD)/sanitized
# Not detect_stack_use_after_return: gcc 12 aligns its fake frames to less than the 64 bytes that AVX-512 code expects.
# Leaks of libgomp: it keeps its pool of threads to the end.
SAN_ENV   := ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
  LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0
# One at a time: sanitized-tests and faults-build make the same library.
SAN_MAKE   = mkdir -p $(BUILD) && flock $(SAN_BUILD).lock $(MAKE) --no-print-directory BUILD=$(SAN_BUILD) SANITIZE=address,undefined DEBUG=

# One program per file tests/unit/test_*.c, with cmocka.
UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN  := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
UNIT_LIBS := -lcmocka

$(UNIT_BIN): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp -o $@ $(filter %.o,$^) $(filter %.a,$^) $(UNIT_LIBS) $(LIB_LIBS)

unit-tests: $(UNIT_BIN)
sanitized-tests:
	+@$(SAN_MAKE) $(SAN_BUILD)/tests/check_kernels $(UNIT_BIN:$(BUILD)/%=$(SAN_BUILD)/%)

TEST_SUITES += kernels
suite_kernels         := tests/kernels/in-parts.sh $(BUILD)/tests/check_kernels --grid full --seed $(TEST_SEED) --exp2-stride 1
suite_kernels_needs   := $(BUILD)/tests/check_kernels
suite_kernels_seconds := 900

TEST_SUITES += $(UNIT_SRC:tests/unit/test_%.c=%)
$(foreach u,$(UNIT_SRC:tests/unit/test_%.c=%),$(eval suite_$u := $(BUILD)/tests/test_$u)\
  $(eval suite_$u_needs := $(BUILD)/tests/test_$u))

TEST_SUITES += kernels-sanitized
suite_kernels-sanitized         := $(SAN_ENV) tests/kernels/in-parts.sh $(SAN_BUILD)/tests/check_kernels --grid emulated --seed $(TEST_SEED)
suite_kernels-sanitized_needs   := sanitized-tests
suite_kernels-sanitized_seconds := 600

TEST_SUITES += $(UNIT_SRC:tests/unit/test_%.c=%-sanitized)
$(foreach u,$(UNIT_SRC:tests/unit/test_%.c=%),$(eval suite_$u-sanitized := $(SAN_ENV) $(SAN_BUILD)/tests/test_$u)\
  $(eval suite_$u-sanitized_needs := sanitized-tests))

# The public header and the exported symbols.
TEST_SUITES += header
suite_header       := CC='$(CC)' CXX='$(CXX)' tests/header.sh $(BUILD)/libattn.so
suite_header_needs := $(BUILD)/libattn.so

# Cases of the ONNX project, where they were laid beside the tree.
ONNX_CASES ?= ../shared/conformance/onnx
TEST_SUITES += conformance
suite_conformance       := $(if $(wildcard $(ONNX_CASES)),$(BUILD)/attnbench conformance $(ONNX_CASES),echo "skipped: no folder $(ONNX_CASES)"; echo "0 passed, 0 failed, 1 skipped")
suite_conformance_needs := $(if $(wildcard $(ONNX_CASES)),$(BUILD)/attnbench)

# Scripts tests/test_<name>.sh: called with the build folder.
SHELL_TESTS := $(sort $(wildcard tests/test_*.sh))
TEST_SUITES += $(SHELL_TESTS:tests/test_%.sh=%)
$(foreach t,$(SHELL_TESTS:tests/test_%.sh=%),$(eval suite_$t := BUILD=$(BUILD) sh tests/test_$t.sh $(BUILD))\
  $(eval suite_$t_needs += $(BUILD)/attnbench $(BUILD)/libattn.so))

SUITES    ?= $(TEST_SUITES)
TEST_JOBS ?= $(shell nproc)

test: ## install what is missing, build and run all tests (SUITES="name ..." for some); ends in N passed, N failed
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(TEST_JOBS)) test-run

# Prerequisites are expanded a second time, when all fragments have added their suites.
.SECONDEXPANSION:
test-run: one-name-each $$(foreach s,$$(SUITES),$$(suite_$$s_needs))
	@tests/run-tests $(BUILD)/test-logs $(foreach s,$(SUITES),$s $(or $(suite_$s_seconds),300) \
	  $(call shell_quote,$(suite_$s)))

# Of two suites of one name only the command that was read last would run.
one-name-each:
	@printf '%s\n' $(TEST_SUITES) | sort | uniq -d | awk '{ print "test suite named twice: " $$0; n++ } END { exit n > 0 }'

shell_quote = '$(subst ','\'',$1)'

test-times: ## what make test prints of times, judged: on a quiet machine
	@TEST_TIMES=1 $(MAKE) --no-print-directory test SUITES="small report"

list-suites: ## names of the test suites
	@printf '%s\n' $(TEST_SUITES)

.PHONY: test test-times test-run one-name-each unit-tests sanitized-tests list-suites
