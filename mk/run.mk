# build, run, bench: what a newcomer types. RUN_FLAGS are more options of `attnbench run`.
RESULTS ?= $(BUILD)/results
STAMP   := $(shell date +%Y%m%d-%H%M%S)
RUN_FLAGS ?=

build: lib $(BUILD)/attnbench ## build the library and build/attnbench (what plain `make` does)

# $(call measure,PRESET): the files' name is the time of the run, so no run overwrites another; report.html is that of the last
# one.
define measure
	@mkdir -p $(RESULTS)
	@$(BUILD)/attnbench run --preset $1 --json $(RESULTS)/$(STAMP).json --markdown $(RESULTS)/$(STAMP).md $(RUN_FLAGS)
	@[ ! -e $(RESULTS)/$(STAMP).json ] || $(BUILD)/attnbench report $(RESULTS)/$(STAMP).json -o $(RESULTS)/report.html
	@[ ! -e $(RESULTS)/$(STAMP).json ] || { echo; \
	  echo "Written: $(RESULTS)/$(STAMP).json (Google Benchmark's JSON) and $(RESULTS)/$(STAMP).md (this table)"; \
	  echo "Report:  $(RESULTS)/report.html (a page for a browser; it needs no network)"; }
endef

run: deps-build ## install what is missing, build, measure the quick preset (a few minutes), show the table
	@$(MAKE) --no-print-directory run-built STAMP=$(STAMP)

run-built: build
	$(call measure,quick)

bench: deps-build ## the same with the full preset (long)
	@$(MAKE) --no-print-directory bench-built STAMP=$(STAMP)

bench-built: build
	$(call measure,full)

.PHONY: build run run-built bench bench-built
