"""Pictures of requests, each looked at once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from galago.server.parts import Vlm
from galago.vlm.reply import EncodedImage

__all__ = ["Pictures"]

_HELD = 256 << 20  # bytes of features kept at most


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
