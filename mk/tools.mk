# The command. mk/bench.mk and mk/history.mk (read before this file) set BENCH_OBJ, BENCH_LIBS, NO_LIBPQ, HISTORY_LIBS.
TOOLS_DIRS := tools $(addprefix tools/,attend compare export history report results)
TOOLS_SRC  := $(sort $(wildcard $(addsuffix /*.c,$(TOOLS_DIRS)))) examples/sentence.c
TOOLS_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tools/main.c $(NO_LIBPQ),$(TOOLS_SRC)))
TOOLS_LIBS := -ljansson $(HISTORY_LIBS)

command: $(BUILD)/attnbench ## build the command, build/attnbench

# Everything but main(), for tests to link against.
$(BUILD)/libattntools.a: $(TOOLS_OBJ)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# BENCH_OBJ whole, and before the archive: each needs the other.
$(BUILD)/attnbench: $(BUILD)/obj/tools/main.o $(BENCH_OBJ) $(BUILD)/libattntools.a $(BUILD)/libattn.a
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp $(HARDEN_LINK) -o $@ $^ $(BENCH_LIBS) $(TOOLS_LIBS) $(LIB_LIBS)

$(BUILD)/tests/test_%: $(BUILD)/obj/tests/test_%.o $(BUILD)/libattntools.a $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp -o $@ $^ -lcmocka $(TOOLS_LIBS) $(LIB_LIBS)

TEST_SUITES += npy atomic-file
suite_npy := $(BUILD)/tests/test_npy
suite_npy_needs := $(BUILD)/tests/test_npy
suite_atomic-file := $(BUILD)/tests/test_atomic_file
suite_atomic-file_needs := $(BUILD)/tests/test_atomic_file

.PRECIOUS: $(BUILD)/obj/tests/%.o
.PHONY: command
