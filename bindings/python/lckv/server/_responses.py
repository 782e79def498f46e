"""Answering a request: its refusal if there is one, and streams that end with their client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Awaitable, Callable, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ._answers import Service, cancel, stream
from ._wire import own_path, refusal

if TYPE_CHECKING:
    from .._job import Job
    from ._answers import Writer

Endpoint = Callable[[Service, Request], Awaitable[Response]]


class EventStream(StreamingResponse):
    """A stream of server-sent events. When it is over, and be it because the client has gone, so are its jobs."""

    def __init__(self, service: Service, jobs: Sequence[Job], writer: Writer) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        self._events, self._jobs = stream(service, jobs, writer), jobs
        super().__init__(self._events, headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
            cancel(self._jobs)


def route(path: str, work: Endpoint, method: str) -> Route:
    """A route. What goes wrong is answered in the shape of its API."""

    async def endpoint(request: Request) -> Response:
        service: Service = request.app.state.service
        try:
            response = await work(service, request)
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        except Exception as error:
            response = refusal(own_path(request.scope), service.problem(error))
        service.count(path, response.status_code)
        return response

    return Route(path, endpoint, methods=[method])
