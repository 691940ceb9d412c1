# install and uninstall name the same files, once: everything that is installed stands in INSTALLED.
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
INSTALL    ?= install
SONAME     := libattn.so.$(SOVERSION)
# The OpenMP runtime that a static link needs is the one the compiler of the objects calls.
OPENMP_LIB := $(if $(findstring clang,$(notdir $(CC))),-lomp,-lgomp)
REALNAME   := libattn.so.$(VERSION)

INSTALLED = $(BINDIR)/attnbench $(INCLUDEDIR)/attn.h $(LIBDIR)/libattn.a $(LIBDIR)/$(REALNAME) $(LIBDIR)/$(SONAME) \
            $(LIBDIR)/libattn.so $(LIBDIR)/pkgconfig/libattn.pc

# Written anew each time: it depends on variables of the command line.
$(BUILD)/libattn.pc: libattn.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' \
	  -e 's|@VERSION@|$(VERSION)|g' -e 's|@OPENMP@|$(OPENMP_LIB)|g' libattn.pc.in > $@.tmp && mv $@.tmp $@

# Man page and completions are made by asking the command, which a build for another architecture cannot be.
install: build $(BUILD)/libattn.pc $(if $(filter $(ARCH),$(shell uname -m)),install-man) ## install attnbench, libattn, attn.h, man page and completions below DESTDIR/PREFIX (/usr/local)
	$(INSTALL) -d $(addprefix $(DESTDIR),$(BINDIR) $(INCLUDEDIR) $(LIBDIR)/pkgconfig)
	$(INSTALL) -m 755 $(BUILD)/attnbench $(DESTDIR)$(BINDIR)/attnbench
	$(INSTALL) -m 644 include/attn.h $(DESTDIR)$(INCLUDEDIR)/attn.h
	$(INSTALL) -m 644 $(BUILD)/libattn.a $(DESTDIR)$(LIBDIR)/libattn.a
	$(INSTALL) -m 755 $(BUILD)/libattn.so $(DESTDIR)$(LIBDIR)/$(REALNAME)
	ln -sf $(REALNAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libattn.so
	$(INSTALL) -m 644 $(BUILD)/libattn.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libattn.pc

uninstall: uninstall-man ## remove what install wrote, nothing else
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))

.PHONY: install uninstall
