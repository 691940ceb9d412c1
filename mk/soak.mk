# A soak: calls at random for a long time, memory flat and results the same (tests/soak/soak.c).
SOAK_SECONDS ?= 1800
# Without the threads' own stores of freed blocks, whose fill would pass for memory in use.
SOAK = GLIBC_TUNABLES=glibc.malloc.tcache_count=0 $(BUILD)/tests/soak

$(BUILD)/tests/soak: $(BUILD)/obj/tests/soak/soak.o $(BUILD)/obj/tests/soak/calls.o $$(filter-out %/check_kernels.o,$$(KERNEL_TEST_OBJ)) $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp -o $@ $^ $(LIB_LIBS)

soak: $(BUILD)/tests/soak ## calls at random for SOAK_SECONDS (1800): memory flat, results the same
	$(SOAK) --seconds $(SOAK_SECONDS) --seed $(or $(SOAK_SEED),1)

TEST_SUITES += soak
suite_soak         = $(SOAK) --rounds 20 --seed $(TEST_SEED)
suite_soak_needs  := $(BUILD)/tests/soak

.PHONY: soak
