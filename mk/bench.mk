# Measuring: build/libattnbench.a, everything of bench/ that the command and the tests link.
BENCH_ISA := scalar $(if $(filter x86_64,$(ARCH)),avx2 avx512 avx512bf16 amx) $(if $(filter aarch64,$(ARCH)),neon neonbf16)
BENCH_SRC := $(filter-out bench/roof_%.c,$(sort $(wildcard bench/*.c))) $(BENCH_ISA:%=bench/roof_%.c)
BENCH_OBJ := $(BENCH_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/bench/gbench_shim.o
BENCH_LIBS := -lbenchmark -ljansson -lstdc++

CXXFLAGS ?=
BASE_CXXFLAGS := -std=c++17 -Wall -Wextra $(OPT) $(HARDEN) -fPIC $(CPPFLAGS) $(CXXFLAGS)

# What a result says of its build. "unknown" where the sources are no git checkout.
COMMIT = $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)$(shell git diff --quiet HEAD 2>/dev/null || echo -modified)

$(BUILD)/libattnbench.a: $(BENCH_OBJ)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The loops of the roofs need the flags of their ISA like kernels do, in every build.
$(BUILD)/obj/bench/roof_%.o: bench/roof_%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) -O3 -ffp-contract=fast $(FLAGS_$*) -MMD -MP -c -o $@ $<

$(BUILD)/obj/bench/gbench_shim.o: bench/gbench_shim.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX)
	$(Q)$(CXX) $(BASE_CXXFLAGS) -MMD -MP -c -o $@ $<

# Rewritten only when the commit or the flags change, so that a result never names a build it did not come from.
$(BUILD)/gen/build_info.h: FORCE
	@mkdir -p $(@D)
	@{ printf '#define BUILD_COMMIT "%s"\n' '$(COMMIT)'; \
	  printf '#define BUILD_COMPILER "%s"\n' '$(subst ",,$(shell $(CC) --version | head -n 1))'; \
	  printf '#define BUILD_FLAGS "%s"\n' '$(subst ",,$(OPT) $(CFLAGS); kernels: $(if $(SANITIZE),,$(KERNEL_FLAGS)))'; \
	  printf '#define BUILD_KIND "%s"\n' '$(if $(SANITIZE),sanitized,release)'; } > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/obj/bench/json_report.o $(BUILD)/obj/bench/build_identity.o: $(BUILD)/gen/build_info.h
$(BUILD)/obj/bench/json_report.o $(BUILD)/obj/bench/build_identity.o: BASE_CFLAGS += -I$(BUILD)/gen
