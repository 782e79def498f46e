#!/usr/bin/env python3
"""Compares the interface of this tree with its record, or renews the record.

    record.py check HEADER LIBRARY [RECORD]    fails if programs that were built before would break
    record.py write HEADER LIBRARY [RECORD]    renews the record, if nothing but additions is new

The record is record.txt, one fact a line, so that a change of the interface can be read in a diff. With it, `write`
keeps the header of each minor version in the folder frozen: programs are built with these, and run with today's
library. docs/abi.md is the promise behind it all. A version 0.0.x promises nothing yet, so `write` replaces its record
whatever has changed; to do so with a version that was never published, delete its record first.
"""

import os
import pathlib
import re
import sys

import changes
import interface
from interface import Constant, Function, Interface, Member, Struct

RECORD = pathlib.Path(__file__).resolve().parent / "record.txt"

PREFACE = """\
# The interface of lckv that programs are built against, one fact a line: docs/abi.md is the promise.
# make check-abi compares the tree with it, make record-abi renews it. Do not edit it by hand.
# Sizes and places are in bytes, for machines with 64-bit pointers.
"""


def lines(found):
    """The facts as lines, in the order of the header."""

    yield f"version {found.version}"
    yield f"soname {found.soname}"
    for name in found.macros:
        yield f"macro {name}"
    for name in found.handles:
        yield f"handle {name}"
    for kind in ("types", "constants", "callbacks", "functions"):
        for name, fact in getattr(found, kind).items():
            yield f"{kind[:-1]} {name}: {fact}"
    for name, struct in found.structs.items():
        yield f"struct {name}: {struct}"
        for member in struct.members:
            yield f"member {name}.{member.name}: {member}"


def function_of(text):
    result, parameters = re.fullmatch(r"(.*?) \((.*)\)", text).groups()
    return Function(result, [] if parameters == "void" else parameters.split(", "))


def parse(text):
    """The facts that `lines` has written."""

    found = Interface()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        kind, rest = line.split(" ", 1)
        name, _, fact = rest.partition(": ")
        if kind in ("version", "soname"):
            setattr(found, kind, rest)
        elif kind == "macro":
            found.macros.append(rest)
        elif kind == "handle":
            found.handles.append(rest)
        elif kind == "type":
            found.types[name] = fact
        elif kind == "constant":
            type, value = fact.split(" ")
            found.constants[name] = Constant(type, int(value))
        elif kind == "callback":
            found.callbacks[name] = function_of(fact)
        elif kind == "function":
            found.functions[name] = function_of(fact)
            found.exports.add(name)
        elif kind == "struct":
            found.structs[name] = Struct(int(fact.split(" ")[0]), [])
        elif kind == "member":
            struct, member = name.split(".")
            type, place = fact.rsplit(" at ", 1)
            found.structs[struct].members.append(Member(member, type, int(place)))
        else:
            raise SystemExit(f"check-abi: the record has a line that is none: {line!r}")
    return found


def compare(header, library, record):
    """What is recorded, what is found, what breaks programs, and what is new."""

    recorded = parse(record.read_text(encoding="utf-8"))
    found = interface.read(header, library, os.environ.get("CC", "cc"))
    return recorded, found, *changes.between(recorded, found)


def complain(recorded, breaks):
    for text in breaks:
        print(f"FAIL  {text}")
    print(
        f"check-abi: {len(breaks)} of these against the interface of version {recorded.version}, "
        "which docs/abi.md promises to keep: take them back, or add something new beside what there is"
    )
    raise SystemExit(1)


def check(header, library, record):
    recorded, _, breaks, additions = compare(header, library, record)
    if breaks:
        complain(recorded, breaks)
    for text in additions:
        print(f"new: {text}")
    print(
        f"{len(recorded.functions)} functions, {len(recorded.structs)} structs and {len(recorded.constants)} constants "
        f"are as in version {recorded.version}" + ("; make record-abi records what is new" if additions else "")
    )


def minor(version):
    return version.rsplit(".", 1)[0]


def write(header, library, record):
    old = None
    if record.exists():
        recorded, found, breaks, additions = compare(header, library, record)
        if minor(recorded.version) != "0.0" and recorded.soname == found.soname:
            if breaks:
                complain(recorded, breaks)
            if additions and minor(recorded.version) == minor(found.version):
                raise SystemExit(
                    f"record-abi: version {recorded.version} has been recorded without {additions[0]}: additions make "
                    "a new minor version (LCKV_VERSION_MINOR, LCKV_VERSION_PATCH and LCKV_VERSION_STRING in lckv.h)"
                )
            old = recorded
    else:
        found = interface.read(header, library, os.environ.get("CC", "cc"))
    record.write_text(PREFACE + "".join(line + "\n" for line in lines(found)), encoding="utf-8")
    freeze(header, record.parent / "frozen", found.version, old)
    print(f"{record}: version {found.version}")


def freeze(header, frozen, version, old):
    """Keeps the header of a minor version. Only one that nobody has been promised is replaced."""

    folder = frozen / minor(version)
    if old is None and (frozen / "0.0").exists():
        (frozen / "0.0").rename(folder)
    if old is None or not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lckv.h").write_bytes(header.read_bytes())


def run(action, header, library, record):
    try:
        {"check": check, "write": write}[action](header, library, record)
    except interface.NotUnderstood as problem:
        raise SystemExit(f"check-abi: {problem}") from problem


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("check", "write"):
        raise SystemExit(__doc__)
    record = pathlib.Path(sys.argv[4]) if len(sys.argv) == 5 else RECORD
    run(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], record)


if __name__ == "__main__":
    main()
