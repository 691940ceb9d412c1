# Histories: SQLite always; PostgreSQL where libpq is (LIBPQ=0: without). The choice is a file, so that a change of it is a
# change of the objects.
LIBPQ ?= $(shell pkg-config --exists libpq 2>/dev/null && echo 1 || echo 0)
NO_LIBPQ := tools/db_pg$(if $(filter 0,$(LIBPQ)),,_absent).c
HISTORY_LIBS := -lsqlite3 $(if $(filter 0,$(LIBPQ)),,$(shell pkg-config --libs libpq))

$(BUILD)/gen/libpq: FORCE
	@mkdir -p $(@D)
	@echo '$(LIBPQ)' | cmp -s - $@ || echo '$(LIBPQ)' > $@

$(BUILD)/obj/tools/db_pg.o $(BUILD)/obj/tools/db_pg_absent.o: $(BUILD)/gen/libpq
$(BUILD)/obj/tools/db_pg.o: BASE_CFLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)
lint-tidy/tools/db_pg.c: TIDY_FLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)

# Change points: what their test links beyond libattn.
$(BUILD)/tests/test_edivisive: $(BUILD)/obj/bench/edivisive.o $(BUILD)/obj/bench/welch.o $(BUILD)/obj/bench/stats.o
