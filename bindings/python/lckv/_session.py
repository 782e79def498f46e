"""Sessions: sequences of tokens."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Tuple, Union

from . import _arrays
from . import _declarations as c
from ._arrays import Floats
from ._cache import Cache, Shared
from ._calls import Call, Progress
from ._errors import OutOfWindow, check
from ._evaluation import Item, Result
from ._handles import Handle, Reference
from ._library import library
from ._tokens import Tokens, room, token_array, written_tokens

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._completion import Completion
    from ._generation import AsyncGeneration, Generation
    from ._sampler import Sampler
    from ._saved import Target

Prompt = Union[str, Tokens]
Stop = Union[str, Sequence[str]]


class Session(Handle):
    """One sequence of tokens in a cache: ``cache.session()`` or ``Session(cache)``.

    >>> for piece in session.generate("Once upon a time"):
    ...     print(piece.text, end="", flush=True)
    """

    _kind = "session"
    _shared: Shared

    def __init__(self, cache: Cache) -> None:
        session = ctypes.c_void_p()
        self._shared = cache._shared
        self._shared.work(Call(), library.lckv_session_create, cache._handle, ctypes.byref(session))
        self._own(session.value)

    @classmethod
    def _made(cls, address: Optional[int], shared: Shared) -> Session:
        made = cls.__new__(cls)
        made._own(address)
        made._shared = shared
        return made

    @property
    def cache(self) -> Cache:
        """The cache that the session is in."""

        handle = self._handle
        cache = Cache._retained(library.lckv_session_cache(handle))
        cache._shared = self._shared
        return cache

    # ---- Its tokens ----

    @property
    def length(self) -> int:
        """The number of encoded tokens."""

        return self._number(library.lckv_session_length)

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return True

    @property
    def min_length(self) -> int:
        """The shortest length, other than 0, to which `truncate` can go back."""

        return self._number(library.lckv_session_min_length)

    def _number(self, call: Callable[..., int]) -> int:
        found = ctypes.c_uint64()
        check(call(self._handle, ctypes.byref(found)))
        return found.value

    @property
    def tokens(self) -> List[int]:
        """The encoded tokens, oldest first. Raises `OutOfWindow` if a context window has left some behind."""

        return written_tokens(library.lckv_session_tokens, self._handle)

    def read_tokens(self, begin: int, end: int) -> List[int]:
        """The encoded tokens at positions `begin` to `end`, without the last."""

        handle = self._handle
        if not 0 <= begin <= end <= self.length:
            raise ValueError(f"positions {begin} to {end} of a session of {self.length} tokens")
        tokens = room(end - begin)
        check(library.lckv_session_read_tokens(handle, begin, end, tokens.buffer_info()[0]))
        return tokens.tolist()

    def truncate(self, length: int) -> None:
        """Forgets all tokens from position `length` on, and the logits that the cache holds for the session.

        Windowed slots can go back to `min_length` or to 0; for lengths between these it raises `OutOfWindow`.
        """

        if length < 0:
            raise ValueError(f"a session cannot have {length} tokens")
        self._shared.work(Call(), library.lckv_session_truncate, self._handle, length)

    def fork(self) -> Session:
        """A session with the same tokens and logits. The two share their memory until one of them appends."""

        fork = ctypes.c_void_p()
        self._shared.work(Call(), library.lckv_session_fork, self._handle, ctypes.byref(fork))
        return Session._made(fork.value, self._shared)

    def reuse(self, tokens: Tokens) -> int:
        """Lets an empty session begin with what the cache has computed already, and tells how many tokens that are.

            >>> n = session.reuse(tokens)
            >>> session.generate(tokens[n:])

        At least one of the tokens is left to evaluate. Sessions that were closed count, as long as their pages have
        not been needed.
        """

        array = token_array(tokens)
        n = ctypes.c_size_t()
        self._shared.work(Call(), library.lckv_session_reuse, self._handle, *array.buffer_info(), ctypes.byref(n))
        return n.value

    # ---- What is computed ----

    def evaluate(
        self,
        tokens: Tokens,
        *,
        logits: str = "last",
        hidden: str = "none",
        hold: bool = False,
        out: Optional[Buffer] = None,
        prefill: Optional[str] = None,
        forward_passes: int = 0,
        backward_passes: int = 0,
        window: int = 0,
        tolerance: float = 0.0,
        progress: Optional[Progress] = None,
    ) -> Result:
        """Appends tokens: `Cache.evaluate` for this session alone, with its options and those of `Item`."""

        [result] = self.cache.evaluate(
            [Item(self, tokens, logits, hidden, hold, out)],
            prefill=prefill,
            forward_passes=forward_passes,
            backward_passes=backward_passes,
            window=window,
            tolerance=tolerance,
            progress=progress,
        )
        return result

    def logits(self, *, copy: bool = True) -> Floats:
        """The logits that the cache holds for the session, float32 [rows, n_vocab].

        These are of items with `hold`, and of `complete`, until the next call on the cache has succeeded. Without
        `copy` it is a read-only view of the cache's memory: it keeps that memory, even if all else is closed, but
        shows something else once another call on the cache has succeeded.
        """

        handle, cache = self._handle, self.cache._handle

        def show() -> Floats:
            pointer, n = ctypes.c_void_p(), ctypes.c_size_t()
            check(library.lckv_session_logits(handle, ctypes.byref(pointer), ctypes.byref(n)))
            assert pointer.value is not None
            view = _arrays.shown(pointer.value, (n.value, self._shared.n_vocab), cache)
            return view.copy() if copy else view

        return self._shared.turns.work(Call(), show)

    def read_kv(self, slot: int, begin: int, end: int) -> Tuple[Floats, Floats]:
        """Keys and values of a slot at positions `begin` to `end`: float32 [positions, n_kv_heads, head_dim] each."""

        handle, model = self._handle, self.cache.model
        plan = model.plan
        slots = [] if plan is None else plan.slots
        if not 0 <= slot < len(slots) or not 0 <= begin <= end:
            raise ValueError(f"slot {slot}, positions {begin} to {end}: there are {len(slots)} slots")
        layer = model.layers[slots[slot].layer]
        keys, values = (_arrays.empty(end - begin, layer.n_kv_heads, layer.head_dim) for _ in range(2))
        pointers = _arrays.address(keys), _arrays.address(values)
        self._shared.work(Call(), library.lckv_session_read_kv, handle, slot, begin, end, *pointers)
        return keys, values

    # ---- Text ----

    def generate(
        self,
        prompt: Prompt = (),
        *,
        max_tokens: Optional[int] = 256,
        sampler: Optional[Sampler] = None,
        stop: Stop = (),
        ignore_end: bool = False,
        prefill: Optional[str] = None,
        window: int = 0,
        tolerance: float = 0.0,
    ) -> Generation:
        """Appends the prompt, then chooses, accepts and appends tokens: an iterator of `Piece`.

            >>> for text, token in session.generate("Once upon a time", stop="The end"):
            ...     print(text, end="")

        `prompt` is text (which begins with BOS if the session is empty and the model wants it) or tokens. If it is
        empty, the text goes on behind the tokens of the session, as for forks that give several answers. The text
        ends with the model's end token (unless `ignore_end`), before the first of the strings in `stop`, after
        `max_tokens` (None: no limit), or when the cache is full. Without a `sampler` the most likely token is
        chosen.

        Each step is computed when the next piece is asked for. Between steps the cache is free for others, and the
        iterator can be left at any time: the session then holds the prompt and all tokens given but the last.
        """

        from ._generation import Generation, Steps

        return Generation(Steps(self, prompt, max_tokens, sampler, stop, ignore_end, prefill, window, tolerance))

    def agenerate(
        self,
        prompt: Prompt = (),
        *,
        max_tokens: Optional[int] = 256,
        sampler: Optional[Sampler] = None,
        stop: Stop = (),
        ignore_end: bool = False,
        prefill: Optional[str] = None,
        window: int = 0,
        tolerance: float = 0.0,
    ) -> AsyncGeneration:
        """The same for ``async for``: steps are computed in another thread, and the event loop goes on.

            >>> async for text, token in session.agenerate("Once upon a time"):
            ...     await send(text)

        If the task is cancelled, the step ends, and the session is as before it.
        """

        from ._generation import AsyncGeneration, Steps

        return AsyncGeneration(Steps(self, prompt, max_tokens, sampler, stop, ignore_end, prefill, window, tolerance))

    def complete(
        self,
        prompt: Prompt,
        *,
        max_tokens: Optional[int] = 256,
        sampler: Optional[Sampler] = None,
        stop: Stop = (),
        ignore_end: bool = False,
        prefill: Optional[str] = None,
        window: int = 0,
        tolerance: float = 0.0,
        on_token: Optional[Callable[[str, Optional[int]], Any]] = None,
    ) -> Completion:
        """Generates the whole text in one call of the library.

            >>> session.complete("Once upon a time", max_tokens=50).text

        It is what `generate` gives, piece by piece. The cache is busy from the beginning to the end. `on_token` is
        called with the text that is complete now and its token (None for what is left at the end); if it returns
        something true, the text ends, and if it raises, the exception comes out of `complete`.
        """

        from . import _completion

        return _completion.complete(
            self, prompt, max_tokens, sampler, stop, ignore_end, prefill, window, tolerance, on_token
        )

    def save(self, target: Target, *, note: bytes = b"", progress: Optional[Progress] = None) -> None:
        """Saves the session to a path or a binary file: `save_sessions` for this session alone."""

        from ._saved import save_sessions

        save_sessions([self], target, note=note, progress=progress)

    def _prompt(self, prompt: Prompt) -> Tokens:
        if isinstance(prompt, str):
            return self.cache.model.prompt(prompt, begins=self.length == 0)
        return prompt

    def _last_token(self) -> int:
        """The last encoded token, or -1."""

        length = self.length
        try:
            return self.read_tokens(length - 1, length)[0] if length > 0 else -1
        except OutOfWindow:
            return -1

    def _describe(self) -> str:
        return f"of {self.length} tokens"


def handles(sessions: Sequence[Session]) -> Tuple[List[Reference], Any]:
    """Sessions as the library takes them, and what must live as long as the call."""

    kept = [session._handle for session in sessions]
    return kept, (ctypes.c_void_p * len(kept))(*(handle.address for handle in kept))


STOP_REASONS = {
    "length": c.LCKV_STOP_LENGTH,
    "end": c.LCKV_STOP_END,
    "string": c.LCKV_STOP_STRING,
    "callback": c.LCKV_STOP_CALLBACK,
    "full": c.LCKV_STOP_FULL,
    "cancelled": c.LCKV_STOP_CANCELLED,
}
