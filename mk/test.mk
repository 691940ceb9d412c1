# Tests. A suite is a command whose output tells its counts: `N passed, N failed[, N skipped]` or cmocka's lines.
# Another fragment adds one with
#   TEST_SUITES += name
#   suite_name := command
#   suite_name_needs := files or targets to make first
# and may give suite_name_seconds, its time limit (default 300).

KERNEL_TEST_ISAS := scalar $(if $(filter x86_64,$(ARCH)),avx2 avx512) $(if $(filter aarch64,$(ARCH)),neon)
KERNEL_TEST_SRC := $(filter-out tests/kernels/exp2_scalar.c tests/kernels/exp2_avx2.c tests/kernels/exp2_avx512.c \
  tests/kernels/exp2_neon.c,$(wildcard tests/kernels/*.c)) $(KERNEL_TEST_ISAS:%=tests/kernels/exp2_%.c)
KERNEL_TEST_OBJ := $(KERNEL_TEST_SRC:%.c=$(BUILD)/obj/%.o)

# exp2_<isa>.c is compiled as the kernels of that ISA are.
$(BUILD)/obj/tests/kernels/exp2_%.o: tests/kernels/exp2_%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(if $(SANITIZE),,$(KERNEL_FLAGS)) $(FLAGS_$(call kernel_suffix,$<)) -MMD -MP -c -o $@ $<

$(BUILD)/tests/check_kernels: $(KERNEL_TEST_OBJ) $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(CC) $(OPT) -fopenmp -o $@ $^ $(LIB_LIBS)

# For emulators and foreign machines: one file, without hwloc (BUILD and HWLOC=0 are given by whoever asks for it).
$(BUILD)/tests/check_kernels_static: $(KERNEL_TEST_OBJ) $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(CC) $(OPT) -static -fopenmp -o $@ $^ $(LIB_LIBS)
