# Debian packages that are missing (tools/deps.list). Targets that install them run the work itself in a second make, so
# that nothing is compiled beside the installation.
DEPS ?= build test postgres arm emulate
DEPS_CC := $(if $(findstring clang,$(notdir $(CC))),clang)

deps: ## install the Debian packages that are missing (DEPS="group ..."; groups stand in tools/deps.list)
	@tools/deps.sh $(DEPS) $(DEPS_CC)

# deps-build, deps-test, ...: one group
deps-%:
	@tools/deps.sh $* $(DEPS_CC)

.PHONY: deps
