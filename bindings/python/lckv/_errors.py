"""One exception for each status of the library, with its message."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Optional, Type

from . import _declarations as c
from ._library import library


class Error(Exception):
    """What the library could not do: the text says what was wrong, where, and what was expected.

    Each status has a subclass; those that Python has a name for are also exceptions of that name, so that
    ``except MemoryError`` and ``except OSError`` work.
    """

    status: ClassVar[int] = -1
    report: Optional[Any] = None
    """After a failed evaluate, the `EvaluateReport` that tells which item failed and how many pages were missing."""


class InvalidArgument(Error, ValueError):
    """An argument breaks the contract of the call."""

    status = c.LCKV_INVALID_ARGUMENT


class OutOfMemory(Error, MemoryError):
    """The system had no memory to give. A cache whose pages are used up raises `CacheFull` instead."""

    status = c.LCKV_OUT_OF_MEMORY


class IOError(Error, OSError):
    """The system could not open, read or write a file."""

    status = c.LCKV_IO


class BadFormat(Error, ValueError):
    """A file or a text is malformed."""

    status = c.LCKV_BAD_FORMAT


class Unsupported(Error):
    """Something is well formed, but this version cannot do it."""

    status = c.LCKV_UNSUPPORTED


class BadPlan(Error, ValueError):
    """A layer plan is malformed, or the tensors of a model contradict it."""

    status = c.LCKV_BAD_PLAN


class CacheFull(Error):
    """The cache has too few free pages, sessions or rows. Nothing has changed."""

    status = c.LCKV_CACHE_FULL


class Cancelled(Error):
    """`Cache.cancel` ended the call. Nothing has changed."""

    status = c.LCKV_CANCELLED


class Busy(Error):
    """Another call is working on this cache; see the option `waits` of `Cache`."""

    status = c.LCKV_BUSY


class BufferTooSmall(Error):
    """An array for results is too small."""

    status = c.LCKV_BUFFER_TOO_SMALL


class Mismatch(Error):
    """Two things that must agree do not: a saved session and a model, say."""

    status = c.LCKV_MISMATCH


class OutOfWindow(Error):
    """The position is older than what windowed layers keep."""

    status = c.LCKV_OUT_OF_WINDOW


class Internal(Error):
    """A defect of the library. Please report it."""

    status = c.LCKV_INTERNAL


CLASSES: Dict[int, Type[Error]] = {kind.status: kind for kind in Error.__subclasses__()}


def check(status: int) -> None:
    """Raises the exception of a status that is not LCKV_OK. Call it on the thread that made the failed call."""

    if status != c.LCKV_OK:
        raise CLASSES.get(status, Error)(library.lckv_last_error().decode("utf-8", "replace"))
