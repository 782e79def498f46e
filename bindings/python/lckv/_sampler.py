"""Samplers: from logits to tokens."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Protocol, Union

from . import _arrays
from . import _declarations as c
from ._arrays import Floats
from ._calls import Call, interruptible
from ._errors import check
from ._handles import Handle
from ._library import library
from ._structs import new, number

if TYPE_CHECKING:
    from ._session import Session


class Constraint(Protocol):
    """Says which tokens may come next in one text: a grammar, say.

    In an engine it is called by the thread that computes for everybody, so it had better be quick. What it raises ends
    its own request.
    """

    def mask(self, logits: Floats) -> None:
        """Sets the logits, float32 [n_vocab], of tokens that may not come next to -inf."""

    def accept(self, token: int) -> None:
        """Is told the token that was chosen."""


class _Changing:
    """A user's function that changes logits, as the library calls it.

    The function gets an array of Python's own: what it keeps of it may be written over later, but is never gone.
    Clones of a sampler share this object, and each may be in a thread of its own.
    """

    def __init__(self, function: Callable[[Floats], Any]) -> None:
        self._function = function
        self._arrays: List[Floats] = []  # that no call uses now
        self._calls = threading.local()

    def run(self, call: Call, function: Callable[[], None]) -> None:
        """Runs a function that calls back on this thread, as a part of the call."""

        outer = getattr(self._calls, "call", None)
        self._calls.call = call
        try:
            function()
        finally:
            self._calls.call = outer

    def change(self, _user: Optional[int], logits: int, n_vocab: int) -> int:
        call: Call = self._calls.call
        return call.guard(self._change, logits, n_vocab)

    def _change(self, logits: int, n_vocab: int) -> None:
        try:
            array = self._arrays.pop()
        except IndexError:
            array = _arrays.empty(n_vocab)
        if array.size != n_vocab:
            array = _arrays.empty(n_vocab)
        _arrays.copied(logits, n_vocab, array)
        self._function(array)
        ctypes.memmove(logits, _arrays.address(array), 4 * n_vocab)
        self._arrays.append(array)


def _changing(callback: Optional[Callable[[Floats], Any]], constraint: Optional[Constraint]) -> Optional[_Changing]:
    if constraint is None:
        return None if callback is None else _Changing(callback)
    if callback is None:
        return _Changing(constraint.mask)

    def both(logits: Floats, mask: Any = constraint.mask, change: Any = callback) -> None:
        mask(logits)
        change(logits)

    return _Changing(both)


class Sampler(Handle):
    """Chooses tokens from logits.

        >>> sampler = lckv.Sampler(temperature=0.8, top_p=0.95, seed=7)
        >>> token = sampler.sample(session)
        >>> sampler.accept(token)

    Applied in this order:

    - `logit_bias`: numbers that are added to the logits of some tokens; -inf bans one
    - `constraint`: says which tokens may come next: see `lckv.constraints`. It is told what `accept` is told
    - `callback`: a function that changes the logits, a float32 array [n_vocab], in place: for a grammar, say. What it
      raises comes out of the call
    - `repetition_penalty`, `frequency_penalty`, `presence_penalty`, of the last `penalty_window` accepted tokens
    - `temperature`: 0 always takes the most likely token
    - `top_k`, `top_p`, `min_p`: keep only likely tokens; 0 keeps all

    The same options, seed, accepted tokens and logits give the same token on every machine. A sampler belongs to one
    thread at a time; its clones may be in others.
    """

    _kind = "sampler"

    def __init__(
        self,
        temperature: float = 0.0,
        *,
        top_k: int = 0,
        top_p: float = 0.0,
        min_p: float = 0.0,
        repetition_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        penalty_window: int = 0,
        seed: int = 0,
        logit_bias: Optional[Mapping[int, float]] = None,
        callback: Optional[Callable[[Floats], Any]] = None,
        constraint: Optional[Constraint] = None,
    ) -> None:
        rows = [
            c.lckv_logit_bias(number(ctypes.c_int32, "token", token), bias)
            for token, bias in (logit_bias or {}).items()
        ]
        biases = (c.lckv_logit_bias * len(rows))(*rows)
        changing = _changing(callback, constraint)
        self._constraint = constraint
        options = new(
            c.lckv_sampler_options,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            penalty_window=penalty_window,
            seed=seed,
            logit_bias=ctypes.addressof(biases) if rows else None,
            n_logit_bias=len(rows),
        )
        if changing is not None:
            options.callback = c.lckv_logits_callback(changing.change)
        sampler = ctypes.c_void_p()
        check(library.lckv_sampler_create(options, ctypes.byref(sampler)))
        self._own(sampler.value, None if changing is None else (changing, options.callback))

    def sample(self, logits: Union[Session, Any]) -> int:
        """Chooses a token: from the last logits that the cache holds for a session, or from an array [n_vocab].

        It is not accepted yet.
        """

        from ._session import Session

        if not isinstance(logits, Session):
            address, n, kept = _arrays.row(logits)
            return self._sample_row(address, n)
        handle, token = self._handle, ctypes.c_int32()
        out = ctypes.byref(token)
        session, shared, call = logits._handle, logits._shared, logits._shared.call(logits.cache._handle)
        self._sample(call, lambda: shared.work(call, library.lckv_sampler_sample_session, handle, session, out))
        return token.value

    def _sample_row(self, address: int, n: int) -> int:
        """Chooses a token from `n` logits at an address."""

        handle, token = self._handle, ctypes.c_int32()
        out = ctypes.byref(token)
        self._sample(Call(), lambda: check(library.lckv_sampler_sample(handle, address, n, out)))
        return token.value

    def _sample(self, call: Call, function: Callable[[], None]) -> None:
        if self._handle.kept is None:
            function()
        else:
            interruptible(call, lambda: self._run(call, function))

    def _run(self, call: Call, function: Callable[[], None]) -> None:
        """Runs a function that samples, on this thread, as a part of the call."""

        kept = self._handle.kept
        if kept is None:
            function()
        else:
            changing: _Changing = kept[0]
            changing.run(call, function)

    def accept(self, token: int) -> None:
        """Tells the sampler that a token was appended: penalties count it."""

        check(library.lckv_sampler_accept(self._handle, number(ctypes.c_int32, "token", token)))
        self._tell(token)

    def _tell(self, token: int) -> None:
        """Tells the constraint of a token that the library itself has accepted."""

        if self._constraint is not None:
            self._constraint.accept(token)

    def reset(self) -> None:
        """Goes back to the beginning: no tokens seen, and the seed as given. Not for samplers with a constraint."""

        self._check_copies("go back")
        check(library.lckv_sampler_reset(self._handle))

    def clone(self) -> Sampler:
        """A second sampler in the same state: both choose the same tokens from the same logits.

        A sampler with a constraint has no clones, because a constraint follows one text.
        """

        self._check_copies("have clones")
        handle = self._handle
        sampler = ctypes.c_void_p()
        check(library.lckv_sampler_clone(handle, ctypes.byref(sampler)))
        made = Sampler.__new__(Sampler)
        made._own(sampler.value, handle.kept)
        made._constraint = None
        return made

    def _check_copies(self, what: str) -> None:
        if self._constraint is not None:
            raise ValueError(f"a sampler with a constraint cannot {what}: make another, with a constraint of its own")


def log_probabilities(logits: Any) -> Floats:
    """log(softmax(logits)) of an array [n_vocab], or of each row of one [rows, n_vocab]."""

    rows = _arrays.floats(logits)
    result = _arrays.empty(*rows.shape)
    n = rows.shape[-1]
    for i in range(rows.size // n if n else 0):
        source, target = _arrays.address(rows) + 4 * n * i, _arrays.address(result) + 4 * n * i
        check(library.lckv_log_probabilities(source, n, target))
    return result
