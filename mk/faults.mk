# Fault injection (tests/faults): the sanitized build, linked so that its calls go through fault.c.
FAULT_CALLS := malloc calloc realloc aligned_alloc strdup realpath fopen fdopen open_memstream open read fread fwrite fflush \
  fclose fsync rename fstat pipe2 memfd_create mmap posix_spawnp sqlite3_open_v2 sqlite3_prepare_v2 sqlite3_step \
  sqlite3_exec sqlite3_bind_text hwloc_topology_init hwloc_topology_load
FAULT_LINK   = $(FAULT_CALLS:%=-Wl,--wrap=%) -rdynamic

# Called with BUILD=$(SAN_BUILD) and its flags.
$(BUILD)/tests/faults_library: $(BUILD)/obj/tests/faults/library.o $(BUILD)/obj/tests/faults/fault.o $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp $(FAULT_LINK) -o $@ $^ -ljansson -lsqlite3 $(LIB_LIBS)

$(BUILD)/tests/faults_attnbench: $(BUILD)/obj/tools/main.o $(BUILD)/obj/tests/faults/fault.o $(BENCH_OBJ) \
  $(BUILD)/libattntools.a $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -fopenmp $(FAULT_LINK) -o $@ $^ $(BENCH_LIBS) $(TOOLS_LIBS) $(LIB_LIBS)

FAULTS_COMMAND = tests/faults/commands.sh --attnbench $(SAN_BUILD)/tests/faults_attnbench
FAULTS_LIBRARY = FAULTS_TUNING=tests/fuzz/corpus/tuning/plain $(SAN_ENV) $(SAN_BUILD)/tests/faults_library

faults: faults-build ## let each allocation, file, thread and database call fail once, in the library and in every command
	$(FAULTS_LIBRARY)
	$(FAULTS_COMMAND) --all

TEST_SUITES += faults-library faults-commands
suite_faults-library         = $(FAULTS_LIBRARY)
suite_faults-library_needs  := faults-build
suite_faults-commands        = $(FAULTS_COMMAND)
suite_faults-commands_needs := faults-build

faults-build:
	+@$(SAN_MAKE) $(SAN_BUILD)/tests/faults_library $(SAN_BUILD)/tests/faults_attnbench

.PHONY: faults faults-build
