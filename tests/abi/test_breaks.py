"""Breaks are planted, one by one, into copies of lckv.h and of the library, and record.py must name each of them.

The folder of the build is in LCKV_TEST_BUILD: check_abi_breaks.sh sets it.
"""

import contextlib
import io
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

import record

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADER = (ROOT / "include/lckv.h").read_text(encoding="utf-8")
BUILD = pathlib.Path(os.environ["LCKV_TEST_BUILD"])
COMPILER = shlex.split(os.environ.get("CC", "cc"))

BUILT = "programs that were built before"
COMPILED = "programs that are compiled again"

# What is changed in the header, and what must be said of it. Each pair is a text of the header and another for it.
BREAKS = {
    "a function that is gone": (
        [("LCKV_API lckv_status lckv_sampler_reset(lckv_sampler *sampler);", "")],
        f"lckv.h no longer declares lckv_sampler_reset: {COMPILED} and call it fail to",
    ),
    "the type of a parameter": (
        [
            (
                "lckv_plan_parse(const char *text, size_t length, uint32_t",
                "lckv_plan_parse(const char *text, size_t length, uint64_t",
            )
        ],
        f"parameter 3 of lckv_plan_parse was uint32_t and is uint64_t: {BUILT} pass the old type",
    ),
    "a parameter that may be changed": (
        [("lckv_model_plan(const lckv_model *model)", "lckv_model_plan(lckv_model *model)")],
        "parameter 1 of lckv_model_plan was const lckv_model * and is lckv_model *",
    ),
    "one parameter more": (
        [("lckv_cache_cancel(lckv_cache *cache)", "lckv_cache_cancel(lckv_cache *cache, uint32_t flags)")],
        f"lckv_cache_cancel took (lckv_cache *) and takes (lckv_cache *, uint32_t): {BUILT} pass the old ones",
    ),
    "the type of a result": (
        [("LCKV_API int32_t lckv_model_is_end_token", "LCKV_API int64_t lckv_model_is_end_token")],
        f"lckv_model_is_end_token returned int32_t and returns int64_t: {BUILT} take the result for what it was",
    ),
    "a callback": (
        [("(*lckv_progress_callback)(void *user, uint64_t", "(*lckv_progress_callback)(void *user, uint32_t")],
        "parameter 2 of lckv_progress_callback was uint64_t and is uint32_t",
    ),
    "a constant with another value": (
        [("LCKV_WANT_HIDDEN = 4", "LCKV_WANT_HIDDEN = 16")],
        f"the constant LCKV_WANT_HIDDEN was 4 and is 16: {BUILT} still have 4 in them",
    ),
    "constants that are numbered again": (
        [("LCKV_IO = 3", "LCKV_IO = 4"), ("LCKV_BAD_FORMAT = 4", "LCKV_BAD_FORMAT = 3")],
        "the constant LCKV_BAD_FORMAT was 4 and is 3",
    ),
    "a constant that is gone": (
        [("    LCKV_GEMM_OWN = 1,\n", "")],
        f"the constant LCKV_GEMM_OWN is gone: {COMPILED} and name it fail to",
    ),
    "the type of constants": (
        [("enum LCKV_OF_UINT32 { LCKV_CHAT_ANSWER", "enum LCKV_OF_INT32 { LCKV_CHAT_ANSWER")],
        "the constant LCKV_CHAT_ANSWER had the type uint32_t and has int32_t: C++ and Rust programs",
    ),
    "the number behind a type": (
        [("typedef int32_t lckv_token;", "typedef int64_t lckv_token;")],
        f"the type lckv_token was int32_t and is int64_t: {BUILT} pass and store the old one",
    ),
    "members in another order": (
        [("    uint32_t n_heads;\n    uint32_t n_kv_heads;", "    uint32_t n_kv_heads;\n    uint32_t n_heads;")],
        f"the member n_heads of lckv_model_info was at byte 24 and is at 28: {BUILT} read and write it where it was",
    ),
    "a member in the middle": (
        [("    uint64_t max_tokens; ", "    uint64_t min_tokens;\n    uint64_t max_tokens; ")],
        "the member max_tokens of lckv_generate_options was at byte 8 and is at 16",
    ),
    "a member with another name": (
        [("    uint32_t n_upward; ", "    uint32_t n_rising; ")],
        f"the member n_upward of lckv_plan_info is called n_rising: {COMPILED} and name it fail to",
    ),
    "a member with another type": (
        [("    float temperature; ", "    int32_t temperature; ")],
        f"the member temperature of lckv_sampler_options was float and is int32_t: {BUILT} read and write the old type",
    ),
    "a struct that has shrunk": (
        [("    uint64_t table_bytes;    /* of weight_bytes", "    /* of weight_bytes")],
        f"lckv_model_info had 184 bytes and has 176: what {BUILT}",
    ),
    "a struct that must not grow": (
        [("    size_t hidden_capacity; /* in floats */\n", "    size_t hidden_capacity;\n    uint64_t more;\n")],
        f"lckv_item never grows, and had 64 bytes and has 72: {BUILT} have arrays of the old size",
    ),
    "a handle that is no longer opaque": (
        [("typedef struct lckv_pool lckv_pool;", "typedef struct lckv_pool {\n    size_t size;\n} lckv_pool;")],
        "the handle lckv_pool is gone, or no longer opaque",
    ),
    "a macro that is gone": (
        [("LCKV_VERSION_PATCH", "LCKV_VERSION_FIX")],
        f"the macro LCKV_VERSION_PATCH is gone: {COMPILED} and name it fail to",
    ),
}

NEW_TYPES = """
typedef int32_t lckv_token;
typedef int64_t lckv_amount;
typedef struct lckv_new lckv_new;
typedef void (*lckv_new_callback)(void *user);
"""

# What may be added, and what is said of it.
ADDITIONS = {
    "a constant": (
        [("LCKV_INTERNAL = 13 ", "LCKV_INTERNAL = 13, LCKV_NEW = 14 ")],
        "new: constant LCKV_NEW",
    ),
    "a type, a handle and a callback": (
        [("typedef int32_t lckv_token;", NEW_TYPES)],
        "new: type lckv_new_callback",
    ),
    "a member at the end of a struct that begins with its size": (
        [
            (
                "    uint32_t n_sinks;\n} lckv_cache_stats;",
                "    uint32_t n_sinks;\n    uint64_t n_new;\n} lckv_cache_stats;",
            )
        ],
        "new: member n_new of lckv_cache_stats",
    ),
    "a name for a reserved member": (
        [("    uint32_t reserved;\n} lckv_cache_options;", "    int32_t is_new;\n} lckv_cache_options;")],
        "new: member is_new of lckv_cache_options, which was reserved",
    ),
    "other names of parameters": (
        [("lckv_cache_cancel(lckv_cache *cache)", "lckv_cache_cancel(lckv_cache *stopped)")],
        "are as in version",
    ),
}

NEW_FUNCTION = (
    "LCKV_API void lckv_cache_cancel",
    "LCKV_API void lckv_cache_new(void);\nLCKV_API void lckv_cache_cancel",
)


def changed(edits):
    """The header with texts replaced, each of which it has once."""

    text = HEADER
    for old, new in edits:
        found = text.count(old)
        if found != 1 and "_VERSION_" not in old:
            raise AssertionError(f"lckv.h has {found} times {old!r}: choose another text for this test")
        text = text.replace(old, new)
    return text


class Breaks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.record = self.folder / "record.txt"
        self.run_record("write")
        # As if it were the record of a version that has been published: one of 0.0 promises nothing.
        self.set_version("0.7.0")

    def set_version(self, version):
        self.record.write_text(re.sub("(?m)^version .*$", f"version {version}", self.record.read_text()))

    def run_record(self, action, header=HEADER, library=BUILD / "liblckv.so"):
        """What record.py does with a header and a library: its status and what it says."""

        path = self.folder / "lckv.h"
        path.write_text(header, encoding="utf-8")
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                record.run(action, path, str(library), self.record)
            return 0, said.getvalue()
        except SystemExit as end:
            # As Python ends: a text goes to the standard error, and the status is 1.
            return (end.code, said.getvalue()) if isinstance(end.code, int) else (1, said.getvalue() + end.code)

    def library(self, soname="liblckv.so.0", without="", more=""):
        """The library, linked again with another name, or fewer or more exports."""

        names = re.findall(r"lckv_\w+(?=;)", (ROOT / "lib/lckv.map").read_text())
        symbols = [name for name in [*names, *more.split()] if name != without]
        (self.folder / "map").write_text("{ global: " + "".join(f"{name}; " for name in symbols) + "local: *; };")
        (self.folder / "more.c").write_text(
            "".join(f"void {name}(void) {{}}\n" for name in more.split()) + "extern int x;\n"
        )
        library = self.folder / "liblckv.so"
        command = [*COMPILER, "-shared", "-fPIC", f"-Wl,-soname,{soname}", f"-Wl,--version-script={self.folder}/map"]
        command += [self.folder / "more.c", "-Wl,--whole-archive", BUILD / "liblckv.a", "-Wl,--no-whole-archive"]
        subprocess.run([*command, "-o", library], check=True)
        return library

    def test_nothing_is_found_where_nothing_has_changed(self):
        status, said = self.run_record("check", library=self.library())
        self.assertEqual(status, 0, said)
        self.assertNotIn("new:", said)

    def test_breaks_of_the_header(self):
        for what, (edits, expected) in BREAKS.items():
            with self.subTest(what):
                status, said = self.run_record("check", changed(edits))
                self.assertIn(f"FAIL  {expected}", said)
                self.assertIn("docs/abi.md", said)
                self.assertEqual(status, 1)

    def test_breaks_cannot_be_recorded(self):
        before = self.record.read_text()
        status, said = self.run_record("write", changed(BREAKS["members in another order"][0]))
        self.assertEqual(status, 1)
        self.assertIn("FAIL  the member n_heads", said)
        self.assertEqual(self.record.read_text(), before)

    def test_additions_to_the_header(self):
        for what, (edits, expected) in ADDITIONS.items():
            with self.subTest(what):
                status, said = self.run_record("check", changed(edits))
                self.assertEqual(status, 0, said)
                self.assertIn(expected, said)

    def test_additions_are_recorded_with_a_new_minor_version(self):
        header = changed([edit for edits, _ in ADDITIONS.values() for edit in edits])
        for version, expected in (("0.7.1", 1), ("0.8.0", 0)):
            header = re.sub('STRING "[0-9.]*"', f'STRING "{version}"', header)
            status, said = self.run_record("write", header)
            self.assertEqual(status, expected, said)
        self.assertEqual((self.folder / "frozen/0.8/lckv.h").read_text(), header)
        status, said = self.run_record("check", header)
        self.assertEqual(status, 0, said)
        self.assertNotIn("new:", said)
        # From now on they are kept, too.
        status, said = self.run_record("check")
        self.assertEqual(status, 1)
        self.assertIn("FAIL  the member n_new of lckv_cache_stats is gone", said)

    def test_the_header_of_a_version_stays(self):
        frozen = self.folder / "frozen/0.7/lckv.h"
        frozen.parent.mkdir()
        frozen.write_text("as it was")
        header = re.sub('STRING "[0-9.]*"', 'STRING "0.7.2"', HEADER)
        self.assertEqual(self.run_record("write", header)[0], 0)
        self.assertEqual(frozen.read_text(), "as it was")

    def test_records_of_0_0_promise_nothing(self):
        self.set_version("0.0.9")
        (self.folder / "frozen").rename(self.folder / "other")
        (self.folder / "frozen/0.0").mkdir(parents=True)
        (self.folder / "frozen/0.0/every_call.c").write_text("a program")
        header = changed(BREAKS["a member with another name"][0])
        header = re.sub('STRING "[0-9.]*"', 'STRING "0.1.0"', header)
        self.assertEqual(self.run_record("check", header)[0], 1)
        self.assertEqual(self.run_record("write", header)[0], 0)
        self.assertEqual(self.run_record("check", header)[0], 0)
        # Its programs become those of the version that is promised.
        self.assertEqual((self.folder / "frozen/0.1/lckv.h").read_text(), header)
        self.assertEqual((self.folder / "frozen/0.1/every_call.c").read_text(), "a program")
        self.assertFalse((self.folder / "frozen/0.0").exists())

    def test_an_export_that_is_gone(self):
        status, said = self.run_record("check", library=self.library(without="lckv_generate"))
        self.assertEqual(status, 1)
        self.assertIn(f"FAIL  the library no longer exports lckv_generate: {BUILT} and call it no longer start", said)

    def test_another_soname(self):
        library = self.library(soname="liblckv.so.1")
        status, said = self.run_record("check", library=library)
        self.assertEqual(status, 1)
        self.assertIn(f"FAIL  the SONAME was liblckv.so.0 and is liblckv.so.1: {BUILT} no longer start", said)
        # It is how a library that breaks programs is published, so a record may be made of it.
        self.assertEqual(self.run_record("write", library=library)[0], 0)

    def test_a_new_function_is_declared_and_exported(self):
        header = changed([NEW_FUNCTION])
        status, said = self.run_record("check", header)
        self.assertEqual(status, 1)
        self.assertIn("FAIL  lckv.h declares lckv_cache_new, which the library does not export", said)
        library = self.library(more="lckv_cache_new")
        status, said = self.run_record("check", library=library)
        self.assertEqual(status, 1)
        self.assertIn("FAIL  the library exports lckv_cache_new, which lckv.h does not declare", said)
        status, said = self.run_record("check", header, library)
        self.assertEqual(status, 0, said)
        self.assertIn("new: function lckv_cache_new", said)

    def test_what_is_not_understood_is_not_passed_over(self):
        for text in ("union lckv_u { int32_t a; };", "static int x;", "LCKV_API void lckv_x(double[2]);"):
            status, said = self.run_record("check", changed([("typedef int32_t lckv_token;", text)]))
            self.assertEqual(status, 1)
            self.assertIn("check-abi: lckv.h: ", said)

    def test_the_compiler_must_find_the_same(self):
        # Neither what the preprocessor leaves out nor packed structs are read from the header.
        declaration = "LCKV_API void lckv_cache_cancel(lckv_cache *cache);"
        struct = "typedef struct lckv_cache_stats {"
        edits = [
            (declaration, f"#ifdef NEVER\n{declaration}\n#endif"),
            (struct, f"#pragma pack(push, 1)\n{struct}\n    lckv_special first;"),
        ]
        for edit in edits:
            status, said = self.run_record("check", changed([edit]))
            self.assertEqual(status, 1)
            self.assertIn("does not confirm", said)


if __name__ == "__main__":
    unittest.main()
