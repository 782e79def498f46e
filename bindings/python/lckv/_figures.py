"""Figures of an engine: those of its cache and plan, and what the loop counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _plan
from ._cache import Cache
from ._metrics import EngineMetrics, SessionView
from ._model import Model

if TYPE_CHECKING:
    from ._scheduler import Scheduler
    from ._sequence import Sequence


class Figures:
    """Knows the plan, and asks the cache and the loop for the rest."""

    def __init__(self, model: Model, cache: Cache) -> None:
        plan, info, stats = model.plan, model.info, cache.stats
        assert plan is not None  # a model that has a cache has a plan
        self._cache = cache
        self._windowed = info.sliding_window + stats.rollback
        self._n_windowed_slots = plan.info.n_windowed_slots
        self._n_full_slots = plan.info.n_slots - self._n_windowed_slots
        self._page_positions = stats.page_positions
        is_endless = self._n_full_slots == 0 or stats.context_window > 0
        self.max_tokens = 2**63 if is_endless else stats.n_pages // self._n_full_slots * stats.page_positions
        """The most tokens that a session could have, as far as pages go."""
        self._standard_bytes = _plan.memory_estimate(
            plan,
            kv_shapes=[(layer.n_kv_heads, layer.head_dim) for layer in model.layers],
            kv_dtype=stats.kv_dtype,
            v_dtype=stats.v_dtype,
            sliding_window=info.sliding_window,
        ).standard_bytes_per_token

    def metrics(self, scheduler: Scheduler) -> EngineMetrics:
        """All of them, from any thread."""

        counters, stats = scheduler.counters, self._cache.stats
        return EngineMetrics(
            requests_running=len({sequence.request.id for sequence in scheduler.running}),
            requests_waiting=scheduler.n_waiting,
            requests_done=counters.done,
            requests_cancelled=counters.cancelled,
            requests_failed=counters.failed,
            requests_refused=counters.refused,
            preemptions=counters.preemptions,
            prompt_tokens=counters.prompt_tokens,
            reused_tokens=counters.reused_tokens,
            generated_tokens=counters.generated_tokens,
            pages_total=stats.n_pages,
            pages_free=stats.n_pages_free,
            pages_kept=stats.n_pages_kept,
            page_bytes=stats.page_bytes,
            bytes_per_token=stats.bytes_per_token,
            standard_bytes_per_token=self._standard_bytes,
            sessions=stats.n_sessions,
            max_sessions=stats.max_sessions,
            steps=counters.steps,
            step_seconds=counters.step_seconds,
            step_rows=counters.step_rows,
            first_tokens=counters.first_tokens,
            first_token_seconds=counters.first_token_seconds,
        )

    def view(self, sequence: Sequence) -> SessionView:
        """How a sequence stands, from any thread."""

        n = sequence.n_encoded
        state = "waiting" if sequence.session is None else "prompt" if sequence.n_pending > 1 else "decoding"
        pages, windowed = -(-n // self._page_positions), -(-min(n, self._windowed) // self._page_positions)
        return SessionView(
            id=sequence.request.id,
            index=getattr(sequence, "index", 0),
            state=state,
            n_tokens=n,
            n_reused=sequence.n_reused,
            n_prompt=sequence.n_prompt,
            n_generated=len(sequence.tokens) - sequence.n_prompt,
            n_pages=pages * self._n_full_slots + windowed * self._n_windowed_slots,
        )
