"""What the APIs have in common: each turns its requests into these, and its answers out of those."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple, Union

if TYPE_CHECKING:
    from .._job import JobResult

LETTERS = string.ascii_lowercase + string.digits


@dataclass
class Sampling:
    """How tokens are chosen, and when an answer ends: options of `Engine.submit`."""

    max_tokens: int = 256
    stop: Tuple[str, ...] = ()
    n: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: Optional[int] = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Optional[Dict[int, float]] = None
    logprobs: Optional[int] = None
    ignore_end: bool = False


@dataclass
class Tools:
    """The tools that a model may call, as chat templates take them, and whether it must."""

    rows: List[Dict[str, Any]]
    forced: Tuple[str, ...] = ()
    """Names of which the answer must call one; empty: whether it calls any is left to the model."""
    is_parallel: bool = True
    """Whether one answer may have several calls."""

    def schema(self, name: str) -> Dict[str, Any]:
        """The JSON schema of a tool's arguments."""

        for row in self.rows:
            if row["function"]["name"] == name:
                found: Dict[str, Any] = row["function"].get("parameters") or {"type": "object"}
                return found
        raise KeyError(name)


@dataclass
class ChatAsk:
    """A conversation that the model is to go on with."""

    messages: List[Dict[str, Any]]
    """As chat templates take them."""
    sampling: Sampling
    tools: Optional[Tools] = None
    schema: Optional[Dict[str, Any]] = None
    """The answer is JSON of this schema."""
    names: Dict[str, Any] = field(default_factory=dict)
    """Further names for the template."""
    beginning: str = ""
    """What the answer begins with."""
    stream: bool = False
    include_usage: bool = False
    """A stream tells the usage at its end."""


@dataclass
class TextAsk:
    """Texts that the model is to go on with."""

    prompts: List[Union[str, List[int]]]
    sampling: Sampling
    schema: Optional[Dict[str, Any]] = None
    echo: bool = False
    """The answer repeats the prompt."""
    stream: bool = False
    include_usage: bool = False


@dataclass(frozen=True)
class ToolCall:
    """A call that the model made of a tool. The arguments are a JSON object."""

    name: str
    arguments: Dict[str, Any]
    id: str = field(default_factory=lambda: "".join(secrets.choice(LETTERS) for _ in range(9)))
    """Of nine letters and digits, as the templates of Mistral's models demand it; others take any."""


@dataclass
class Usage:
    """Tokens of a request."""

    prompt: int = 0
    reused: int = 0
    """Tokens of the prompt that were not computed again."""
    generated: int = 0

    @classmethod
    def of(cls, results: Sequence[JobResult]) -> Usage:
        """Of all jobs of a request."""

        prompt, reused = sum(r.n_prompt for r in results), sum(r.n_reused for r in results)
        return cls(prompt, reused, sum(r.n_generated for r in results))
