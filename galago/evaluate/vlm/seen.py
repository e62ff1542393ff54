"""Pictures that are looked at once, however many questions follow about them, from any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import blake2b

from PIL import Image

from galago.vlm.reply import EncodedImage

__all__ = ["Seen"]

_BYTES = 512 << 20  # of features: all 500 pictures of POPE by FastVLM-0.5B


class Seen:
    """Encoded pictures by their pixels, the least recently asked for forgotten first."""

    def __init__(self, encode: Callable[[Image.Image], EncodedImage], most: int = _BYTES) -> None:
        self._encode, self._most = encode, most
        self._held: OrderedDict[bytes, Future[EncodedImage]] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = 0
        self.looked = 0  # at how many pictures

    def encode(self, image: Image.Image) -> EncodedImage:
        """As galago.FastVLM.encode; who asks while another looks waits for that."""
        key = _digest(image)
        with self._lock:
            future = self._held.get(key)
            first = future is None
            if future is None:
                future = self._held[key] = Future()
                self.looked += 1
            self._held.move_to_end(key)
        if first:
            try:
                future.set_result(self._encode(image))
            except BaseException as error:
                future.set_exception(error)
                with self._lock:
                    self._held.pop(key, None)
                raise
            self._forget(future.result().features.nbytes)
        return future.result()

    def _forget(self, new: int) -> None:
        with self._lock:
            self._bytes += new
            for key in [*self._held]:
                if self._bytes <= self._most:
                    return
                old = self._held[key]
                if old.done():
                    self._bytes -= old.result().features.nbytes
                    del self._held[key]


def _digest(image: Image.Image) -> bytes:
    found = blake2b(f"{image.mode} {image.size}".encode(), digest_size=16)
    found.update(image.info.get("icc_profile") or b"")
    found.update(image.tobytes())
    return found.digest()
