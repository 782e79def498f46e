"""What the server answers when it does not do what it was asked."""

from __future__ import annotations

import math
from typing import Dict, Optional


class Problem(Exception):
    """A refusal: an HTTP status, and a text that says what was wrong, what was expected and what to do.

    Each API writes it in its own shape. `param` names the member of the request that is at fault, as OpenAI does;
    `code` is a word for programs.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 400,
        param: Optional[str] = None,
        code: Optional[str] = None,
        headers: Optional[Dict[str, str]] = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.param = param
        self.code = code
        self.headers = headers or {}


def busy(text: str, seconds: float, close: bool = False) -> Problem:
    """Too many requests for now: come back after so many seconds."""

    headers = {"Retry-After": str(max(1, math.ceil(seconds))), **({"Connection": "close"} if close else {})}
    return Problem(text, status=429, code="rate_limit_exceeded", headers=headers)


def no_time() -> Problem:
    """The time for an answer has passed, and nothing of it is there.

    The client has waited long, and others as well. The header keeps OpenAI's and Anthropic's clients from asking again
    by themselves, which would only make it worse.
    """

    text, headers = "the server had no time for this request; try again later", {"x-should-retry": "false"}
    return Problem(text, status=503, code="no_time", headers=headers)


def too_long(n_tokens: int, most: int) -> Problem:
    """The text could never be computed, whoever else is there."""

    return Problem(
        f"the prompt has {n_tokens} tokens, and the cache has room for {most}; shorten it, or start the server with "
        f"more --memory",
        code="context_length_exceeded",
    )


def too_slow(text: str) -> Problem:
    """The client did not send its request in time."""

    return Problem(text, status=408, code="request_timeout", headers={"Connection": "close"})


def too_large(text: str) -> Problem:
    """The rest of the body is not read, so the connection ends here."""

    return Problem(text, status=413, code="request_too_large", headers={"Connection": "close"})
