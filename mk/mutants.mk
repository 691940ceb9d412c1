# Faults planted into a copy of the kernels, to see that the harness finds them. MUTANTS_FLAGS: options of mutants.sh.
MUTANTS_FLAGS ?=
mutants: ## plant faults into a copy of the kernels and see that each is caught
	-@tools/deps.sh emulate arm
	tests/mutants/mutants.sh --dir $(BUILD)/mutants $(MUTANTS_FLAGS)

# Small mechanical changes, hundreds of them if asked: MUTATE_FLAGS are options of mechanical.py.
MUTATE_FLAGS ?=
mutate: ## change operators, constants and statements one by one and see which tests notice (an hour and more)
	-@tools/deps.sh arm
	tests/mutants/mechanical.py --dir $(BUILD)/mechanical $(MUTATE_FLAGS)

.PHONY: mutants mutate
