# What was found out: docs/evidence.list in the command, docs/results.md from this machine.
$(BUILD)/gen/evidence_list.h: docs/evidence.list tools/results/evidence.awk
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)awk -f tools/results/evidence.awk docs/evidence.list > $@

$(BUILD)/obj/tools/results/evidence.o: $(BUILD)/gen/evidence_list.h
$(BUILD)/obj/tools/results/evidence.o: BASE_CFLAGS += -I$(BUILD)/gen

$(BUILD)/obj/tools/cmd_results.o: $(BUILD)/gen/build_info.h
$(BUILD)/obj/tools/cmd_results.o: BASE_CFLAGS += -I$(BUILD)/gen

results: deps-build ## check and time every kernel of this CPU; its section of docs/results.md
	@$(MAKE) --no-print-directory results-built

results-built: build
	$(BUILD)/attnbench results --out docs/results.md

check-evidence: ## hold docs/evidence.list against the kernels and the documents
	@tools/results/check-evidence.sh

TEST_SUITES += evidence
suite_evidence := tools/results/check-evidence.sh

TEST_SUITES += results-page
suite_results-page := $(BUILD)/tests/test_results_page
suite_results-page_needs := $(BUILD)/tests/test_results_page

# One static file for each architecture, for machines without compiler or libraries: `./attnbench-x86_64 results`.
# The topology is read from sysfs: hwloc's static library wants others that Debian has as shared ones only.
DIST     := $(BUILD)/dist
DIST_ARCH ?= x86_64 aarch64
dist: ## static build/dist/attnbench-<architecture> of DIST_ARCH (x86_64 aarch64)
	@tools/deps.sh dist
	+@for arch in $(DIST_ARCH); do $(MAKE) --no-print-directory dist-$$arch || exit; done

dist-%:
	tools/dist-libs.sh $(DIST)/$*/sysroot $* $*-linux-gnu-g++ $*-linux-gnu-ar
	+$(MAKE) --no-print-directory BUILD=$(DIST)/$* CC=$*-linux-gnu-gcc CXX=$*-linux-gnu-g++ AR=$*-linux-gnu-ar HWLOC=0 LIBPQ=0 \
	  SANITIZE= CPPFLAGS='-isystem $(abspath $(DIST)/$*/sysroot/include)' DIST_LIBRARIES=$(DIST)/$*/sysroot/lib \
	  $(DIST)/$*/attnbench-static
	$*-linux-gnu-strip -o $(DIST)/attnbench-$* $(DIST)/$*/attnbench-static
	@ls -l $(DIST)/attnbench-$*

# attnbench, linked otherwise. What the linker says of dlopen() concerns libgomp's offloading, which nothing here uses.
$(BUILD)/attnbench-static: $(BUILD)/obj/tools/main.o $(BENCH_OBJ) $(BUILD)/libattntools.a $(BUILD)/libattn.a
	$(call say,LINK)
	$(Q)$(CXX) $(OPT) -static -fopenmp -o $@ $^ -L$(DIST_LIBRARIES) $(BENCH_LIBS) $(TOOLS_LIBS) $(LIB_LIBS)

.PHONY: dist results results-built check-evidence
