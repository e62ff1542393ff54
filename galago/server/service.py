"""What the routes share: parts, pictures, the scheduler, the figures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from galago import catalog
from galago.media import images
from galago.server.answering import Answering
from galago.server.copies import Comparing
from galago.server.data_urls import Opener
from galago.server.indexing import Indexing
from galago.server.intake import network_of
from galago.server.metrics import Metrics
from galago.server.parts import Parts
from galago.server.problems import Problem
from galago.server.remote import fetch
from galago.server.scheduler import Job, Scheduler
from galago.server.settings import Settings

__all__ = ["Service", "watched"]

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """One of each for a running server."""

    parts: Parts
    settings: Settings
    scheduler: Scheduler
    opener: Opener
    answering: Answering
    indexing: Indexing
    comparing: Comparing
    metrics: Metrics

    @classmethod
    def begin(cls, parts: Parts, settings: Settings) -> Service:
        """With its threads running."""
        scheduler = Scheduler(settings.parallel, settings.queue, settings.timeout)
        opener = Opener(settings.body_bytes, fetch if settings.allow_remote_images else None)
        return cls(
            parts,
            settings,
            scheduler,
            opener,
            Answering(parts, settings.kept_pictures),
            Indexing(parts.indexer, lambda: scheduler.active > 0),
            Comparing(parts),
            Metrics(scheduler),
        )

    def thumbnail(self, path: str, side: int, second: float | None = None) -> bytes:
        """As images.thumbnail; of a video the picture at this second (PicturePool.thumbnail)."""
        pool = self.parts.pool
        if pool is None:
            return images.thumbnail(path, side)
        return pool.thumbnail(path, side, second=second)

    def stop(self, seconds: float) -> None:
        """Give up pictures that are being opened, and end the threads; so long they may take."""
        self.indexing.stop()
        self.comparing.stop()
        if self.parts.pool is not None:
            self.parts.pool.close()
        self.scheduler.stop(seconds / 3)
        self.indexing.close(seconds / 3)
        self.comparing.close(seconds / 3)

    def submit(self, request: Request, user: str | None, work: Callable[[], Iterator[T]]) -> Job[T]:
        """Queue work for whoever asks: an address, which has its turns, and the user it names."""
        client = network_of(request.client.host if request.client else "")
        return self.scheduler.submit(client, user or "", work)

    async def run(self, request: Request, user: str | None, work: Callable[[], T]) -> T:
        """One result of the scheduler's threads."""

        def once() -> Iterator[T]:
            yield work()

        for found in await self.collect(request, user, once):
            return found
        raise Problem(503, "the answer was given up")

    async def collect(
        self, request: Request, user: str | None, work: Callable[[], Iterator[T]]
    ) -> list[T]:
        """All that the work yields; less when the client goes away meanwhile."""
        job = self.submit(request, user, work)
        async with watched(request, job):
            return [item async for item in job.items()]

    def check_model(self, name: str, known: str) -> None:
        """Problem 404 for a model that isn't the one served."""
        row = catalog.find(name)
        if name and name != known and (row is None or row.name != known):
            raise Problem(
                404,
                f"no model is called {name[:100]!r} here: this server answers with {known}",
                code="model_not_found",
                param="model",
            )


@contextlib.asynccontextmanager
async def watched(request: Request, job: Job[T]) -> AsyncIterator[None]:
    """Closes the job when the client goes away; for the time before the response begins."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        job.close()

    watcher = asyncio.create_task(gone())
    try:
        yield
    except BaseException:
        job.close()
        raise
    finally:
        watcher.cancel()
