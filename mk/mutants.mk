# Faults planted into a copy of the kernels, to see that the harness finds them. MUTANTS_FLAGS: options of mutants.sh.
MUTANTS_FLAGS ?=
mutants: ## plant faults into a copy of the kernels and see that each is caught
	-@tools/deps.sh emulate arm
	tests/mutants/mutants.sh --dir $(BUILD)/mutants $(MUTANTS_FLAGS)

.PHONY: mutants
