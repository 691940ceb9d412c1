# The page of `attnbench report`: files of tools/report/ and Chart.js of Debian's libjs-chart.js go into the command, so that
# one binary makes whole pages anywhere. Without that package the page shows its tables only, and says so.
CHART_JS ?= $(firstword $(wildcard /usr/share/javascript/chart.js/chart.min.js))
REPORT_JS := $(addprefix tools/report/,model.js dom.js charts.js figures.js trend.js machines.js table.js page.js)
REPORT_GEN := $(BUILD)/gen/report

$(REPORT_GEN)/page.js: $(REPORT_JS) mk/report.mk
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)cat $(REPORT_JS) > $@

$(REPORT_GEN)/page.html $(REPORT_GEN)/page.css: $(REPORT_GEN)/%: tools/report/%
	@mkdir -p $(@D)
	cp $< $@

# Looked at each time: the package may have come or gone.
$(REPORT_GEN)/chart.js: FORCE
	@mkdir -p $(@D)
	@cmp -s $(or $(CHART_JS),/dev/null) $@ || cat $(or $(CHART_JS),/dev/null) > $@

$(BUILD)/obj/tools/report/report_assets.o: $(addprefix $(REPORT_GEN)/,page.html page.css page.js chart.js)
$(BUILD)/obj/tools/report/report_assets.o: BASE_CFLAGS += -Wa,-I$(REPORT_GEN)

# The test shows pages in a browser. It is a large package, and a test without it is a skipped one, not a failed one.
suite_report_needs += browser
suite_report_seconds := 120
browser:
	-@tools/deps.sh browser

.PHONY: browser
