"""Who works: pictures in, batches out, in any order; on this machine, or anywhere (ray_crew)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

from galago.scale.items import Item
from galago.scale.rows import Batch, Made
from galago.scale.worker import Worker

__all__ = ["Chunk", "Crew", "LocalCrew"]

Chunk = Sequence[Item]


class Crew(Protocol):
    """Workers; a context manager that ends them."""

    def __enter__(self) -> Crew: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...  # fmt: skip

    @property
    def made(self) -> Made:
        """What their rows have in common; waits for the first of them."""
        ...

    def run(self, chunks: Iterable[Chunk]) -> Iterator[Batch]:
        """What becomes of each chunk, as it is done; chunks are taken when somebody is free."""
        ...


class LocalCrew:
    """One worker, in this process: of a chunk the pictures are opened while another is encoded."""

    def __init__(self, opened: Callable[[], Worker]) -> None:
        self._worker = opened()
        self._threads = ThreadPoolExecutor(2, "galago-embed")

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()
        self._threads.shutdown(cancel_futures=True)

    @property
    def made(self) -> Made:
        return self._worker.made

    def run(self, chunks: Iterable[Chunk]) -> Iterator[Batch]:
        running: deque[Future[Batch]] = deque()
        for chunk in chunks:
            running.append(self._threads.submit(self._worker, chunk))
            if len(running) > 2:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
