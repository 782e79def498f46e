"""Memory of other objects, read where it is."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, Tuple

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Buffer(ctypes.Structure):
    """Python's Py_buffer. ctypes itself shows only memory that can be written to."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = [ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int]
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes, _release.restype = [ctypes.POINTER(_Buffer)], None


@contextmanager
def shown(data: Buffer) -> Iterator[Tuple[int, int]]:
    """The address of contiguous bytes, and their number. Nobody can free or resize them meanwhile."""

    view = _Buffer()
    _get(data, view, 0)  # raises what the object says, BufferError or TypeError
    try:
        yield view.buf or 0, view.len
    finally:
        _release(view)
