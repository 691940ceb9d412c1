# Emulated CPUs: programs built static and booted under Bochs (tests/emulate), or run by qemu (mk/arm.mk).
#
# A static build of its own, with gcc: Debian has no static libomp, and a static hwloc drags a tree of libraries along.
STATIC_BUILD := $(BUILD)/static
STATIC_MAKE   = $(MAKE) BUILD=$(STATIC_BUILD) CC=gcc HWLOC=0 SANITIZE= DEBUG= --no-print-directory
EMULATE      := $(BUILD)/emulate

$(BUILD)/check_dispatch: $(BUILD)/obj/tests/emulate/check_dispatch.o $(BUILD)/libattn.a
	$(CC) $(OPT) -static -fopenmp -Wl,--no-warnings -o $@ $^ $(LIB_LIBS) # libgomp's dlopen() is never called

# dispatch.sh passes the reason on when an emulator or its packages cannot be had, and counts what that skips.
test-dispatch: ## which kernel each of the emulated CPUs gets, and that it runs there
	-@tools/deps.sh emulate arm
	+@$(STATIC_MAKE) $(STATIC_BUILD)/check_dispatch
	+@if command -v $(CROSS_ARM)gcc > /dev/null; then $(ARM_MAKE) $(ARM_BUILD)/check_dispatch; fi
	tests/emulate/dispatch.sh --dir $(EMULATE) --x86 $(STATIC_BUILD)/check_dispatch --arm $(ARM_BUILD)/check_dispatch

.PHONY: test-dispatch
