"""Who may ask: checked before anything else of a request is looked at.

Three things are asked for. The API key, if the server has one. The name of the host, if the server is for this
machine only: a web page elsewhere can give its own name the address 127.0.0.1, but not make a browser say "localhost".
And the page that asks, if a browser tells it: others than the server's own are turned away unless they are allowed.
"""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import _wire
from ._problems import Problem
from ._settings import Settings

OPEN_PATHS = ("/", "/health", "/page.js", "/page.css")
"""What may be had without the key: the page, which asks for it, and whether the server lives."""

PROTECTION = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def given_key(headers: Headers) -> bytes:
    """The key as either API sends it, byte by byte."""

    kind, _, key = headers.get("authorization", "").partition(" ")
    key = key.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
    return key.encode("latin-1")


def host_name(host: str) -> str:
    """A host without its port."""

    try:
        return urlsplit("//" + host).hostname or ""
    except ValueError:
        return ""


class Guard:
    """Lets requests through to the application, or answers them itself."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in PROTECTION.items():
                    headers.setdefault(name, value)
            await send(message)

        path = _wire.own_path(scope)
        problem = self._problem(scope["method"], path, Headers(scope=scope))
        if problem is None:
            await self._app(scope, receive, send_protected)
        else:
            await _wire.refusal(path, problem)(scope, receive, send_protected)

    def _problem(self, method: str, path: str, headers: Headers) -> Optional[Problem]:
        settings = self._settings
        host = headers.get("host", "")
        if settings.hosts is not None and host_name(host) not in settings.hosts:
            return Problem(
                f"the host {host!r} is not one of {', '.join(settings.hosts)}; to serve others, "
                f"start the server with --host or --allow-host",
                status=403,
                code="wrong_host",
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_allowed(origin, host):
            return Problem(
                f"pages of {origin!r} may not ask; start the server with --allow-origin to let them",
                status=403,
                code="wrong_origin",
            )
        if settings.key is not None and path not in OPEN_PATHS and method != "OPTIONS":
            key = given_key(headers)
            if not settings.is_key(key):
                what = "the API key is wrong" if key else "an API key is needed"
                return Problem(
                    f"{what}; send it as Authorization: Bearer KEY or as x-api-key: KEY",
                    status=401,
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        return None

    def _is_allowed(self, origin: str, host: str) -> bool:
        allowed = self._settings.origins
        if "*" in allowed or origin in allowed:
            return True
        try:
            return urlsplit(origin).netloc == host
        except ValueError:
            return False
