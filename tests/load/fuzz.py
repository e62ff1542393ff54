"""Malformed pictures and bodies: real ones, damaged in ways that a seed repeats."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from PIL import Image

from tests.load.process import Server

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "ICO", "JPEG2000", "TGA")


@cache
def _good(kind: str) -> bytes:
    noise = Image.effect_noise((61, 47), 90).convert("RGB")
    stream = io.BytesIO()
    noise.save(stream, kind)
    return stream.getvalue()


def damaged(random_: random.Random) -> bytes:
    """A picture with something wrong: bits, lengths, sizes, its end, its middle, its beginning."""
    data = bytearray(_good(random_.choice(FORMATS)))
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data))
        match random_.randrange(7):
            case 0:
                data[at] ^= 1 << random_.randrange(8)
            case 1:
                del data[at:]
            case 2:  # a size or a length from nowhere
                where = random_.randrange(min(64, len(data)))
                value = random_.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, random_.getrandbits(32)])
                order = random_.choice(["<I", ">I"])
                data[where : where + 4] = struct.pack(order, value)
            case 3:
                data[at : at + random_.randrange(200)] = random_.randbytes(random_.randrange(200))
            case 4:
                other = _good(random_.choice(FORMATS))
                data = data[:at] + other[random_.randrange(len(other)) :]
            case 5:
                data += random_.randbytes(random_.randrange(2000))
            case _:
                data = bytearray(random_.randbytes(random_.randrange(1, 300)))
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def malformed(random_: random.Random) -> tuple[str, bytes]:
    """A request with a damaged picture, or one that is damaged itself."""
    url = "data:image/png;base64," + base64.b64encode(damaged(random_)).decode()
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}}]
    message = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}
    bodies: dict[str, Any] = {
        "/v1/chat/completions": {"model": "", "messages": [message], "max_tokens": 2},
        "/v1/embeddings": {"model": "", "input": ["a", url]},
        "/api/classify": {"image": url, "labels": ["a", "b"]},
        "/api/search": {"image": url},
    }
    path = random_.choice(list(bodies))
    fields = bodies[path]
    if random_.random() < 0.6:
        return path, json.dumps(fields).encode()
    _spoil(fields, random_)
    data = bytearray(json.dumps(fields).encode())
    if random_.random() < 0.3:
        for _ in range(random_.randint(1, 5)):
            data[random_.randrange(len(data))] = random_.randrange(256)
    return path, bytes(data)


_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**40, "", "\ud800", "\0", [], {}, [[]], "x" * 5000),
    *([None], {"type": "text"}, {"type": "image_url", "image_url": {}}, float("nan"), [{}] * 300),
)


def _spoil(fields: Any, random_: random.Random) -> None:
    """Something odd at some place of a JSON value."""
    while True:
        keys = list(fields) if isinstance(fields, dict) else list(range(len(fields)))
        key = random_.choice(keys)
        deeper = fields[key]
        if isinstance(deeper, (dict, list)) and deeper and random_.random() < 0.7:
            fields = deeper
            continue
        fields[key] = random_.choice(_ODD)
        return


def fuzz(server: Server, count: int, seed: int) -> dict[str, Any]:
    """What `count` malformed requests are answered with."""

    def one(at: int) -> str:
        path, body = malformed(random.Random(seed * 1_000_000 + at))
        return str(server.ask("POST", path, body).status)

    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(pool.map(one, range(count)))
    alive = server.process.poll() is None and server.ask("GET", "/health").status == 200
    return {
        "requests": count,
        "seed": seed,
        "statuses": dict(sorted(statuses.items())),
        "same_process": alive,
        "memory_mb": round(server.memory(), 1),
    }
