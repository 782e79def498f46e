"""AMX tiles, which a process may use once it has asked Linux for them."""

from __future__ import annotations

import ctypes
import platform
import sys

_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XTILEDATA = 158, 0x1023, 18


def request_tiles() -> None:
    """Lets this process use AMX tiles, which the kernel sets "amx" and "amxbf16" need.

    Call it before a model is opened. It is left to programs because it holds for the whole process: signal handlers
    with stacks of their own then need larger ones. The programs `lckv-server` and ``python -m lckv`` call it. Where
    there are no tiles it does nothing, and another set is used, which gives the same bits except with bf16 weights in
    fast precision.
    """

    if sys.platform.startswith("linux") and platform.machine() == "x86_64":
        ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XTILEDATA)
