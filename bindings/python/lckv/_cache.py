"""Caches: the memory of many sessions, and the threads that compute on it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, List, Optional, TypedDict

from . import _declarations as c
from ._calls import Call, Progress
from ._errors import check
from ._handles import Handle, Reference
from ._library import library
from ._model import Model
from ._pool import Pool
from ._structs import dtype_name, dtype_number, new, read
from ._turns import Turns

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._evaluation import EvaluateReport, Evaluation, Item
    from ._saved import Source
    from ._session import Session


class CacheOptions(TypedDict, total=False):
    """The options of a `Cache`, which explains them."""

    budget_bytes: int
    n_tokens: int
    max_sessions: int
    kv_dtype: Optional[str]
    v_dtype: Optional[str]
    page_positions: int
    n_threads: int
    pool: Optional[Pool]
    max_rows: int
    max_logit_rows: int
    rollback: int
    reuse: bool
    reuse_tolerance: float
    context_window: int
    n_sinks: int
    waits: bool


@dataclass(frozen=True)
class CacheStats:
    """The figures of a cache."""

    bytes_per_token: int
    page_bytes: int
    n_pages: int
    n_pages_free: int
    """Pages that a call can have; those that kept sessions hold are among them."""
    page_bytes_total: int
    table_bytes: int
    scratch_bytes: int
    n_sessions: int
    max_sessions: int
    n_threads: int
    page_positions: int
    max_rows: int
    max_logit_rows: int
    kv_dtype: str
    rollback: int
    v_dtype: str
    n_pages_kept: int
    """Pages that only released sessions hold, kept for `Session.reuse`."""
    n_reuses: int
    n_reused_tokens: int
    n_reused_pages: int
    context_window: int
    n_sinks: int


@dataclass(frozen=True)
class CacheEstimate:
    """What a cache would take, to the byte."""

    sessions_that_fit: int
    """Sessions of the context asked about."""
    n_pages: int
    page_bytes: int
    page_bytes_total: int
    scratch_bytes: int
    table_bytes: int
    max_sessions: int


def _options(
    budget_bytes: int = 0,
    n_tokens: int = 0,
    max_sessions: int = 0,
    kv_dtype: Optional[str] = None,
    v_dtype: Optional[str] = None,
    page_positions: int = 0,
    n_threads: int = 0,
    pool: Optional[Pool] = None,
    max_rows: int = 0,
    max_logit_rows: int = 0,
    rollback: int = 0,
    reuse: bool = True,
    reuse_tolerance: float = 0.0,
    context_window: int = 0,
    n_sinks: int = 0,
    waits: bool = False,
) -> Any:
    return new(
        c.lckv_cache_options,
        budget_bytes=budget_bytes,
        n_tokens=n_tokens,
        max_sessions=max_sessions,
        kv_dtype=dtype_number(kv_dtype),
        v_dtype=dtype_number(v_dtype),
        page_positions=page_positions,
        n_threads=n_threads,
        pool=None if pool is None else pool._handle.address,
        max_rows=max_rows,
        max_logit_rows=max_logit_rows,
        rollback=rollback,
        reuse=c.LCKV_REUSE_ON if reuse else c.LCKV_REUSE_OFF,
        reuse_tolerance=reuse_tolerance,
        context_window=context_window,
        n_sinks=n_sinks,
        waits=0,  # the queue is Python's own: see _turns.py
    )


class Cache(Handle):
    """Memory for the keys and values of many sessions. Its size is fixed when it is made.

        >>> cache = lckv.Cache(model, n_tokens=4096, max_sessions=4)
        >>> session = cache.session()

    Give it a size by `budget_bytes` (for pages, tables and scratch together) or by `n_tokens` (4096 if it has
    neither), and the most sessions that it has at a time (16). Further options, which may be left out:

    - `kv_dtype`, `v_dtype`: "f32", "f16" (the default), "bf16", "q8_0" or "q4_0"; values may have another type
    - `n_threads` of its own, or a `pool` that several caches share
    - `max_rows`: tokens computed at once (256); `max_logit_rows`: rows of logits that the cache holds
    - `page_positions` (64), `rollback`: tokens beyond their window that windowed slots keep (64)
    - `reuse`: whether released sessions are kept for `Session.reuse` while there is room; `reuse_tolerance`
    - `context_window`, `n_sinks`: sessions without end, which attend to the last tokens only
    - `waits`: calls that find another one working on the cache wait for their turn, instead of raising `Busy`

    One call works on a cache at a time. While it does, others raise `Busy` or wait, but for `stats`, the lengths and
    tokens of sessions, `cancel` and `close`, which any thread may call at any time. A main thread that waits hears
    Ctrl-C. In callbacks of the call that is working, others are `Busy` in any case.
    """

    _kind = "cache"

    def __init__(
        self,
        model: Model,
        *,
        budget_bytes: int = 0,
        n_tokens: int = 0,
        max_sessions: int = 0,
        kv_dtype: Optional[str] = None,
        v_dtype: Optional[str] = None,
        page_positions: int = 0,
        n_threads: int = 0,
        pool: Optional[Pool] = None,
        max_rows: int = 0,
        max_logit_rows: int = 0,
        rollback: int = 0,
        reuse: bool = True,
        reuse_tolerance: float = 0.0,
        context_window: int = 0,
        n_sinks: int = 0,
        waits: bool = False,
    ) -> None:
        options = _options(
            budget_bytes,
            n_tokens,
            max_sessions,
            kv_dtype,
            v_dtype,
            page_positions,
            n_threads,
            pool,
            max_rows,
            max_logit_rows,
            rollback,
            reuse,
            reuse_tolerance,
            context_window,
            n_sinks,
            waits,
        )
        cache = ctypes.c_void_p()
        check(library.lckv_cache_create(model._handle, options, ctypes.byref(cache)))
        self._own(cache.value)
        info = model.info
        self._shared = Shared(info.n_vocab, info.hidden_size, model._path, waits)

    @staticmethod
    def estimate(model: Model, context: int = 0, **options: Unpack[CacheOptions]) -> CacheEstimate:
        """What ``Cache(model, **options)`` would take, for sessions of `context` tokens (4096), without making it.

        With `budget_bytes` and without `max_sessions` it finds the most sessions for which the budget suffices. The
        model may be open with weights="none".
        """

        report = new(c.lckv_cache_estimate_report)
        check(library.lckv_cache_estimate(model._handle, _options(**options), context, report))
        return read(CacheEstimate, report)

    @property
    def model(self) -> Model:
        """The model that the cache is for."""

        handle = self._handle
        model = Model._retained(library.lckv_cache_model(handle))
        model._path = self._shared.path
        return model

    @property
    def stats(self) -> CacheStats:
        """The figures of the cache. It answers while another thread computes, too."""

        handle = self._handle
        stats = new(c.lckv_cache_stats)
        check(library.lckv_cache_get_stats(handle, stats))
        return read(CacheStats, stats, kv_dtype=dtype_name(stats.kv_dtype), v_dtype=dtype_name(stats.v_dtype))

    def session(self) -> Session:
        """A new session without tokens."""

        from ._session import Session

        return Session(self)

    def evaluate(
        self,
        items: Iterable[Item],
        *,
        prefill: Optional[str] = None,
        forward_passes: int = 0,
        backward_passes: int = 0,
        window: int = 0,
        tolerance: float = 0.0,
        progress: Optional[Progress] = None,
    ) -> Evaluation:
        """Appends tokens to several sessions in one batch, and gives what the items want.

            >>> first, second = cache.evaluate([lckv.Item(a, [1, 2, 3]), lckv.Item(b, [4])])
            >>> first.logits.shape
            (1, 4096)

        The whole call succeeds, or nothing changes; then the exception's `report` tells which item it was. `prefill`
        says how prompts of plans with upward layers are encoded: "auto" in a `window` of tokens, within a
        `tolerance`; "exact" token by token (others in one pass); "iterated" `forward_passes` and `backward_passes`
        times; "model" as the model's configuration says. `progress` is called with the tokens that are done and all
        tokens; what it raises ends the call. In the main thread Ctrl-C ends it, too.
        """

        from . import _evaluation

        call = self._shared.call(self._handle, progress)
        options = _evaluation.options(prefill, forward_passes, backward_passes, window, tolerance)
        return _evaluation.evaluate(self, list(items), options, call)

    def cost(
        self,
        items: Iterable[Item],
        *,
        prefill: Optional[str] = None,
        forward_passes: int = 0,
        backward_passes: int = 0,
        window: int = 0,
        tolerance: float = 0.0,
    ) -> EvaluateReport:
        """Checks the same call and tells the pages that it needs, but computes and changes nothing."""

        from . import _evaluation

        options = _evaluation.options(prefill, forward_passes, backward_passes, window, tolerance)
        return _evaluation.cost(self, list(items), options)

    def restore(
        self, source: Source, *, any_kernels: bool = False, progress: Optional[Progress] = None
    ) -> List[Session]:
        """Makes saved sessions again: see `save_sessions`. `restore_sessions` also gives the note.

        `source` is a path, or a file that is open for reading bytes. With `any_kernels`, what other kernels computed
        is good, too.
        """

        from ._saved import restore_sessions

        return restore_sessions(self, source, any_kernels=any_kernels, progress=progress)[0]

    def cancel(self) -> None:
        """Ends the call that is working on the cache, from any thread: it raises `Cancelled`, and nothing changes."""

        library.lckv_cache_cancel(self._handle)

    def _describe(self) -> str:
        stats = self.stats
        return (
            f"of {stats.n_pages} pages, {stats.n_pages_free} free, {stats.n_sessions} of {stats.max_sessions} sessions"
        )


class Shared:
    """What all Python objects of one cache share: the shape of rows, the queue of calls, and the model's path."""

    def __init__(self, n_vocab: int, hidden_size: int, path: str, waits: bool) -> None:
        self.path = path
        self.n_vocab = n_vocab
        self.hidden_size = hidden_size
        self.turns = Turns(waits)

    def call(self, cache: Reference, progress: Optional[Progress] = None) -> Call:
        """A call on the cache that can be cancelled."""

        return Call(self.turns.canceller(cache), progress)

    def work(self, call: Call, function: Callable[..., int], *arguments: Any) -> None:
        """Makes a call of the library when its turn has come."""

        self.turns.work(call, lambda: check(function(*arguments)))
