"""NumPy arrays, for those who ask for some: without NumPy the rest of the package works."""

from __future__ import annotations

import ctypes
from array import array
from typing import TYPE_CHECKING, Any, Tuple

from ._handles import Reference

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
else:
    Floats = Any


def numpy() -> Any:
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError("this call gives or takes NumPy arrays: pip install lckv[numpy]") from error
    return np


def empty(*shape: int) -> Floats:
    """An array of Python's own, into which the library writes: nothing is copied, and it lives as Python likes."""

    made: Floats = numpy().empty(shape, dtype="float32")
    return made


def floats(values: Any) -> Floats:
    """The values as the library takes them; copied only if they are not so already."""

    made: Floats = numpy().ascontiguousarray(values, dtype="float32")
    return made


def address(array: Floats) -> int:
    return int(array.ctypes.data)


class _Shown:
    """Memory of the library in the form that NumPy takes over, with what keeps it there."""

    def __init__(self, pointer: int, shape: Tuple[int, ...], owner: Reference) -> None:
        self.owner = owner
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": "<f4", "data": (pointer, True)}


def shown(pointer: int, shape: Tuple[int, ...], owner: Reference) -> Floats:
    """A read-only view of the library's memory. The view, and views of it, keep the owner of the memory."""

    made: Floats = numpy().asarray(_Shown(pointer, shape, owner))
    return made


def writable(memory: Any) -> Tuple[int, int, Any]:
    """The address of memory for floats, their number, and what must live as long as the address is used."""

    view = memoryview(memory)
    if view.format not in ("f", "<f") or view.readonly or not view.contiguous:
        raise TypeError(
            f"an array of floats of 32 bits that can be written to is expected, not type {view.format!r}"
            f"{', read-only' if view.readonly else ''}"
        )
    first = ctypes.c_char.from_buffer(view.cast("B") if view.format == "f" and view.ndim == 1 else memory)
    return ctypes.addressof(first), view.nbytes // 4, first


def row(values: Any) -> Tuple[int, int, Any]:
    """The address of one row of floats, their number, and what must live as long as the address is used."""

    if isinstance(values, array):
        return writable(values)
    made = floats(values)
    if made.ndim != 1:
        raise ValueError(f"logits of one position are an array [n_vocab], not {list(made.shape)}")
    return address(made), made.size, made


def copied(pointer: int, n: int, target: Floats) -> None:
    ctypes.memmove(address(target), pointer, 4 * n)
