"""Evaluate: tokens into sessions, logits and hidden states out of them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Sequence, overload

from . import _arrays
from . import _declarations as c
from ._arrays import Floats
from ._calls import Call, interruptible
from ._errors import Error
from ._library import library
from ._structs import choice, new, read
from ._tokens import Tokens, token_array

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._cache import Cache
    from ._session import Session

PREFILLS = {
    "auto": c.LCKV_PREFILL_AUTO,
    "exact": c.LCKV_PREFILL_EXACT,
    "iterated": c.LCKV_PREFILL_ITERATED,
    "model": c.LCKV_PREFILL_MODEL,
}
LOGITS = {"none": c.LCKV_WANT_NOTHING, "last": c.LCKV_WANT_LAST, "all": c.LCKV_WANT_ALL}
HIDDEN = {"none": 0, "wanted": c.LCKV_WANT_HIDDEN, "all": c.LCKV_WANT_HIDDEN_ALL}

# Fewer tokens take so little time that Ctrl-C may wait for them.
LONG = 8


@dataclass
class Item:
    """A session, the tokens to append to it, and what is wanted back.

    - `logits`: "last", after the last token; "all", after every token; "none"
    - `hidden`: hidden states after the final norm: "wanted", where logits are wanted (or at the last token, if none
      are); "all", at every token; "none"
    - `hold`: the cache holds the logits, for `Sampler.sample` and `Session.logits`, until the next call on it has
      succeeded, and the result has none
    - `out`: memory of one's own for the logits, an array of floats of 32 bits that can be written to (``array("f")``
      or NumPy's); the result has none. Neither `out` nor `hold` needs NumPy
    """

    session: Session
    tokens: Tokens
    logits: str = "last"
    hidden: str = "none"
    hold: bool = False
    out: Optional[Buffer] = None


@dataclass(frozen=True, eq=False)
class Result:
    """The rows that an item wanted: float32 [rows, n_vocab] and [rows, hidden_size], or None.

    The library writes into these arrays, and they are Python's own: they stay as they are, whatever becomes of the
    session, and nothing was copied.
    """

    logits: Optional[Floats]
    hidden: Optional[Floats]


@dataclass(frozen=True)
class EvaluateReport:
    """How a call went."""

    failed_item: Optional[int]
    """The index of the item that made the call fail."""
    pages_needed: int
    pages_free: int
    n_tokens: int
    n_rows: int
    """Rows sent through the layers: one for each token and each pass that it was in."""
    n_passes: int
    window: int
    tolerance: float
    residual: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Evaluation(Sequence[Result]):
    """The results of a call, one for each item, and its report."""

    results: List[Result]
    report: EvaluateReport

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Result]: ...

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)


def options(
    prefill: Optional[str],
    forward_passes: int,
    backward_passes: int,
    window: int,
    tolerance: float,
) -> Any:
    return new(
        c.lckv_evaluate_options,
        prefill=choice("prefill", prefill, PREFILLS),
        forward_passes=forward_passes,
        backward_passes=backward_passes,
        window=window,
        tolerance=tolerance,
    )


class Batch:
    """Items as the library takes them, and all that must live as long as the call."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = (c.lckv_item * len(items))()
        self.results: List[Result] = []
        self.n_tokens = 0
        self._kept: List[Any] = []
        for item, struct in zip(items, self.items):
            self._fill(item, struct)

    def _fill(self, item: Item, struct: Any) -> None:
        session, tokens = item.session._handle, token_array(item.tokens)
        want = choice("logits", item.logits, LOGITS)
        hidden_want = choice("hidden", item.hidden, HIDDEN)
        struct.session = session.address
        struct.tokens, struct.n_tokens = tokens.buffer_info()
        struct.want = want | hidden_want
        self.n_tokens += len(tokens)
        rows = len(tokens) if want == c.LCKV_WANT_ALL else int(want == c.LCKV_WANT_LAST)
        logits: Optional[Floats] = None
        hidden: Optional[Floats] = None
        if item.out is not None:
            struct.logits, struct.logits_capacity, memory = _arrays.writable(item.out)
            self._kept.append(memory)
        elif rows and not item.hold:
            logits = _arrays.empty(rows, item.session._shared.n_vocab)
            struct.logits, struct.logits_capacity = _arrays.address(logits), logits.size
        if hidden_want:
            rows = len(tokens) if hidden_want == c.LCKV_WANT_HIDDEN_ALL else max(rows, 1)
            hidden = _arrays.empty(rows, item.session._shared.hidden_size)
            struct.hidden, struct.hidden_capacity = _arrays.address(hidden), hidden.size
        self._kept += [session, tokens]
        self.results.append(Result(logits, hidden))


def _report(report: Any) -> EvaluateReport:
    failed = report.failed_item if report.failed_item >= 0 else None
    return read(EvaluateReport, report, failed_item=failed)


def _make(cache: Cache, call: Call, function: Any, batch: Batch, options: Any, report: Any) -> None:
    size = ctypes.sizeof(c.lckv_item)
    try:
        cache._shared.work(call, function, cache._handle, batch.items, size, len(batch.items), options, report)
    except Error as error:
        error.report = _report(report)
        raise


def evaluate(cache: Cache, items: Sequence[Item], options: Any, call: Call) -> Evaluation:
    batch, report = Batch(items), new(c.lckv_evaluate_report)

    def work() -> None:
        _make(cache, call, library.lckv_evaluate, batch, options, report)

    if batch.n_tokens >= LONG or call.tells:
        options.progress = call.progress
        interruptible(call, work)
    else:
        call.run(work)
    return Evaluation(batch.results, _report(report))


class NextToken:
    """Appends one token to a session, again and again: the call is made ready once, since that takes longer in Python
    than a small model takes for a hundredth of a token. The logits go into `out`."""

    def __init__(self, session: Session, out: Buffer) -> None:
        self._session, self._cache = session, session.cache
        self._token = token_array([0])
        self._batch = Batch([Item(session, self._token, out=out)])
        self._batch.items[0].tokens = self._token.buffer_info()[0]
        self._batch._kept.remove(session._handle)  # so that closing the session gives it up
        self._report = new(c.lckv_evaluate_report)

    def append(self, token: int, call: Call) -> None:
        kept = self._session._handle  # for the time of the call
        self._token[0] = token
        call.run(lambda: _make(self._cache, call, library.lckv_evaluate, self._batch, None, self._report))
        del kept


def cost(cache: Cache, items: Sequence[Item], options: Any) -> EvaluateReport:
    wanted = [Item(i.session, i.tokens, i.logits, "none", hold=True) for i in items]
    batch, report = Batch(wanted), new(c.lckv_evaluate_report)
    _make(cache, Call(), library.lckv_evaluate_cost, batch, options, report)
    return _report(report)
