"""The declarations are those of the header, and ctypes lays structs out as C does."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from support import ROOT

import lckv
from lckv import _declarations, _library

sys.path.insert(0, str(ROOT / "bindings/python/tools"))
import declare  # noqa: E402

HEADER = ROOT / "include/lckv.h"


def structs():
    return [
        s
        for s in vars(_declarations).values()
        if isinstance(s, type) and issubclass(s, ctypes.Structure) and s is not ctypes.Structure
    ]


class Declarations(unittest.TestCase):
    def test_they_are_what_the_header_gives(self):
        made = declare.declarations(HEADER)
        found = declare.OUTPUT.read_text(encoding="utf-8")
        self.assertTrue(made == found, "lckv.h has changed: run bindings/python/tools/declare.py --update")

    def test_a_change_of_the_header_shows(self):
        text = HEADER.read_text(encoding="utf-8").replace("uint32_t n_layers;", "uint64_t n_layers;", 1)
        self.assertNotEqual(declare.Header(text).source(), declare.OUTPUT.read_text(encoding="utf-8"))

    def test_what_is_not_understood_is_not_passed_over(self):
        for text in ("union lckv_u { int a; };", "LCKV_API long double lckv_x(void);", "static int x;"):
            with self.assertRaises((SystemExit, KeyError)):
                declare.Header(text).source()

    def test_structs_lie_in_memory_as_in_c(self):
        compiler = shutil.which(os.environ.get("CC", "cc").split()[-1])
        if compiler is None:
            self.skipTest("no C compiler")
        lines, expected = [], []
        for struct in structs():
            lines.append(f'printf("%zu\\n", sizeof({struct.__name__}));')
            expected.append(ctypes.sizeof(struct))
            for name, *_ in struct._fields_:
                lines.append(f'printf("%zu\\n", offsetof({struct.__name__}, {name}));')
                expected.append(getattr(struct, name).offset)
        for name, value in vars(_declarations).items():
            if name.startswith("LCKV_") and isinstance(value, int):
                lines.append(f'printf("%lld\\n", (long long){name});')
                expected.append(value)
        program = "#include <lckv.h>\n#include <stdio.h>\nint main(void) {" + "\n".join(lines) + "}"
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "layout.c")
            source.write_text(program)
            subprocess.run([compiler, f"-I{ROOT}/include", source, "-o", source.with_suffix("")], check=True)
            done = subprocess.run([source.with_suffix("")], stdout=subprocess.PIPE, check=True)
        self.assertEqual([int(line) for line in done.stdout.split()], expected)

    def test_results_have_all_that_structs_have(self):
        pairs = {
            "lckv_plan_info": lckv.PlanInfo,
            "lckv_layer_info": lckv.Layer,
            "lckv_slot_info": lckv.Slot,
            "lckv_group_info": lckv.Group,
            "lckv_memory_report": lckv.MemoryReport,
            "lckv_model_info": lckv.ModelInfo,
            "lckv_cache_stats": lckv.CacheStats,
            "lckv_cache_estimate_report": lckv.CacheEstimate,
            "lckv_evaluate_report": lckv.EvaluateReport,
            "lckv_generate_report": lckv.Completion,
            "lckv_convert_report": lckv.ConvertReport,
        }
        for name, kind in pairs.items():
            members = {field[0] for field in getattr(_declarations, name)._fields_}
            self.assertEqual(members - {"size", "reserved", "reserved2"} - set(kind.__annotations__), set(), name)

    def test_options_have_all_that_structs_have(self):
        members = {field[0] for field in _declarations.lckv_cache_options._fields_}
        self.assertEqual(members - {"size", "reserved"}, set(lckv.CacheOptions.__annotations__))


def import_error(program, **environment):
    """What importing lckv says on its way out of another process."""

    done = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, encoding="utf-8", env={**os.environ, **environment}
    )
    return done.stderr.strip().split("\n")[-1] if done.returncode != 0 else ""


class Loading(unittest.TestCase):
    def test_a_library_that_is_not_there(self):
        message = import_error("import lckv", LCKV_LIBRARY="/nowhere/liblckv.so.0")
        self.assertRegex(
            message, "^ImportError: lckv cannot load its library /nowhere/liblckv.so.0 .LCKV_LIBRARY names it"
        )

    def test_a_library_that_is_something_else(self):
        message = import_error("import lckv", LCKV_LIBRARY="libm.so.6")
        self.assertRegex(
            message, "^ImportError: lckv needs version .* libm.so.6 is no library of lckv, and it lacks lckv_"
        )

    def test_a_library_that_is_too_old(self):
        message = import_error("import lckv._declarations as d; d.LCKV_VERSION_PATCH")
        self.assertEqual(message, "")
        newer = (
            "import importlib.util as u, sys, os\n"
            "s = u.find_spec('lckv'); folder = os.path.dirname(s.origin)\n"
            "t = open(folder + '/_declarations.py').read().replace('LCKV_VERSION_PATCH = ', 'LCKV_VERSION_PATCH = 9')\n"
            "import types; p = types.ModuleType('lckv'); p.__path__ = [folder]; sys.modules['lckv'] = p\n"
            "d = types.ModuleType('lckv._declarations'); exec(t, d.__dict__); sys.modules['lckv._declarations'] = d\n"
            "p._declarations = d\n"
            "import lckv._library\n"
        )
        self.assertRegex(import_error(newer), r"^ImportError: lckv needs version 0\.\d+\.\d+ .*; .* is 0\.\d+\.\d+$")

    def test_structs_that_differ(self):
        c = _declarations
        for name, change in {
            "lckv_plan_info": lambda fields: [fields[0], fields[2], fields[1], *fields[3:]],
            "lckv_memory_report": lambda fields: [fields[0], *fields[2:], fields[1]],
            "lckv_memory_request": lambda fields: [fields[0], fields[1], fields[3], fields[2], *fields[4:]],
        }.items():
            real = getattr(c, name)
            moved = type(name, (ctypes.Structure,), {"_fields_": change(real._fields_)})
            setattr(c, name, moved)
            types = {f: v for f, v in c.FUNCTIONS.items()}
            library = ctypes.CDLL(_library.library._name)
            for function, (result, _) in types.items():
                getattr(library, function).restype = result
            library.lckv_plan_parse.argtypes = types["lckv_plan_parse"][1]
            try:
                self.assertRegex(_library.layout_problem(library), "where .* is right", name)
            finally:
                setattr(c, name, real)
        self.assertEqual(_library.layout_problem(_library.library), "")

    def test_a_library_that_writes_too_much(self):
        guarded = _library.Guarded(_declarations.lckv_plan_info)
        self.assertTrue(guarded.is_within())
        guarded.memory[guarded.size] = b"x"
        self.assertFalse(guarded.is_within())


if __name__ == "__main__":
    unittest.main()
