"""A server on fakes, really listening, for tests."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from galago.clip.labels import LabelSet, Sorting
from galago.vlm.fastvlm import FastVLM
from tests.helpers.albums import FakeEmbedder
from tests.helpers.fakes import FakeLanguage, FakeVision, fake_spec, fake_tokenizer
from tests.helpers.waiting import until


class FakeClip(FakeEmbedder):
    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def label_set(self, labels: Sequence[str]) -> LabelSet:
        rows = self.embed_texts(labels)
        strange = tuple(self.strange(labels, rows))
        return LabelSet(tuple(labels), rows, self.name, self.identity, strange)

    def sort_pixels(self, pixel_values: Any, labels: LabelSet) -> Sorting:
        count = len(labels.labels)
        return Sorting((1 / count,) * count, 0.25, doubted=True)


class SteppedLanguage(FakeLanguage):
    """Decodes freely; while it is held, one token for each step that it is given."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._free, self._steps = True, threading.Semaphore(0)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._steps = threading.Semaphore(0)  # none is left over from the time before
        self._free = False
        try:
            yield
        finally:
            self._free = True
            self._steps.release(1000)  # whoever waits goes on

    def step(self) -> None:
        self._steps.release()

    def embed(self, ids: Any) -> Any:
        if len(ids) == 1 and not self._free:
            assert self._steps.acquire(timeout=30)
        return super().embed(ids)


@dataclass
class Served:
    """A running server and what it runs on."""

    port: int
    vision: FakeVision
    language: SteppedLanguage
    clip: FakeClip
    service: Any = None
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def active(self) -> int:
        """Requests at work, as its figures say."""
        figures = ask(f"{self.url}/metrics").body.decode()
        (line,) = [one for one in figures.splitlines() if one.startswith("galago_queue_active ")]
        return int(float(line.split()[1]))


@contextlib.contextmanager
def serving(
    folder: Path,
    album: Any = None,
    *,
    translate: Any = None,
    seen: Any = None,
    parts: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Served]:
    """A server that babbles (FakeLanguage), on a free port; `parts`: more of what it is given."""
    from galago.server import Parts, Settings
    from galago.server.app import create_app
    from galago.server.run import listen, server_of

    tokenizer = fake_tokenizer(folder / "tokenizer")
    end_id = tokenizer.token_id("<|im_end|>")
    vision, language = FakeVision(), SteppedLanguage(tokenizer.vocab_size, end_id=end_id)
    vlm = FastVLM(vision, language, tokenizer, fake_spec(tokenizer.vocab_size))
    more = {"translate": translate, "seen": seen, **(parts or {})}
    given = Parts(vlm, clip := FakeClip(), album or (lambda: None), **more)
    listening = listen("127.0.0.1", 0)
    chosen = Settings(**({"static": folder / "static"} | settings))
    server = server_of(create_app(given, chosen, "0"))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    try:
        assert until(lambda: server.started)
        yield Served(listening.getsockname()[1], vision, language, clip)
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


def data_url(colour: str = "red", side: int = 70) -> str:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def user(text: str, *urls: str) -> dict[str, Any]:
    """A user's message with pictures."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": parts}


@dataclass
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, body: Any = None, verb: str | None = None, **headers: str) -> Reply:
    """One request; `body` as JSON, or bytes as they are; `verb`: POST with a body, else GET."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data, kind, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())
