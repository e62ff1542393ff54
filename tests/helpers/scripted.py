"""OpenAI's API in a few lines: to each picture it says what a script says, and remembers what it
was asked."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

__all__ = ["Scripted", "pixels_of", "scripted"]


def pixels_of(image: Image.Image) -> bytes:
    return image.convert("RGB").tobytes()


@dataclass
class Scripted:
    """url: where it listens.  asked: the text and the pixels of each request, as it came."""

    url: str = ""
    key: str = "only-mine"
    asked: list[tuple[str, bytes]] = field(default_factory=list)


@contextmanager
def scripted(script: Mapping[tuple[str, bytes], str]) -> Iterator[Scripted]:
    """A server that knows what is said to a text (the longest known part of it) and the pixels of a
    picture."""
    server = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Authorization"] == f"Bearer {server.key}"
            text, pixels = _understood(body)
            server.asked.append((text, pixels))
            said = [
                reply
                for (part, picture), reply in sorted(
                    script.items(), key=lambda one: -len(one[0][0])
                )
                if picture == pixels and part in text
            ]
            message = {"role": "assistant", "content": said[0] if said else "not in the script"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted"}
            data = json.dumps({**answer, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}/v1"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()


def _understood(body: dict[str, Any]) -> tuple[str, bytes]:
    """The text of a request, its parts joined as galago's server does, and the picture's pixels."""
    (message,) = body["messages"]
    texts = [part["text"] for part in message["content"] if part["type"] == "text"]
    urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
    with Image.open(io.BytesIO(base64.b64decode(urls[0].split(",")[1]))) as image:
        return "\n".join(texts), pixels_of(image)
