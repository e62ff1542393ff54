"""Figures for Prometheus: requests, the queue, times to the first token, tokens."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from galago.server.scheduler import Scheduler
from galago.vlm.reply import Stats

__all__ = ["Metrics"]

_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25, 50, 100)
_A_TOKEN = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2)


class Metrics:
    """Counted in this process; nothing is sent anywhere."""

    def __init__(self, scheduler: Scheduler) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "galago_requests", "Requests answered.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "galago_request_seconds",
            "From a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        waiting = Gauge("galago_queue_waiting", "Requests that wait.", registry=registry)
        waiting.set_function(lambda: scheduler.waiting)
        active = Gauge("galago_queue_active", "Requests at work.", registry=registry)
        active.set_function(lambda: scheduler.active)
        self._first = Histogram(
            "galago_first_token_seconds",
            "From a question to the first token, the queue included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._token = Histogram(
            "galago_token_seconds",
            "Seconds a token while an answer streams, its mean.",
            buckets=_A_TOKEN,
            registry=registry,
        )
        self._tokens = Counter(
            "galago_tokens", "Tokens of prompts and answers.", ("kind",), registry=registry
        )

    def answered(self, stats: Stats, first_token: float) -> None:
        self._first.observe(first_token)
        if stats.tokens_per_second:
            self._token.observe(1 / stats.tokens_per_second)
        text = stats.prompt_tokens - stats.image_tokens
        for kind, count in (
            ("prompt", text),
            ("picture", stats.image_tokens),
            ("answer", stats.tokens),
        ):
            self._tokens.labels(kind).inc(count)

    def page(self) -> bytes:
        return generate_latest(self._registry)
