"""How Python objects own handles of the library.

The library counts the references to its handles, and children hold their parents. So here it suffices that each
Python object owns one reference, a `Reference`, which is given back when nothing in Python uses it any more. A method
takes it into a local variable for the time of its call: if another thread closes the object meanwhile, the call goes
on with a handle that is still good.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, Optional, Type, TypeVar

from ._library import library

Self = TypeVar("Self", bound="Handle")


class Reference:
    """One reference to a handle. ctypes takes it where a handle is expected."""

    __slots__ = ("_as_parameter_", "address", "kept", "__weakref__")

    def __init__(self, address: int, release: Callable[[int], None], kept: Any = None) -> None:
        self._as_parameter_ = ctypes.c_void_p(address)
        self.address = address
        self.kept = kept  # what the handle's callbacks need
        # Not at exit: other threads may still use the handle, and the process gives everything back.
        weakref.finalize(self, release, address).atexit = False


class Handle:
    """What all objects of the library have in common: they are closed once, by hand, by ``with``, or by nobody."""

    _kind = ""
    _owned: Optional[Reference]

    def _own(self, address: Optional[int], kept: Any = None) -> None:
        assert address is not None
        self._owned = Reference(address, getattr(library, f"lckv_{self._kind}_release"), kept)

    @classmethod
    def _retained(cls: Type[Self], address: int) -> Self:
        """An object with a reference of its own to a handle that somebody else holds."""

        getattr(library, f"lckv_{cls._kind}_retain")(address)
        made = cls.__new__(cls)
        made._own(address)
        return made

    @property
    def _handle(self) -> Reference:
        owned: Optional[Reference] = getattr(self, "_owned", None)
        if owned is None:
            raise ValueError(f"the {self._kind} is closed")
        return owned

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""

        return getattr(self, "_owned", None) is None

    def close(self) -> None:
        """Gives the object up, as the end of a ``with`` block does. Closing again does nothing.

        What was made from it goes on working: a session keeps its cache, and a cache its model. Memory is free when
        the last of them is closed, or no longer used.
        """

        self._owned = None

    def __enter__(self: Self) -> Self:
        if self.closed:
            raise ValueError(f"the {self._kind} is closed")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<lckv.{name}, closed>" if self.closed else f"<lckv.{name} {self._describe()}>"

    def _describe(self) -> str:
        return f"at {self._handle.address:#x}"
