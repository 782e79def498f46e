#!/usr/bin/env python3
"""Writes lckv/_declarations.py, what ctypes must know of lckv.h.

    tools/declare.py [HEADER]            prints it
    tools/declare.py --update [HEADER]   writes lckv/_declarations.py

The header is regular C, so that a few patterns read it: constants, numbers with a name, structs, callbacks, handles
and functions. What none of them understands ends this script with an error: nothing is passed over.
"""

import pathlib
import re
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parents[2] / "include" / "lckv.h"
OUTPUT = HERE.parent / "lckv" / "_declarations.py"

NUMBERS = {
    "int32_t": "c_int32",
    "uint32_t": "c_uint32",
    "int64_t": "c_int64",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
    "float": "c_float",
    "double": "c_double",
}

PREFACE = '''"""The declarations of lckv.h {version} for ctypes.

Made by tools/declare.py from the header: do not edit it. Names are those of the header, which explains them. Pointers
to arrays and to handles are ``c_void_p``, which takes addresses, arrays and ``byref(...)``.
"""

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, Dict, List, Optional, Tuple
'''


def statements(text):
    """The declarations of a header, each without comments and in one line."""

    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"\\\n", " ", text)
    text = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    text = text.replace('extern "C" {', "")
    depth, begin = 0, 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if depth < 0:  # the end of extern "C"
            depth, begin = 0, i + 1
        elif c == ";" and depth == 0:
            yield re.sub(r"\s+", " ", text[begin:i]).strip()
            begin = i + 1
    rest = text[begin:].strip()
    if rest:
        raise SystemExit(f"declare.py: not understood at the end of the header: {rest[:80]!r}")


DECLARATIONS = {  # the method of a reader that takes what the groups of a pattern find
    "number": r"typedef (\w+) (\w+)",
    "handle": r"typedef struct (\w+) \1",
    "struct": r"typedef struct (\w+) \{(.*)\} \1",
    "constants": r"enum LCKV_OF_(U?INT32) \{(.*)\}",
    "callback": r"typedef ([\w ]+\**) ?\(\*(\w+)\)\((.*)\)",
    "function": r"LCKV_API ([\w ]+ \**)(\w+)\((.*)\)",
}


def understand(statement, reader):
    """Gives a statement to the method of the reader that is for it. False if it is none that the header may have."""

    for name, pattern in DECLARATIONS.items():
        match = re.fullmatch(pattern, statement)
        if match:
            getattr(reader, name)(*match.groups())
            return True
    return False


class Header:
    """What has been declared so far, and the lines that declare it again for ctypes."""

    def __init__(self, text):
        self.lines = []
        self.functions = []
        self.numbers = dict(NUMBERS)
        self.handles = set()
        self.structs = set()
        self.callbacks = set()
        self.version = dict(re.findall(r"^#define LCKV_VERSION_(\w+) (.*)$", text, re.M))
        for name, value in self.version.items():
            self.lines.append(f"LCKV_VERSION_{name} = {value}")
        for statement in statements(text):
            if not understand(statement, self):
                raise SystemExit(f"declare.py: not understood: {statement!r}")

    def number(self, known, name):
        self.numbers[name] = self.numbers[known]

    def handle(self, name):
        self.handles.add(name)

    def constants(self, _, body):
        self.lines.append("")
        for entry in filter(None, map(str.strip, body.split(","))):
            name, value = entry.split(" = ")
            self.lines.append(f"{name} = {int(value, 0)}")

    def split(self, declaration):
        """The base type without const, the number of stars, and the name of a member or parameter."""

        match = re.fullmatch(r"(.*?)(\w+)", re.sub(r"\bconst\b", " ", declaration).strip())
        kind, name = match.groups()
        if not kind.strip():
            kind, name = name, ""
        return kind.replace("*", " ").strip(), kind.count("*"), name

    def parameters(self, text):
        return [] if text.strip() == "void" else [self.split(part) for part in text.split(",")]

    def callback_type(self, result, parameters):
        kinds = [self.result(*self.split(result + " _")[:2])]
        for base, stars, _ in self.parameters(parameters):
            kinds.append(self.parameter(base, stars, False))
        return f"CFUNCTYPE({', '.join(kinds)})"

    def callback(self, result, name, parameters):
        self.callbacks.add(name)
        self.lines += ["", f"{name} = {self.callback_type(result, parameters)}"]

    def struct(self, name, body):
        self.structs.add(name)
        rows, hints = [], []
        for member in filter(None, map(str.strip, body.split(";"))):
            pointer = re.fullmatch(r"([\w ]+\**) ?\(\*(\w+)\)\((.*)\)", member)
            if pointer:
                rows.append((pointer[2], self.callback_type(pointer[1], pointer[3]), "Any"))
                continue
            base, stars, field = self.split(member)
            rows.append((field, *self.member(base, stars)))
        hints = [f"    {field}: {hint}" for field, _, hint in rows]
        self.lines += ["", "", f"class {name}(Structure):", *hints, "    _fields_ = ["]
        self.lines += [f'        ("{field}", {kind}),' for field, kind, _ in rows]
        self.lines += ["    ]", ""]

    def member(self, base, stars):
        """The type of a struct's member for ctypes and for type checkers."""

        if stars == 0 and base in self.numbers:
            kind = self.numbers[base]
            return kind, "float" if kind in ("c_float", "c_double") else "int"
        if stars == 0 and base in self.callbacks:
            return base, "Any"
        if stars == 0 and base in self.structs:
            return base, base
        if (base, stars) == ("char", 1):
            return "c_char_p", "Optional[bytes]"
        if stars > 0:
            return "c_void_p", "Optional[int]"
        raise SystemExit(f"declare.py: a member of the unknown type {base!r}")

    def parameter(self, base, stars, is_function=True, is_const=False):
        if stars == 0 and base in self.numbers:
            return self.numbers[base]
        if stars == 0 and base in self.callbacks:
            return base
        if stars == 1 and base in ("size_t", "uint64_t"):
            return f"POINTER({self.numbers[base]})"
        if stars == 1 and base == "char" and is_const and is_function:
            return "c_char_p"
        if stars == 1 and base in self.structs and is_function:
            return f"POINTER({base})"
        if stars == 1:
            return "c_void_p"
        if stars == 2:
            return "POINTER(c_void_p)"
        raise SystemExit(f"declare.py: a parameter of the unknown type {base!r}")

    def result(self, base, stars):
        if (base, stars) == ("void", 0):
            return "None"
        if (base, stars) == ("char", 1):
            return "c_char_p"
        return self.numbers[base] if stars == 0 else "c_void_p"

    def function(self, result, name, parameters):
        kinds = []
        for text, (base, stars, _) in zip(parameters.split(","), self.parameters(parameters)):
            kinds.append(self.parameter(base, stars, is_const="const char *" in text))
        base, stars, _ = self.split(result + " _")
        line = f'"{name}": ({self.result(base, stars)}, [{", ".join(kinds)}]),'
        self.functions += textwrap.wrap(line, 120, initial_indent=4 * " ", subsequent_indent=8 * " ")

    def source(self):
        lines = [PREFACE.format(version=self.version["STRING"].strip('"')), *self.lines]
        lines += [
            "",
            "# The type of each function's result, and those of its arguments.",
            "FUNCTIONS: Dict[str, Tuple[Any, List[Any]]] = {",
            *self.functions,
            "}",
        ]
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)) + "\n"


def declarations(header=HEADER):
    return Header(pathlib.Path(header).read_text(encoding="utf-8")).source()


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    source = declarations(*arguments[:1])
    if "--update" in sys.argv:
        OUTPUT.write_text(source, encoding="utf-8")
    else:
        sys.stdout.write(source)


if __name__ == "__main__":
    main()
