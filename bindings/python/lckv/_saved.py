"""Saved sessions: to files, and to anything that takes and gives bytes."""

from __future__ import annotations

import ctypes
from typing import Any, BinaryIO, List, Optional, Sequence, Tuple, Union

from . import _declarations as c
from ._cache import Cache
from ._calls import Progress, interruptible
from ._errors import BufferTooSmall, CacheFull, InvalidArgument
from ._library import library
from ._session import Session, handles
from ._structs import Path, new, path_bytes

Target = Union[Path, BinaryIO]
Source = Union[Path, BinaryIO]


def save_sessions(
    sessions: Sequence[Session], target: Target, *, note: bytes = b"", progress: Optional[Progress] = None
) -> None:
    """Saves sessions of one cache, with a note of one's own.

        >>> lckv.save_sessions([session], "talk.lckv", note=b"about boats")
        >>> [session] = cache.restore("talk.lckv")

    `target` is a path, which is replaced only when all has been written, or a file that is open for writing bytes.
    What pages sessions share is saved once. Another process, with the same model and types of keys and values, makes
    the same sessions of it, bit for bit.
    """

    if not sessions:
        raise InvalidArgument("there are no sessions to save")
    cache = sessions[0].cache
    call = cache._shared.call(cache._handle, progress)
    kept, pointers = handles(sessions)
    memory = ctypes.create_string_buffer(note, len(note)) if note else None
    options = new(
        c.lckv_save_options,
        note=ctypes.addressof(memory) if memory is not None else None,
        note_length=len(note),
        progress=call.progress,
    )
    if hasattr(target, "write"):
        stream: Any = target
        write = c.lckv_write_callback(lambda _user, data, n: call.guard(_write, stream, data, n))

        def work() -> None:
            cache._shared.work(call, library.lckv_sessions_save, pointers, len(kept), write, None, options)

    else:
        path = path_bytes(target)

        def work() -> None:
            cache._shared.work(call, library.lckv_sessions_save_file, pointers, len(kept), path, options)

    interruptible(call, work)


def _write(stream: Any, data: int, n: int) -> None:
    left = memoryview(ctypes.string_at(data, n))
    while left:
        n_written = stream.write(left)
        if not n_written:  # None of a raw stream: it would have to wait
            raise OSError(f"{stream!r} took nothing of {len(left)} bytes")
        left = left[n_written:]


def restore_sessions(
    cache: Cache, source: Source, *, any_kernels: bool = False, progress: Optional[Progress] = None
) -> Tuple[List[Session], bytes]:
    """Makes saved sessions again, and gives the note that was saved with them: see `Cache.restore`.

    Restore only what you trust as much as the model's file. Raises `Mismatch` for another model, `BadFormat` for
    damaged bytes, `CacheFull` if there is too little room; nothing has changed then. From a file that is open, no
    byte is read that does not belong to the sessions.
    """

    handle = cache._handle
    call = cache._shared.call(handle, progress)
    note: List[bytes] = []
    take = c.lckv_write_callback(lambda _user, data, n: call.guard(note.append, ctypes.string_at(data, n)))
    options = new(c.lckv_restore_options, any_kernels=any_kernels, note=take, progress=call.progress)
    capacity = cache.stats.max_sessions
    pointers, n = (ctypes.c_void_p * capacity)(), ctypes.c_size_t()
    if hasattr(source, "read"):
        stream: Any = source
        read = c.lckv_read_callback(lambda _user, data, length, got: call.guard(_read, stream, data, length, got))

        def work() -> None:
            made = pointers, capacity, ctypes.byref(n)
            cache._shared.work(call, library.lckv_sessions_restore, handle, read, None, options, *made)

    else:
        path = path_bytes(source)

        def work() -> None:
            made = pointers, capacity, ctypes.byref(n)
            cache._shared.work(call, library.lckv_sessions_restore_file, handle, path, options, *made)

    try:
        interruptible(call, work)
    except BufferTooSmall as error:
        raise CacheFull(f"{n.value} sessions are saved here, but the cache has at most {capacity}") from error
    finally:
        sessions = [Session._made(pointers[i], cache._shared) for i in range(min(n.value, capacity)) if pointers[i]]
    return sessions, b"".join(note)


def _read(stream: Any, data: int, length: int, got: Any) -> None:
    read = stream.read(length)
    if not isinstance(read, (bytes, bytearray)) or len(read) > length:
        raise TypeError(f"{stream!r} gave {type(read).__name__} where up to {length} bytes were asked for")
    ctypes.memmove(data, bytes(read), len(read))
    got[0] = len(read)
