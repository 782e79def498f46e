"""The server as an ASGI application, for uvicorn or whatever else speaks HTTP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, AsyncIterator, Dict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from . import _own_routes, _routes
from ._answers import Service
from ._guard import Guard
from ._problems import Problem
from ._settings import Settings
from ._wire import own_path, refusal

if TYPE_CHECKING:
    from .._engine import Engine

STATUS_TEXTS: Dict[int, str] = {
    404: "there is nothing at {path}",
    405: "{path} does not take {method}",
}


async def _refuse(request: Request, error: Exception) -> Response:
    """Paths and methods that there are not."""

    assert isinstance(error, HTTPException)
    text = STATUS_TEXTS.get(error.status_code, error.detail).format(path=request.url.path, method=request.method)
    problem = Problem(text, status=error.status_code, headers=dict(error.headers or {}))
    return refusal(own_path(request.scope), problem)


def application(engine: Engine, settings: Settings) -> Starlette:
    """The application that answers with an engine, which it closes at its end."""

    service = Service(engine, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.beside(lambda: engine.close(finish=False))
        service.close()

    middleware = [Middleware(Guard, settings=settings)]
    if settings.origins:
        cors = Middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["*"], allow_headers=["*"])
        middleware.insert(0, cors)
    made = Starlette(
        routes=[*_routes.ROUTES, *_own_routes.ROUTES],
        middleware=middleware,
        exception_handlers={HTTPException: _refuse},
        lifespan=lifespan,
    )
    made.state.service = service
    return made
