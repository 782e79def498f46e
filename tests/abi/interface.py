"""Reads the interface of lckv as facts: what include/lckv.h declares, and what a shared library exports.

The header is regular C, so a few patterns read it, and what none of them understands is an error: nothing is passed
over. Sizes and places follow from the types by the rules of machines with 64-bit pointers. A C compiler then confirms
every fact (``confirm``), so that a mistake of this file cannot become part of a record.
"""

import pathlib
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings/python/tools"))
from declare import statements, understand

SIZES = {"int32_t": 4, "uint32_t": 4, "float": 4, "int64_t": 8, "uint64_t": 8, "size_t": 8, "double": 8}
POINTER_SIZE = 8

# Macros that the header needs for itself; no program names them.
OWN_MACROS = {"LCKV_H", "LCKV_OF_INT32", "LCKV_OF_UINT32"}
# The version is what changes with every version.
VERSION_MACROS = {f"LCKV_VERSION_{part}" for part in ("MAJOR", "MINOR", "PATCH", "STRING")}


class NotUnderstood(Exception):
    """A declaration that no pattern knows."""


@dataclass
class Member:
    name: str
    type: str
    place: int

    def __str__(self):
        return f"{self.type} at {self.place}"


@dataclass
class Struct:
    """A struct grows at its end if it begins with its size, so that the library knows which one a caller has."""

    size: int
    members: list

    @property
    def grows(self):
        first = self.members[0]
        return first.name == "size" and first.type == "size_t"

    def __str__(self):
        return f"{self.size} bytes, {'may grow' if self.grows else 'never grows'}"


@dataclass
class Function:
    result: str
    parameters: list  # of types

    def __str__(self):
        return f"{self.result} ({', '.join(self.parameters) or 'void'})"


@dataclass
class Constant:
    type: str  # in languages that let an enum have one
    value: int

    def __str__(self):
        return f"{self.type} {self.value}"


@dataclass
class Interface:
    """All facts, by name. A number is a typedef of a number; a handle is a pointer to what only the library knows."""

    version: str = ""
    soname: str = ""
    macros: list = field(default_factory=list)
    types: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    callbacks: dict = field(default_factory=dict)
    handles: list = field(default_factory=list)
    structs: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)
    exports: set = field(default_factory=set)


def clean(declaration):
    """A type as it is written here: "const char *", "lckv_plan **"."""

    text = re.sub(r"\s*\*\s*", "*", declaration.strip())
    return re.sub(r"(?<!\*)\*", " *", text)


def split(declaration):
    """The type and the name of a parameter or a member."""

    match = re.fullmatch(r"(.*[ *])(\w+)", declaration.strip())
    if match is None:
        raise NotUnderstood(f"lckv.h: a parameter or member without a name: {declaration!r}")
    return clean(match[1]), match[2]


def types_of(parameters):
    if parameters.strip() == "void":
        return []
    return [split(part)[0] for part in parameters.split(",")]


class Reader:
    """Reads the statements of a header, in their order, into an Interface."""

    def __init__(self, text):
        self.interface = Interface()
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
        macros = dict(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(.*)$", text, re.MULTILINE))
        string = macros.get("LCKV_VERSION_STRING", "").strip()
        if not re.fullmatch(r'"\d+\.\d+\.\d+"', string):
            raise NotUnderstood('lckv.h: no LCKV_VERSION_STRING such as "0.1.0"')
        self.interface.version = string.strip('"')
        self.interface.macros = [name for name in macros if name not in OWN_MACROS]
        for statement in statements(text):
            if not understand(statement, self):
                raise NotUnderstood(f"lckv.h: not understood: {statement!r}")

    def number(self, type, name):
        self.interface.types[name] = type

    def handle(self, name):
        self.interface.handles.append(name)

    def constants(self, type, body):
        for entry in filter(None, map(str.strip, body.split(","))):
            match = re.fullmatch(r"(\w+) = (-?\w+)", entry)
            if match is None:
                raise NotUnderstood(f"lckv.h: a constant without a number: {entry!r}")
            self.interface.constants[match[1]] = Constant(type.lower() + "_t", int(match[2], 0))

    def callback(self, result, name, parameters):
        self.interface.callbacks[name] = Function(clean(result), types_of(parameters))

    def function(self, result, name, parameters):
        self.interface.functions[name] = Function(clean(result), types_of(parameters))

    def struct(self, name, body):
        end, widest, members = 0, 1, []
        for text in filter(None, map(str.strip, body.split(";"))):
            pointer = re.fullmatch(r"([\w ]+\**) ?\(\*(\w+)\)\((.*)\)", text)
            if pointer:
                kind, member = f"{clean(pointer[1])} (*)({', '.join(types_of(pointer[3]))})", pointer[2]
            else:
                kind, member = split(text)
            size, alignment = self.measure(kind)
            place = -(-end // alignment) * alignment
            members.append(Member(member, kind, place))
            end, widest = place + size, max(widest, alignment)
        self.interface.structs[name] = Struct(-(-end // widest) * widest, members)

    def measure(self, kind):
        """The size and the alignment of a member's type."""

        if "*" in kind or kind in self.interface.callbacks:
            return POINTER_SIZE, POINTER_SIZE
        if kind in self.interface.structs:
            struct = self.interface.structs[kind]
            return struct.size, max(self.measure(member.type)[1] for member in struct.members)
        kind = self.interface.types.get(kind, kind)
        if kind not in SIZES:
            raise NotUnderstood(f"lckv.h: a member of the unknown type {kind!r}")
        return SIZES[kind], SIZES[kind]


def as_pointer(function):
    return f"{function.result} (*)({', '.join(function.parameters) or 'void'})"


def confirmation(interface):
    """A C program that compiles only if the compiler finds the same facts in the header."""

    lines = ["#include <lckv.h>", "#define IS(type, expression) _Generic((expression), type: 1, default: 0)"]

    def claim(condition):
        lines.append(f'_Static_assert({condition}, "");')

    for name, kind in interface.types.items():
        claim(f"IS({kind}, ({name})0)")
    for name, constant in interface.constants.items():
        claim(f"{name} == {constant.value}")
    for name, callback in interface.callbacks.items():
        claim(f"_Generic(({name})0, {as_pointer(callback)}: 1, default: 0)")
    for name, struct in interface.structs.items():
        claim(f"sizeof({name}) == {struct.size}")
        for member in struct.members:
            claim(f"offsetof({name}, {member.name}) == {member.place}")
            claim(f"_Generic(&(({name} *)0)->{member.name}, {pointer_to(member.type)}: 1, default: 0)")
    for name, function in interface.functions.items():
        claim(f"_Generic(&{name}, {as_pointer(function)}: 1, default: 0)")
    for name in interface.handles:
        lines.append(f"struct {name} {{ int only_the_library_knows; }};")
    for name in interface.macros:
        lines += [f"#ifndef {name}", f"#error {name}", "#endif"]
    return "\n".join(lines) + "\n"


def pointer_to(kind):
    return kind.replace("(*)", "(**)", 1) if "(*)" in kind else kind + " *"


def confirm(interface, header, compiler):
    """Has the compiler find every fact in the header, too."""

    command = [*shlex.split(compiler), "-std=c11", "-fsyntax-only", f"-I{header.parent}", "-x", "c", "-"]
    done = subprocess.run(command, input=confirmation(interface), stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise NotUnderstood(f"{compiler} does not confirm how tests/abi/interface.py reads {header}:\n{done.stderr}")


def read(header, library, compiler):
    """The facts of a header and of the shared library that goes with it."""

    header = pathlib.Path(header)
    interface = Reader(header.read_text(encoding="utf-8")).interface
    confirm(interface, header, compiler)
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], stdout=subprocess.PIPE, text=True, check=True)
    interface.exports = {line.split()[-1] for line in symbols.stdout.splitlines()}
    dynamic = subprocess.run(["readelf", "-d", library], stdout=subprocess.PIPE, text=True, check=True)
    soname = re.search(r"\(SONAME\).*\[(.*)\]", dynamic.stdout)
    interface.soname = soname[1] if soname else "none"
    return interface
