"""What an engine tells about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineMetrics:
    """Figures of an engine. Those with "since the beginning" only grow, as counters of Prometheus do."""

    requests_running: int
    """Requests with at least one session."""
    requests_waiting: int
    requests_done: int
    """Since the beginning: requests that came to their own end."""
    requests_cancelled: int
    """Since the beginning."""
    requests_failed: int
    """Since the beginning: requests that ended by an error."""
    requests_refused: int
    """Since the beginning: calls that raised `EngineFull`."""
    preemptions: int
    """Since the beginning: sequences that gave their session up for others and began again later."""
    prompt_tokens: int
    """Since the beginning: tokens of prompts, those that were reused included."""
    reused_tokens: int
    """Since the beginning: of these, tokens that the cache had already."""
    generated_tokens: int
    """Since the beginning."""
    pages_total: int
    pages_free: int
    """Pages that a step can have; those of kept sessions are among them."""
    pages_kept: int
    """Pages of sessions that have ended, kept for prompts that begin like them."""
    page_bytes: int
    bytes_per_token: int
    """Of keys and values, under the model's plan."""
    standard_bytes_per_token: int
    """The same if every layer had keys and values of its own."""
    sessions: int
    max_sessions: int
    steps: int
    """Since the beginning: calls of lckv_evaluate."""
    step_seconds: float
    """Since the beginning: the time that they took."""
    step_rows: int
    """Since the beginning: their tokens, those of prompts included."""
    first_tokens: int
    """Since the beginning: requests that have got their first token, and the time that they waited for it in sum."""
    first_token_seconds: float

    @property
    def pages_used(self) -> int:
        """Pages of sessions that are open."""

        return self.pages_total - self.pages_free


@dataclass(frozen=True)
class SessionView:
    """A sequence of an engine, for pictures of the cache."""

    id: int
    """The number of its request."""
    index: int
    """Which of the request's choices it is."""
    state: str
    """"waiting" (for a session), "prompt" or "decoding"."""
    n_tokens: int
    """Tokens in the cache."""
    n_reused: int
    """Of these: taken over from another session."""
    n_prompt: int
    n_generated: int
    n_pages: int
    """Pages that it uses, those that it shares with others included."""


class Counters:
    """What the loop counts."""

    def __init__(self) -> None:
        self.done = self.cancelled = self.failed = self.refused = self.preemptions = 0
        self.prompt_tokens = self.reused_tokens = self.generated_tokens = 0
        self.steps = self.step_rows = 0
        self.step_seconds = 0.0
        self.first_tokens = 0
        self.first_token_seconds = 0.0
