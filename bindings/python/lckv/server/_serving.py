"""uvicorn, as this server runs it, and an eye on clients that are too slow.

uvicorn waits for the head of a request as long as a client likes, and for a client that takes nothing of an answer. So
this looks at all connections twice a second, and cuts those that have waited too long. Bodies have their own time
(_wire.py).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple

import uvicorn
from starlette.applications import Starlette

from ._settings import Limits

if TYPE_CHECKING:
    from .._engine import Engine

LOG = logging.getLogger("lckv.server")

LOOKS_SECONDS = 0.5
BYTES_ACKED = slice(120, 128)
"""Of Linux's struct tcp_info: tcpi_bytes_acked."""
MOST_HEAD_BYTES = 64 << 10
BACKLOG = 1024
"""Connections that the system holds for a server that has not accepted them yet."""


def n_taken(transport: asyncio.Transport) -> int:
    """The bytes that the client has acknowledged. What is unsent may grow all the time, if the client is a little
    slower than its answer; this grows as long as the client takes anything."""

    opened = transport.get_extra_info("socket")
    try:
        told = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED.stop)
    except OSError:  # the connection has just ended
        return 0
    return int.from_bytes(told[BYTES_ACKED], sys.byteorder)


class Patience:
    """Knows since when each connection has kept the server waiting."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._heads: Dict[Any, Tuple[float, Any]] = {}  # connections without a request: since when, the last request
        self._stalls: Dict[Any, Tuple[float, int]] = {}  # those with something unsent: when they last took some of it

    def look(self, connections: Set[Any], now: float) -> None:
        """Cuts connections that have waited too long, and if there are too many, the oldest without a request."""

        limits = self._limits
        self._heads = {c: head for c, head in self._heads.items() if c in connections and head[1] is c.cycle}
        self._stalls = {c: stall for c, stall in self._stalls.items() if c in connections}
        for connection in list(connections):
            cycle, transport = connection.cycle, connection.transport
            n_unsent = transport.get_write_buffer_size()
            is_idle = (cycle is None or cycle.response_complete) and n_unsent == 0
            if not is_idle:
                self._heads.pop(connection, None)
            elif now - self._heads.setdefault(connection, (now, cycle))[0] > limits.head_seconds:
                transport.abort()
            if n_unsent == 0:
                self._stalls.pop(connection, None)
                continue
            taken = n_taken(transport)
            since, before = self._stalls.setdefault(connection, (now, taken))
            if taken > before:
                self._stalls[connection] = now, taken
            elif now - since > limits.stall_seconds:
                transport.abort()
        for connection in list(self._heads)[: max(0, len(connections) - limits.connections)]:
            connection.transport.abort()


class Server(uvicorn.Server):
    """A server whose connections are looked after, from its start to its end. It ends if its engine fails."""

    def __init__(self, config: uvicorn.Config, limits: Limits, engine: Optional[Engine]) -> None:
        super().__init__(config)
        self._patience = Patience(limits)
        self._engine = engine
        self._looking: Optional[asyncio.Task[None]] = None

    async def startup(self, sockets: Optional[List[socket.socket]] = None) -> None:
        await super().startup(sockets)
        self._looking = asyncio.ensure_future(self._look_on())
        self._looking.add_done_callback(_tell_failure)

    async def shutdown(self, sockets: Optional[List[socket.socket]] = None) -> None:
        await super().shutdown(sockets)
        if self._looking is not None:
            self._looking.cancel()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOKS_SECONDS)
            self._patience.look(self.server_state.connections, time.monotonic())
            if self._engine is not None and self._engine.failure is not None:
                self.should_exit = True


def _tell_failure(task: asyncio.Task[None]) -> None:
    """A uvicorn with other insides than those that are known would end the looking; nothing else would tell."""

    if not task.cancelled() and task.exception() is not None:
        LOG.error("slow clients are not cut off any more", exc_info=task.exception())


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to; port 0 takes any that is free."""

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def server(
    app: Starlette,
    limits: Limits,
    log_level: str = "warning",
    access_log: bool = False,
    engine: Optional[Engine] = None,
) -> Server:
    """A uvicorn for the application. It trusts nothing that a proxy says, and tells nobody what it is.

    If the `engine` fails, it tells those who wait and ends. Without one it goes on, and refuses all requests.
    """

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        interface="asgi3",
        server_header=False,
        proxy_headers=False,
        log_level=log_level,
        access_log=access_log,
        backlog=BACKLOG,
        timeout_keep_alive=max(1, int(limits.head_seconds)),
        timeout_graceful_shutdown=max(1, int(limits.ending_seconds)),
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )
    return Server(config, limits, engine)
