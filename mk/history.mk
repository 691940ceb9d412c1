# Histories: SQLite always; PostgreSQL where libpq is (LIBPQ=0: without). The choice is a file, so that a change of it is a
# change of the objects.
LIBPQ ?= $(shell pkg-config --exists libpq 2>/dev/null && echo 1 || echo 0)
NO_LIBPQ := tools/history/db_pg$(if $(filter 0,$(LIBPQ)),,_absent).c
HISTORY_LIBS := -lsqlite3 $(if $(filter 0,$(LIBPQ)),,$(shell pkg-config --libs libpq))

$(BUILD)/gen/libpq: FORCE
	@mkdir -p $(@D)
	@echo '$(LIBPQ)' | cmp -s - $@ || echo '$(LIBPQ)' > $@

$(BUILD)/obj/tools/history/db_pg.o $(BUILD)/obj/tools/history/db_pg_absent.o: $(BUILD)/gen/libpq
$(BUILD)/obj/tools/history/db_pg.o: BASE_CFLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)
lint-tidy/tools/history/db_pg.c lint-analyzer/tools/history/db_pg.c: TIDY_FLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)

# Change points: what their test links beyond libattn.
$(BUILD)/tests/test_edivisive: $(BUILD)/obj/bench/edivisive.o $(BUILD)/obj/bench/welch.o $(BUILD)/obj/bench/stats.o

PYTHON ?= python3
# The command on a file, on a PostgreSQL server that the test starts, and with writers that are killed.
HISTORY_TEST := PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/history
TEST_SUITES += history history-postgres history-stress history-stress-postgres
suite_history := $(HISTORY_TEST)/verbs.py $(BUILD)/attnbench
suite_history_needs := $(BUILD)/attnbench
suite_history-postgres := $(HISTORY_TEST)/verbs.py $(BUILD)/attnbench --postgres
suite_history-postgres_needs := $(BUILD)/attnbench
suite_history-stress := $(HISTORY_TEST)/stress.py $(BUILD)/attnbench --runs 15
suite_history-stress_needs := $(BUILD)/attnbench
suite_history-stress-postgres := $(HISTORY_TEST)/stress.py $(BUILD)/attnbench --runs 15 --postgres
suite_history-stress-postgres_needs := $(BUILD)/attnbench

stress-history: build ## the full bar: 8 writers x 500 runs, one killed again and again, on SQLite and PostgreSQL (minutes)
	$(HISTORY_TEST)/stress.py $(BUILD)/attnbench --runs 500
	$(HISTORY_TEST)/stress.py $(BUILD)/attnbench --runs 500 --postgres

.PHONY: stress-history
