"""/metrics: the figures of the engine, as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from ._answers import Service

COUNTERS = {
    "preemptions": "Sequences that gave their session up for others and began again later",
    "prompt_tokens": "Tokens of prompts, those that were reused included",
    "reused_tokens": "Tokens of prompts that the cache had already",
    "generated_tokens": "Tokens that were generated",
    "steps": "Steps: calls that compute a token for every sequence that decodes",
    "step_seconds": "Time that steps took",
    "step_rows": "Tokens that steps computed, those of prompts included",
    "first_tokens": "Requests that have got their first token",
    "first_token_seconds": "Time until the first token, of all requests together",
}
GAUGES = {
    "requests_running": "Requests that are being computed",
    "requests_waiting": "Requests that wait",
    "sessions": "Sessions in the cache",
    "max_sessions": "The most sessions",
    "pages_total": "Pages of the cache",
    "pages_used": "Pages of open sessions",
    "pages_kept": "Pages of sessions that have ended, kept for prompts that begin like them",
    "pages_free": "Pages that a step can have, those that are kept included",
    "page_bytes": "Bytes of a page",
    "bytes_per_token": "Bytes of keys and values of a token, under the model's plan",
    "standard_bytes_per_token": "The same if every layer had keys and values of its own",
}
ENDS = ("done", "cancelled", "failed", "refused")


class EngineCollector(Collector):
    """Asks the engine whenever somebody asks for the metrics."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        found = self._service.engine.metrics()
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"lckv_{name}", text, value=getattr(found, name))
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"lckv_{name}", text, value=getattr(found, name))
        ended = CounterMetricFamily("lckv_requests", "Requests of the engine that have ended, and how", labels=["end"])
        for end in ENDS:
            ended.add_metric([end], getattr(found, f"requests_{end}"))
        yield ended
        answered = CounterMetricFamily("lckv_http_requests", "Requests of clients", labels=["path", "status"])
        for (path, status), n in list(self._service.answered.items()):
            answered.add_metric([path, str(status)], n)
        yield answered
