"""Pictures of requests: data URLs to bytes, and each looked at once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable

from galago.server.parts import Vlm
from galago.server.problems import Problem
from galago.vlm.reply import EncodedImage

__all__ = ["Opener", "Pictures"]

_HELD = 256 << 20  # bytes of features kept at most


class Opener:
    """A picture's URL to its bytes.  `fetch` gets remote ones; without it they are refused."""

    def __init__(self, limit: int, fetch: Callable[[str], bytes] | None = None) -> None:
        self._limit = limit
        self._fetch = fetch

    def check(self, url: str, param: str) -> None:
        """Problem 400 for what can't be the URL of a picture; nothing is decoded or fetched yet."""
        scheme = url[:8].partition(":")[0].lower()
        if scheme == "data":
            head, comma, _ = url[:200].partition(",")
            if not comma or not head.lower().startswith("data:image/"):
                raise Problem(400, "a data URL must begin with data:image/…;base64,", param=param)
            return
        if scheme not in ("http", "https"):
            told = "a picture must be a data URL: data:image/jpeg;base64,…"
            raise Problem(400, told, param=param)
        if self._fetch is None:
            raise Problem(
                400,
                "pictures are not fetched from other computers: send a data URL, or start the "
                "server with --allow-remote-images",
                param=param,
                code="remote_images_off",
            )

    def open(self, url: str) -> bytes:
        """The bytes of a checked URL; Problem 400 when they aren't there."""
        if url[:5].lower() != "data:":
            assert self._fetch is not None
            return self._fetch(url)
        head, _, data = url.partition(",")
        try:
            if head.lower().endswith(";base64"):
                raw = base64.b64decode(urllib.parse.unquote(data), validate=True)
            else:
                raw = urllib.parse.unquote_to_bytes(data)
        except (binascii.Error, ValueError):
            raise Problem(400, "the data URL isn't valid base64", code="invalid_image") from None
        if not raw:
            raise Problem(400, "the data URL is empty", code="invalid_image")
        if len(raw) > self._limit:
            raise Problem(413, "the picture is too large")
        return raw


class Pictures:
    """Encoded pictures by their content: a follow-up question about one answers at once."""

    def __init__(self, vlm: Vlm, keep: int) -> None:
        self._vlm = vlm
        self._keep = keep
        self._kept: OrderedDict[tuple[bytes, int], EncodedImage] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def encode(self, data: bytes, resolution: int | None) -> EncodedImage:
        """The encoded picture, kept or new.  Raises as FastVLM.encode does."""
        digest = hashlib.blake2b(data, digest_size=16).digest()
        key = (digest, self._vlm.resolution if resolution is None else resolution)
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        image = self._vlm.encode(data, resolution)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = image
                self._bytes += image.features.nbytes
            while len(self._kept) > 1 and (len(self._kept) > self._keep or self._bytes > _HELD):
                self._bytes -= self._kept.popitem(last=False)[1].features.nbytes
        return image

    def __len__(self) -> int:
        return len(self._kept)
