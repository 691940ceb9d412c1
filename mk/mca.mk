# The inner loops, read from the object files: what they cost by LLVM's model of other CPUs, and that none uses the stack.
LLVM_MCA ?= llvm-mca-19

# Comparison kernels that the compiler vectorises have no tiles; those of AMX are in registers that no compiler knows.
# naive.h strides at run time: 12 row pointers, some of which are read again in the loop. It is for comparison only.
TILE_KERNELS = $(filter-out %_amx.c %/naive_f32_avx2.c %/naive_f32_avx512.c,$(shell grep -l 'fwd_stream.h\|naive.h\|decode.h' $(wildcard $(KERNEL_DIRS:%=%/*.c))))
ARM_TILE_KERNELS = $(shell grep -l 'fwd_stream.h\|naive.h\|decode.h' $(wildcard kernels/arm/*.c))
SPILL_OBJ = $(TILE_KERNELS:%.c=$(BUILD)/obj/%.o)
ARM_SPILL_OBJ = $(ARM_TILE_KERNELS:%.c=$(ARM_BUILD)/obj/%.o)
CLANG_BUILD = $(BUILD)/spills-clang
CLANG_SPILL_OBJ = $(patsubst %.c,$(CLANG_BUILD)/obj/%.o,$(TILE_KERNELS))
CLANG_MAKE = $(MAKE) --no-print-directory CC=clang CFLAGS='$(CFLAGS) -gdwarf-4' BUILD=$(CLANG_BUILD)
FIXTURES = clean spill rolled
FIXTURE_OBJ = $(if $(filter x86_64,$(ARCH)),$(FIXTURES:%=$(BUILD)/obj/tools/mca/fixtures/%_avx2.o))

# Objects of tools/mca are compiled as kernels are.
$(BUILD)/obj/tools/mca/fixtures/%.o: tools/mca/fixtures/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) $(KERNEL_FLAGS) $(FLAGS_$(call kernel_suffix,$<)) -MMD -MP -c -o $@ $<

$(BUILD)/obj/tools/mca/time_%.o: tools/mca/tile_time.c kernels/x86/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) $(KERNEL_FLAGS) $(FLAGS_$(call kernel_suffix,$*)) -DTILE_SOURCE='"../../kernels/x86/$*.c"' \
	  -MMD -MP -c -o $@ $<

$(BUILD)/time_%: $(BUILD)/obj/tools/mca/time_%.o
	$(call say,LINK)
	$(Q)$(CC) $(OPT) -o $@ $<

lint-tidy/tools/mca/tile_time.c: TIDY_FLAGS = $(FLAGS_avx2) -DTILE_SOURCE='"../../kernels/x86/fwd_f32_avx2.c"'

# What this CPU can run is measured beside the model.
TIMED = $(if $(filter x86_64,$(ARCH)),$(foreach isa,avx2 avx512,$(if $(shell grep -m1 -ow \
  '$(isa:avx512=avx512vl)' /proc/cpuinfo),fwd_f32_$(isa))))
MCA_OBJ = $(patsubst %,$(BUILD)/obj/kernels/x86/%.o,$(if $(filter x86_64,$(ARCH)),$(foreach isa,avx2 avx512,\
  fwd_f32_$(isa) fwd_f16_$(isa) fwd_bf16_$(isa) decode_f32_$(isa) decode_f16_$(isa) decode_bf16_$(isa) decode_i8_$(isa) \
  decode_i8_$(isa)_vnni) fwd_bf16_avx512bf16))
MCA_ARM_OBJ = $(patsubst %,$(ARM_BUILD)/obj/kernels/arm/%.o,fwd_f32_neon fwd_f16_neon fwd_bf16_neon fwd_bf16_neonbf16 \
  decode_f32_neon decode_f16_neon decode_bf16_neon decode_i8_neon decode_i8_neon_dotprod)

mca: $(MCA_OBJ) $(TIMED:%=$(BUILD)/time_%) ## cost the inner loops with llvm-mca and write docs/modelled.md
	+$(ARM_MAKE) $(MCA_ARM_OBJ)
	tools/mca/mca.py --llvm-mca $(LLVM_MCA) --out docs/modelled.md \
	  $(foreach kernel,$(TIMED),--timed $(BUILD)/time_$(kernel)=$(BUILD)/obj/tools/mca/time_$(kernel).o) $(MCA_OBJ) $(MCA_ARM_OBJ)

# With the compiler of this build and, where they are installed, clang and the cross compiler (binutils read clang's names
# of inlined functions from DWARF 4 only). The loops of a sanitizer build are not those that ship: nothing to check.
ifdef SANITIZE
check-spills:
	@echo "check-spills: the kernels of a sanitizer build are not optimised"; echo "0 passed, 0 failed, 1 skipped"
else
check-spills: $(if $(findstring clang,$(CC)),,$(SPILL_OBJ)) $(FIXTURE_OBJ) ## fail if an inner loop uses the stack
	+@if command -v clang > /dev/null; then $(CLANG_MAKE) $(CLANG_SPILL_OBJ); else echo 'not checked: clang is not installed'; fi
	+@if command -v $(CROSS_ARM)gcc > /dev/null; then $(ARM_MAKE) --no-print-directory $(ARM_SPILL_OBJ); \
	  else echo 'not checked: NEON kernels, $(CROSS_ARM)gcc is not installed'; fi
	@tools/mca/spills.py $(if $(FIXTURE_OBJ),--self-test $(FIXTURE_OBJ) --) $(if $(findstring clang,$(CC)),,$(SPILL_OBJ)) \
	  $$(command -v clang > /dev/null && echo $(CLANG_SPILL_OBJ)) \
	  $$(command -v $(CROSS_ARM)gcc > /dev/null && echo $(ARM_SPILL_OBJ))
endif

TEST_SUITES += spills
suite_spills = $(MAKE) --no-print-directory check-spills
suite_spills_needs = $(if $(SANITIZE),,$(TIMED:%=$(BUILD)/time_%)) # what `make mca` times must go on compiling

.PHONY: mca check-spills
