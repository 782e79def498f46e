"""What the server was told: names, limits, times, who may ask."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Optional, Tuple


@dataclass(frozen=True)
class Limits:
    """What one client may ask for. What is more is refused with a text that names the limit."""

    body_bytes: int = 4 << 20
    all_bodies_bytes: int = 64 << 20
    """Bodies that are being read or understood at one time, together; small ones always are."""
    messages: int = 1024
    """Messages of a conversation."""
    choices: int = 16
    """n of a request, times its prompts."""
    inputs: int = 256
    """Texts of one request for embeddings."""
    stops: int = 16
    """Stop strings."""
    biases: int = 1024
    """Tokens of `logit_bias`."""
    answer_tokens: int = 4096
    """A request that asks for more, or does not say, gets so many."""
    answer_parts: int = 1 << 18
    """Tokens of all answers to a request, those of prompts that are repeated too, and their log-probabilities: at most
    (n x max_tokens x (1 + logprobs)) for a prompt. They are kept until the last answer is finished."""
    connections: int = 1024
    head_seconds: float = 10.0
    """A client sends the head of a request within this time,"""
    body_seconds: float = 30.0
    """its body within this,"""
    stall_seconds: float = 30.0
    """and takes some of what is sent to it within this."""
    answer_seconds: float = 600.0
    """An answer that is not finished by then ends where it is."""
    ending_seconds: float = 60.0
    """When the server ends, answers may still take so long."""


@dataclass(frozen=True)
class Settings:
    """How the server stands to its clients."""

    names: Tuple[str, ...]
    """What the model is called; the first is its own name."""
    limits: Limits = field(default_factory=Limits)
    key: Optional[str] = None
    """What clients must know; None lets everybody in."""
    hosts: Optional[Tuple[str, ...]] = None
    """Names under which the server is asked; None allows any."""
    origins: Tuple[str, ...] = ()
    """Web pages of other servers that may ask; "*" is any page."""
    template: Optional[str] = None
    """A chat template instead of the model's."""

    def is_key(self, given: bytes) -> bool:
        """Whether this is the key. The time that this takes tells nothing about it."""

        expected = hashlib.sha256((self.key or "").encode()).digest()
        return hmac.compare_digest(hashlib.sha256(given).digest(), expected)
