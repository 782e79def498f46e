"""Answering a request: its refusal if there is one, and streams that end with their client."""

from __future__ import annotations

from typing import TYPE_CHECKING, AsyncGenerator, Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from ._wire import refusal

if TYPE_CHECKING:
    from ._answers import Service

Endpoint = Callable[["Service", Request], Awaitable[Response]]


class EventStream(StreamingResponse):
    """A stream of server-sent events. Its generator is closed when the client goes away."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._events = events

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            await self._events.aclose()


def route(path: str, work: Endpoint, method: str) -> Route:
    """A route. What goes wrong is answered in the shape of its API."""

    async def endpoint(request: Request) -> Response:
        service: Service = request.app.state.service
        try:
            response = await work(service, request)
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        except Exception as error:
            response = refusal(request.url.path, service.problem(error))
        service.count(path, response.status_code)
        return response

    return Route(path, endpoint, methods=[method])
