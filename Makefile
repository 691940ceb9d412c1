# attnbench: `make run` and `make test` are all a newcomer needs; `make` builds, `make help` lists the rest.
#
# Variables: BUILD (folder of everything made, default build), CC, CXX, DEBUG=1 (no optimisation of non-kernel code),
# V=1 (shows every command), SANITIZE=address,undefined, HWLOC=0 (topology from sysfs: static and cross builds), PREFIX,
# DESTDIR. Objects mirror the source tree below $(BUILD)/obj.

BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= cc
CXX    ?= g++
AR     ?= ar

VERSION := 0.1.0
SOVERSION := 0
# Compiler and flags decide what objects are: a change of them is a change of every object.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wundef
CSTD   := -std=c11 -D_GNU_SOURCE
OPT    := -O2 -g
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
HARDEN_LINK := -Wl,-z,relro,-z,now,-z,noexecstack
ifdef SANITIZE
OPT    := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
HARDEN :=
endif
CFLAGS   ?=
KERNEL_CFLAGS ?=
CPPFLAGS ?=
BASE_CFLAGS := $(CSTD) $(OPT) $(HARDEN) $(WARN) -fPIC -fvisibility=hidden -fopenmp -Iinclude $(CPPFLAGS) $(CFLAGS)

# Flags by file suffix list every feature; a kernel's needs come from them (kernels/kernel.h). Aligned loops: where its inner
# loop falls in a fetch line decided over 40 % of the scalar reference's speed, and 4 % of fwd_f32_avx2's.
KERNEL_FLAGS := -O3 -falign-loops=64 -fno-math-errno -fno-trapping-math -ffp-contract=fast
FLAGS_avx2   := -mavx2 -mfma -mf16c
FLAGS_avx512 := $(FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512
FLAGS_avx512bf16 := $(FLAGS_avx512) -mavx512bf16
FLAGS_amx    := $(FLAGS_avx512bf16) -mamx-tile -mamx-bf16
FLAGS_amxint8 := $(FLAGS_avx512) -mamx-tile -mamx-int8
FLAGS_vnni   := $(FLAGS_avx512) -mavx512vnni
FLAGS_avxvnni := $(FLAGS_avx2) -mavxvnni
# gcc's early scheduling spills accumulators of the NEON tiles (25 stack accesses in a loop of 48 FMAs); clang has no such
# flag.
FLAGS_neon   := $(if $(filter aarch64,$(ARCH)),$(shell $(CC) -Werror -fno-schedule-insns -E -x c /dev/null >/dev/null \
  2>&1 && echo -fno-schedule-insns))
# gcc's header offers the feature on this base only; every core that has it is of that base.
FLAGS_neonbf16 := $(FLAGS_neon) $(if $(filter aarch64,$(ARCH)),-march=armv8.2-a+bf16)
FLAGS_dotprod := $(FLAGS_neon) $(if $(filter aarch64,$(ARCH)),-march=armv8.2-a+dotprod)
FLAGS_scalar := -fno-tree-vectorize -fno-tree-slp-vectorize
FLAGS_oracle := -ffp-contract=off

KERNEL_DIRS := kernels/reference $(if $(filter x86_64,$(ARCH)),kernels/x86) $(if $(filter aarch64,$(ARCH)),kernels/arm)
NO_TOPOLOGY := dispatch/topology_$(if $(filter 0,$(HWLOC)),hwloc,sysfs).c
LIB_SRC  := $(sort $(wildcard $(addsuffix /*.c,$(KERNEL_DIRS))) $(filter-out $(NO_TOPOLOGY),$(wildcard dispatch/*.c)))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LIB_LIBS := $(if $(filter 0,$(HWLOC)),,-lhwloc) -lm -lpthread

# A line for each step; V=1: the commands themselves; make -s: nothing.
ifneq ($(V),1)
Q := @
ifeq (,$(findstring s,$(firstword -$(MAKEFLAGS))))
say = @printf '  %-4s  %s\n' $1 $@
endif
endif

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
# Objects of programs stay, or the last line of `make test` would be of their removal.
.SECONDARY:

-include $(wildcard mk/*.mk)

lib: $(BUILD)/libattn.a $(BUILD)/libattn.so ## build libattn.a and libattn.so

$(BUILD)/libattn.a: $(LIB_OBJ)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libattn.so: $(LIB_OBJ)
	$(call say,SO)
	$(Q)$(CC) $(OPT) -shared -fopenmp -Wl,-soname,libattn.so.$(SOVERSION) $(HARDEN_LINK) -Wl,--no-undefined \
	  -o $@ $^ $(LIB_LIBS)
	$(Q)ln -sf libattn.so $(BUILD)/libattn.so.$(SOVERSION)

# The compiler's own vectoriser is compared with at its defaults.
$(BUILD)/obj/kernels/arm/fwd_f32_autovec_neon.o: FLAGS_neon :=
# The last word of a file's name; VNNI of AVX2 and AMX of int8 have names of their own.
kernel_suffix = $(if $(filter %_avx2_vnni,$(basename $1)),avxvnni,$(if $(filter %_i8_amx,$(basename $1)),amxint8,$(lastword \
  $(subst _, ,$(notdir $(basename $1))))))
$(BUILD)/obj/kernels/%.o: kernels/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) $(if $(SANITIZE),,$(KERNEL_FLAGS)) $(FLAGS_$(call kernel_suffix,$<)) $(KERNEL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) -MMD -MP -c -o $@ $<

# Rewritten only when compiler or flags differ from last time.
FLAGS_NOW := $(shell $(CC) --version | head -n 1) $(BASE_CFLAGS) $(KERNEL_FLAGS) $(FLAGS_avx2) $(FLAGS_amx) $(FLAGS_amxint8) $(FLAGS_vnni) \
  $(FLAGS_avxvnni) $(FLAGS_neonbf16) $(FLAGS_dotprod) $(FLAGS_scalar) $(KERNEL_CFLAGS) HWLOC=$(HWLOC)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

clean: ## remove everything that was made
	rm -rf $(BUILD)

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | sort -u | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

FORCE:
.PHONY: FORCE lib clean help
