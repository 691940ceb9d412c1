# Man page and completions, from the --help texts of the very build: they know its options, kernels and presets. A build for
# another architecture cannot be asked.
MANDIR ?= $(PREFIX)/share/man/man1
BASH_COMPLETION_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION_DIR  ?= $(PREFIX)/share/zsh/site-functions
FISH_COMPLETION_DIR ?= $(PREFIX)/share/fish/vendor_completions.d
MAN := $(BUILD)/man
MAN_FILES := $(MAN)/attnbench.1 $(MAN)/attnbench.bash $(MAN)/_attnbench $(MAN)/attnbench.fish

man: $(MAN_FILES) ## man page and completions of bash, zsh and fish, in build/man

$(MAN)/described: $(BUILD)/attnbench tools/describe.sh
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)tools/describe.sh $(BUILD)/attnbench > $@

$(MAN)/attnbench.1: $(MAN)/described tools/man.awk
	$(call say,GEN)
	$(Q)awk -v version=$(VERSION) -v date="$(shell git log -1 --format=%cs 2>/dev/null)" -f tools/man.awk $< > $@

$(MAN)/attnbench.bash $(MAN)/_attnbench $(MAN)/attnbench.fish: $(MAN)/described tools/completion.awk
	$(call say,GEN)
	$(Q)awk -v shell=$(if $(filter %.bash,$@),bash,$(if $(filter %.fish,$@),fish,zsh)) -f tools/completion.awk $< > $@

install-man: $(MAN_FILES) ## install man page and completions below DESTDIR/PREFIX
	$(INSTALL) -d $(addprefix $(DESTDIR),$(MANDIR) $(BASH_COMPLETION_DIR) $(ZSH_COMPLETION_DIR) $(FISH_COMPLETION_DIR))
	$(INSTALL) -m 644 $(MAN)/attnbench.1 $(DESTDIR)$(MANDIR)/attnbench.1
	$(INSTALL) -m 644 $(MAN)/attnbench.bash $(DESTDIR)$(BASH_COMPLETION_DIR)/attnbench
	$(INSTALL) -m 644 $(MAN)/_attnbench $(DESTDIR)$(ZSH_COMPLETION_DIR)/_attnbench
	$(INSTALL) -m 644 $(MAN)/attnbench.fish $(DESTDIR)$(FISH_COMPLETION_DIR)/attnbench.fish

uninstall-man: ## remove what install-man wrote
	rm -f $(DESTDIR)$(MANDIR)/attnbench.1 $(DESTDIR)$(BASH_COMPLETION_DIR)/attnbench \
	  $(DESTDIR)$(ZSH_COMPLETION_DIR)/_attnbench $(DESTDIR)$(FISH_COMPLETION_DIR)/attnbench.fish

.PHONY: man install-man uninstall-man
