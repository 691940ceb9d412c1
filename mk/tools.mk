# The command. mk/bench.mk (read before this file) sets BENCH_OBJ and BENCH_LIBS; with C++ among them, CXX links.
TOOLS_SRC  := $(sort $(wildcard tools/*.c))
TOOLS_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tools/main.c,$(TOOLS_SRC)))
TOOLS_LIBS := -ljansson

command: $(BUILD)/attnbench ## build the command, build/attnbench

# Everything but main(), for tests to link against.
$(BUILD)/libattntools.a: $(TOOLS_OBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/attnbench: $(BUILD)/obj/tools/main.o $(BUILD)/libattntools.a $(BENCH_OBJ) $(BUILD)/libattn.a
	$(if $(BENCH_OBJ),$(CXX),$(CC)) $(OPT) -fopenmp -o $@ $(filter %.o,$^) $(BUILD)/libattntools.a \
	  $(BUILD)/libattn.a $(BENCH_LIBS) $(TOOLS_LIBS) $(LIB_LIBS)

.PHONY: command
