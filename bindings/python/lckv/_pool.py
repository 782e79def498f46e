"""Threads that models and caches share."""

from __future__ import annotations

import ctypes

from ._errors import check
from ._handles import Handle
from ._library import library
from ._structs import number


class Pool(Handle):
    """Threads that read the weights of models and compute for caches, for one of them at a time.

    A cache that is given no pool has threads of its own. Programs with several caches that compute in turns share
    one pool. With `n_threads` 0 it has a thread for each physical core that the process may use.
    """

    _kind = "pool"

    def __init__(self, n_threads: int = 0) -> None:
        pool = ctypes.c_void_p()
        check(library.lckv_pool_create(number(ctypes.c_uint32, "n_threads", n_threads), ctypes.byref(pool)))
        self._own(pool.value)
