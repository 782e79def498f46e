"""Bodies of requests in, JSON and event streams out, and refusals in the shape of the API that was asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Awaitable, Callable, Dict, Optional, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ._problems import Problem, busy, too_large, too_slow
from ._settings import Limits

T = TypeVar("T")

OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}

SMALL_BYTES = 64 << 10
"""Bodies of so many bytes are always read: a few clients that send large ones slowly do not keep the others out."""

READ_IN_VAIN = 4
"""A body that is too large is read nevertheless if it has up to so many times the bytes that it may have: clients that
have sent all look for the answer, others may see a broken connection."""


def own_path(scope: Scope) -> str:
    """The path of a request without that below which another application may have mounted this one."""

    path: str = scope["path"]
    above: str = scope.get("root_path", "")
    return path[len(above) :] if above and path.startswith(f"{above}/") else path


def is_anthropic(path: str) -> bool:
    return path == "/v1/messages" or path.startswith("/v1/messages/")


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def json_response(value: Any, status: int = 200, headers: Optional[Dict[str, str]] = None) -> Response:
    return Response(to_json(value), status, headers, "application/json")


def error_body(path: str, problem: Problem) -> Dict[str, Any]:
    """A refusal as the API of this path writes it."""

    if is_anthropic(path):
        kind = ANTHROPIC_TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": problem.text}}
    kind = OPENAI_TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "server_error")
    return {"error": {"message": problem.text, "type": kind, "param": problem.param, "code": problem.code}}


def refusal(path: str, problem: Problem) -> Response:
    return json_response(error_body(path, problem), problem.status, problem.headers)


class Bodies:
    """Reads the bodies of requests, no more at a time than memory allows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0  # bytes of bodies that are not done with

    async def use(self, request: Request, work: Callable[[bytearray], Awaitable[T]]) -> T:
        """Reads the body that a client sends, if it is small enough and comes in time, and does something with it.

        Its bytes count as held until that is done. What is made of them may take many times their memory, so little
        of it should be left by then.
        """

        limits = self._limits
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise Problem(f"the body is encoded as {encoding}; send it as it is", status=415)
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > READ_IN_VAIN * limits.body_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            try:
                await asyncio.wait_for(self._read(request, body), limits.body_seconds)
            except asyncio.TimeoutError:
                raise too_slow(f"the body did not come within {limits.body_seconds:g} seconds") from None
            return await work(body)
        finally:
            self._held -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        limits, n = self._limits, 0
        async for chunk in request.stream():
            n += len(chunk)
            if n > READ_IN_VAIN * limits.body_bytes:
                break
            if n <= limits.body_bytes:
                body += chunk
                self._held += len(chunk)
            if self._held > limits.all_bodies_bytes and n > SMALL_BYTES:
                raise busy("too many large requests are being read; try again later", 1, close=True)
        if n > limits.body_bytes:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return too_large(f"the body has more than {self._limits.body_bytes} bytes, the most here (--max-body)")


async def until_gone(request: Request) -> None:
    """Returns when the client has closed the connection; after its body has been read."""

    while (await request.receive())["type"] != "http.disconnect":
        pass


def sse(data: Any, event: Optional[str] = None) -> bytes:
    """An event of a stream."""

    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + (data if isinstance(data, bytes) else to_json(data)) + b"\n\n"
