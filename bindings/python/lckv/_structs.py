"""Between the structs of the library and what Python passes around."""

from __future__ import annotations

import ctypes
import dataclasses
import os
from typing import Any, Callable, Dict, Mapping, Optional, Type, TypeVar, Union

from . import _declarations as c
from ._errors import InvalidArgument, check
from ._library import library

T = TypeVar("T")
Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Text = Union[str, bytes]

UNLIMITED = 2**64 - 1
INTEGERS = (ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t)


def number(kind: Any, name: str, value: int) -> int:
    """An integer as an argument or member of a type of ctypes, which would drop bits that do not fit."""

    if kind(value).value != value:
        bits = 8 * ctypes.sizeof(kind)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind(-1).value < 0 else (0, 2**bits - 1)
        raise InvalidArgument(f"{name} is {value}; expected {low} to {high}")
    return value


def new(kind: Type[T], **members: Any) -> T:
    """A struct that knows its size."""

    kinds = dict(kind._fields_)  # type: ignore[attr-defined]
    for name, value in members.items():
        if isinstance(value, int) and kinds[name] in INTEGERS:
            number(kinds[name], name, value)
    return kind(size=ctypes.sizeof(kind), **members)  # type: ignore[call-arg, arg-type]


def encoded(text: Text) -> bytes:
    """Text for the library. What os.fsdecode could not decode becomes the same bytes again."""

    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def path_bytes(path: Path) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:
        raise InvalidArgument(f"the path {name!r} has a NUL byte in it")
    return name


def dtype_number(name: Optional[str]) -> int:
    if name is None:
        return c.LCKV_DTYPE_DEFAULT
    found = ctypes.c_int32()
    check(library.lckv_dtype_from_name(encoded(name), ctypes.byref(found)))
    return found.value


def dtype_name(number: int) -> str:
    name = library.lckv_dtype_name(number)
    return name.decode() if name is not None else f"type {number}"


def choice(what: str, name: Optional[str], known: Mapping[str, int]) -> int:
    """The number of an option's name; 0, the default, for None."""

    if name is None:
        return 0
    if name not in known:
        raise InvalidArgument(f"{what} is {name!r}; expected {', '.join(map(repr, known))}")
    return known[name]


def name_of(number: int, known: Mapping[str, int]) -> str:
    return next((name for name, value in known.items() if value == number), f"unknown ({number})")


_CONVERSIONS: Dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": lambda value: (value or b"").decode("utf-8", "replace"),
    "Optional[str]": lambda value: None if value is None else value.decode("utf-8", "replace"),
}


def read(kind: Type[T], struct: Any, **others: Any) -> T:
    """A dataclass with what the members of a struct say; `others` are fields of another type."""

    values = dict(others)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in others:
            values[field.name] = _CONVERSIONS[str(field.type)](getattr(struct, field.name))
    return kind(**values)


def written(call: Callable[..., int], *arguments: Any) -> bytes:
    """The bytes of a function that writes to (buffer, capacity, length)."""

    length, capacity = ctypes.c_size_t(), 512
    while True:
        buffer = ctypes.create_string_buffer(capacity)
        status = call(*arguments, buffer, capacity, ctypes.byref(length))
        if status != c.LCKV_BUFFER_TOO_SMALL or length.value < capacity:
            check(status)
            return buffer.raw[: length.value]
        capacity = length.value + 1
