"""The server's own paths: whether it lives, what it is doing, and the page that shows it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ._answers import Service
from ._metrics import EngineCollector
from ._responses import route
from ._wire import json_response, own_path

PAGE = Path(__file__).parent / "page"


async def health(service: Service, request: Request) -> Response:
    """200 while requests are taken, 503 from when the server ends or its engine has failed."""

    engine = service.engine
    status = "failed" if engine.failure is not None else "ending" if engine.closed else "ok"
    return json_response({"status": status}, 200 if status == "ok" else 503)


async def metrics(service: Service, request: Request) -> Response:
    registry = CollectorRegistry()
    registry.register(EngineCollector(service))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def cache(service: Service, request: Request) -> Response:
    """What the page draws: the plan, the figures of the engine, and every sequence."""

    found = service.engine.metrics()
    body: Dict[str, Any] = {
        "model": service.describe(service.name),
        "plan": plan_body(service),
        "metrics": {**asdict(found), "pages_used": found.pages_used},
        "sequences": [asdict(row) for row in service.engine.sessions()],
    }
    return json_response(body, headers={"Cache-Control": "no-store"})


def plan_body(service: Service) -> Dict[str, Any]:
    plan = service.model.plan
    assert plan is not None  # models that can run have one
    return {
        "text": plan.text,
        "n_slots": plan.info.n_slots,
        "layers": [{"source": row.source, "slot": row.slot, "is_windowed": row.is_windowed} for row in plan.layers],
    }


async def page(service: Service, request: Request) -> Response:
    name = own_path(request.scope)[1:] or "page.html"
    return FileResponse(PAGE / name, headers={"Cache-Control": "no-cache"})


ROUTES = [
    route("/health", health, "GET"),
    route("/metrics", metrics, "GET"),
    route("/lckv/cache", cache, "GET"),
    route("/", page, "GET"),
    route("/page.js", page, "GET"),
    route("/page.css", page, "GET"),
]
