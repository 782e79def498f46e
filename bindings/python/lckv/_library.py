"""Finds liblckv, loads it, and checks that it is the library that this package was written for.

The library is looked for in this order:

1. the file that the environment variable ``LCKV_LIBRARY`` names, and no other
2. ``lckv/lib/liblckv.so.0`` in this package, where wheels have it
3. ``liblckv.so.0`` where the system finds libraries

``ctypes.CDLL`` gives up the GIL for the time of every call, so other threads run while the library computes.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, Iterable

from . import _declarations as c

SONAME = "liblckv.so.0"
BUNDLED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", SONAME)
NEEDED = c.LCKV_VERSION_MAJOR * 10000 + c.LCKV_VERSION_MINOR * 100 + c.LCKV_VERSION_PATCH
GUARD = 64

# What is right for the plan 0_3_3_3_4s, whose layers have one head of 32 elements.
PLAN = {"n_layers": 5, "n_slots": 3, "n_windowed_slots": 1, "n_upward": 2, "n_groups": 3, "is_standard": 0}
LAYER = {"source": 3, "is_upward": 1, "is_windowed": 0, "slot": -1, "source_slot": 1}
MEMORY = {"bytes_per_token": 384, "standard_bytes_per_token": 640, "full_bytes_per_token": 256}


def find() -> str:
    """The path or name to load."""

    named = os.environ.get("LCKV_LIBRARY")
    if named:
        return named
    return BUNDLED if os.path.exists(BUNDLED) else SONAME


def load() -> ctypes.CDLL:
    path = find()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        origin = "LCKV_LIBRARY names it" if os.environ.get("LCKV_LIBRARY") else "LCKV_LIBRARY may name another"
        raise ImportError(f"lckv cannot load its library {path} ({origin}): {error}") from error
    check_version(library, path)
    for name, (result, arguments) in c.FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    problem = layout_problem(library)
    if problem:
        raise ImportError(
            f"lckv was written for version {c.LCKV_VERSION_STRING} of its library, but {path}, which "
            f"says that it is {library.lckv_version_string().decode()}, {problem}"
        )
    return library


def check_version(library: ctypes.CDLL, path: str) -> None:
    """Later versions of the same major number have all that earlier ones have; earlier ones do not."""

    missing = [name for name in c.FUNCTIONS if not hasattr(library, name)]
    if hasattr(library, "lckv_version_number"):
        number = int(library.lckv_version_number())
        found = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
        fits = number >= NEEDED and number // 10000 == c.LCKV_VERSION_MAJOR
    else:
        found, fits = "no library of lckv", False
    if missing or not fits:
        lack = f", and it lacks {', '.join(missing[:3])}" if missing else ""
        raise ImportError(
            f"lckv needs version {c.LCKV_VERSION_STRING} of its library or a later {c.LCKV_VERSION_MAJOR}.x; "
            f"{path} is {found}{lack}"
        )


class Guarded:
    """A struct with bytes behind it that nobody may write to."""

    def __init__(self, kind: Any) -> None:
        self.size = ctypes.sizeof(kind)
        self.memory = ctypes.create_string_buffer(b"\xa5" * (self.size + GUARD), self.size + GUARD)
        self.struct = kind.from_buffer(self.memory)
        self.struct.size = self.size

    def values(self, names: Iterable[str]) -> Dict[str, int]:
        return {name: getattr(self.struct, name) for name in names}

    def is_within(self) -> bool:
        return self.memory.raw[self.size :] == b"\xa5" * GUARD


def layout_problem(library: ctypes.CDLL) -> str:
    """What of the layout of structs is not as declared; "" if all is well.

    The library clears options of the size that we tell, and fills in results about a small plan whose numbers are
    known, so members that moved show. Structs only ever grow at their end, so this holds for later versions, too.
    """

    for name, (_, arguments) in c.FUNCTIONS.items():
        if name.endswith("_init"):
            options = Guarded(arguments[0]._type_)
            status = getattr(library, name)(ctypes.byref(options.struct), options.size)
            rest = bytes(options.size - ctypes.sizeof(ctypes.c_size_t))
            cleared = options.memory.raw[ctypes.sizeof(ctypes.c_size_t) : options.size] == rest
            if status != c.LCKV_OK or options.struct.size != options.size or not cleared or not options.is_within():
                return f"does not take {options.size} bytes in {name}"
    plan = ctypes.c_void_p()
    text = b"0_3_3_3_4s"
    if library.lckv_plan_parse(text, len(text), 5, ctypes.byref(plan)) != c.LCKV_OK:
        return f"does not understand the plan {text.decode()}: {library.lckv_last_error().decode()}"
    try:
        return plan_problem(library, plan)
    finally:
        library.lckv_plan_release(plan)


def plan_problem(library: ctypes.CDLL, plan: ctypes.c_void_p) -> str:
    asked = [
        ("lckv_plan_get_info", c.lckv_plan_info, [], PLAN),
        ("lckv_plan_get_layer", c.lckv_layer_info, [1], LAYER),
        ("lckv_plan_get_slot", c.lckv_slot_info, [1], {"layer": 3, "n_readers": 3, "is_windowed": 0}),
        ("lckv_plan_get_group", c.lckv_group_info, [1], {"first": 1, "last": 3, "is_cyclic": 1}),
    ]
    for name, kind, arguments, expected in asked:
        info = Guarded(kind)
        status = getattr(library, name)(plan, *arguments, ctypes.byref(info.struct))
        found = info.values(expected)
        if status != c.LCKV_OK or found != expected or info.struct.size != info.size or not info.is_within():
            return f"gives {found} in {name} where {expected} is right"
    request = c.lckv_memory_request(
        size=ctypes.sizeof(c.lckv_memory_request),
        plan=plan,
        n_kv_heads=1,
        head_dim=32,
        sliding_window=16,
        budget_bytes=1 << 30,
    )
    report = Guarded(c.lckv_memory_report)
    status = library.lckv_memory_estimate(ctypes.byref(request), ctypes.byref(report.struct))
    found = report.values(MEMORY)
    if status != c.LCKV_OK or found != MEMORY or not report.is_within():
        return f"gives {found} in lckv_memory_estimate where {MEMORY} is right"
    return ""


library = load()
