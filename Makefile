# make                 builds the command, its manual and its completions
# make install         PREFIX=/usr/local and DESTDIR= say where
# make uninstall       takes away what was installed
# make deb             a Debian package of it, in .build-install; needs dpkg-dev
# make test            runs the tests; those whose peer is not installed are skipped, and named
# make bench           runs the benchmarks beside their peers: all tables and charts

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift

# A folder of its own: the command is linked with Swift's libraries, so that it runs where Swift is not installed.
scratch := .build-install
swift := $(SWIFT)
# The linker that Swift brings: a second instead of a minute, and the same for the manual's build, which shares what is compiled.
swiftflags := --scratch-path $(scratch) -Xswiftc -use-ld=lld
# Symbols that nobody outside can use need not stay, and addresses take an eighth of their place where the C library, from 2.36
# on, can read them so.
linkflags := -Xlinker --exclude-libs=ALL -Xlinker --no-export-dynamic -Xlinker --icf=safe $(shell getconf GNU_LIBC_VERSION \
	| awk '{ split($$2, v, "."); if (v[1] * 100 + v[2] >= 236) print "-Xlinker -z -Xlinker pack-relative-relocs" }')
binary := $(scratch)/release/splice
manual := $(scratch)/plugins/GenerateManual/outputs/SpliceCommand
completions := $(scratch)/completions

bindir := $(DESTDIR)$(PREFIX)/bin
mandir := $(DESTDIR)$(PREFIX)/share/man/man1
bashdir := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

.PHONY: all build install uninstall deb clean test bench

all: build

# The manual is made from a build of its own kind, so it comes first and the command last.
build:
	$(swift) package $(swiftflags) generate-manual --multi-page --authors "The swift-splice authors"
	for page in $(manual)/*.1; do \
		scripts/finish-manual $$page docs/manual/$$(basename $$page .1 | tr . -).md || exit 1; \
	done
	# The manual's build links the command with Swift's libraries outside of it, under the same name.
	rm -f $(binary)
	$(swift) build $(swiftflags) -c release --product splice --static-swift-stdlib --disable-local-rpath $(linkflags)
	mkdir -p $(completions)
	for shell in bash zsh fish; do $(binary) --generate-completion-script $$shell > $(completions)/$$shell || exit 1; done
	sed -i '1{/^#!/d}' $(completions)/bash

# The pages of subcommands are named as those of git are: splice-copy.1.
install: build
	install -d $(bindir) $(mandir) $(bashdir) $(zshdir) $(fishdir)
	install -m 755 -s $(binary) $(bindir)/splice
	for page in $(manual)/*.1; do \
		name=$$(basename $$page .1 | tr . -); \
		[ $$name = splice-help ] || install -m 644 $$page $(mandir)/$$name.1 || exit 1; \
	done
	install -m 644 $(completions)/bash $(bashdir)/splice
	install -m 644 $(completions)/zsh $(zshdir)/_splice
	install -m 644 $(completions)/fish $(fishdir)/splice.fish

uninstall:
	rm -f $(bindir)/splice $(mandir)/splice.1 $(mandir)/splice-*.1 $(bashdir)/splice $(zshdir)/_splice $(fishdir)/splice.fish

deb:
	scripts/make-deb

clean:
	rm -rf $(scratch)

test:
	$(swift) test

bench:
	Benchmarks/all
