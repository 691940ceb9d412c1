# Statistics and verdicts: what their tests link beyond libattn.
$(BUILD)/tests/test_stats: $(BUILD)/obj/bench/stats.o
$(BUILD)/tests/test_roofs: $(BUILD)/obj/bench/roofs.o $(BUILD)/obj/bench/team.o
$(BUILD)/tests/test_results: $(BUILD)/obj/bench/results.o $(BUILD)/obj/bench/results_counters.o
$(BUILD)/tests/test_results: UNIT_LIBS += -ljansson

$(BUILD)/tests/stats_driver: $(BUILD)/obj/tests/stats_driver.o $(BUILD)/obj/bench/stats.o $(BUILD)/obj/bench/welch.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -o $@ $^ -lm

# Random inputs for each of its functions; SciPy need not be there.
TEST_SUITES += stats-scipy
suite_stats-scipy := python3 tests/stats_scipy.py $(BUILD)/tests/stats_driver
suite_stats-scipy_needs := $(BUILD)/tests/stats_driver

# The slice of the references.
SLICE_OBJ := $(addprefix $(BUILD)/obj/bench/,tensors.o case.o sequences.o memory.o mask.o team.o)
$(BUILD)/tests/test_slice: $(SLICE_OBJ)

# Names of cases, and the oracle of layers.
$(BUILD)/tests/test_case: $(SLICE_OBJ) $(addprefix $(BUILD)/obj/bench/,layer.o expect.o bound.o keys.o)
