"""What a trunk that doesn't learn makes of pictures, computed once and kept on disk.

By galago's engine, which looks quicker than PyTorch on a CPU, and before the projector, which may
learn.  Two files: `features.bin`, numbers in float16 divided by the largest of each picture (final
features have no bound that float16 is sure to hold), and `features.jsonl`, a line a picture that
is written after its numbers: what a stopped process left behind the last line is written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galago.checkpoints.tensors import Float
from galago.checkpoints.vlm import Checkpoint
from galago.disk import refusals
from galago.engine.graph import fastvit
from galago.engine.network import Network
from galago.engine.processor import options
from galago.engine.vlm_weights import collect, vision_items
from galago.rows.rows import Photo
from galago.specs import ImageSpec

__all__ = ["FeatureStore", "TrunkSession"]


class TrunkSession:
    """The trunk without its projector, in float32."""

    def __init__(self, source: Checkpoint) -> None:
        spec = source.spec.vision
        weights = collect(vision_items(source, "fp32"))
        self._network = Network(
            lambda: (fastvit.build(weights, spec, projector=False), weights),
            options("f32", None),
            None,
            spec,
        )
        self._request = self._network.new_request()

    def look(self, pixel_values: Float) -> Float:
        """(3, H, W) float32 -> features (T, C) float32, row by row from the top left."""
        found = self._network.run(self._request, {"pixel_values": pixel_values[None]})[0]
        return np.ascontiguousarray(found.reshape(len(found), -1).T)


@dataclass(frozen=True)
class _Place:
    offset: int
    shape: tuple[int, int]
    scale: float


class FeatureStore:
    """Features of pictures in a folder; `name` tells those of several processes apart.

    Pictures are told apart by their bytes, so that one in two rows or under two names is
    looked at once, and by how they are prepared.
    """

    def __init__(self, folder: Path, image: ImageSpec) -> None:
        self.folder, self.image = folder, image
        self._places: dict[str, tuple[Path, _Place]] = {}
        self._maps: dict[Path, np.memmap[Any, Any]] = {}
        self._keys: dict[Photo, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.reload()

    def reload(self) -> None:
        """Take up what every process has kept so far."""
        self._maps.clear()
        for index in sorted(self.folder.glob("features-*.jsonl")):
            data = index.with_suffix(".bin")
            size = data.stat().st_size if data.exists() else 0
            for place, key in _whole_lines(index):
                if place.offset + 2 * place.shape[0] * place.shape[1] <= size:
                    self._places[key] = (data, place)

    def __len__(self) -> int:
        return len(self._places)

    def fill(
        self,
        photos: Iterable[Photo],
        session: Callable[[], TrunkSession],
        told: Callable[[int], None] = lambda done: None,
        name: str = "0",
    ) -> int:
        """Look at what isn't kept yet; how many that were.  ImageError, StorageError."""
        trunk: TrunkSession | None = None
        data, index = (self.folder / f"features-{name}.{end}" for end in ("bin", "jsonl"))
        looked = 0
        full = f"the disk is full: features of pictures don't fit {self.folder}; make room, or "
        with (
            refusals(full=full + "train with --no-features"),
            data.open("ab") as numbers,
            index.open("ab") as lines,
        ):
            _mend(index, lines)
            for done, photo in enumerate(photos, 1):
                key = self.key(photo)
                if key not in self._places:
                    trunk = trunk or session()
                    found = trunk.look(photo.pixel_values(self.image))
                    place = _append(numbers, found)
                    lines.write(_line(place, key))
                    lines.flush()
                    self._places[key] = (data, place)
                    looked += 1
                told(done)
        return looked

    def key(self, photo: Photo) -> str:
        """What a picture is called here; ImageError where there is none."""
        if photo not in self._keys:
            data, _ = photo.head(photo.head(0)[1])
            digest = hashlib.blake2b(repr(self.image).encode(), digest_size=16)
            digest.update(data)
            self._keys[photo] = digest.hexdigest()
        return self._keys[photo]

    def read(self, photo: Photo) -> Float:
        """Features (T, C) float32; KeyError for a picture that wasn't looked at."""
        path, place = self._places[self.key(photo)]
        if path not in self._maps:
            self._maps[path] = np.memmap(path, np.uint8, "r")
        size = 2 * place.shape[0] * place.shape[1]
        stored = self._maps[path][place.offset : place.offset + size].view(np.float16)
        return stored.reshape(place.shape).astype(np.float32) * np.float32(place.scale)


def _append(file: Any, found: Float) -> _Place:
    scale = float(np.abs(found).max()) or 1.0
    offset = file.seek(0, 2)
    file.write((found / scale).astype(np.float16).tobytes())
    file.flush()
    return _Place(offset, (found.shape[0], found.shape[1]), scale)


def _line(place: _Place, key: str) -> bytes:
    values = {"key": key, "offset": place.offset, "shape": place.shape, "scale": place.scale}
    return json.dumps(values).encode() + b"\n"


def _whole_lines(index: Path) -> Iterable[tuple[_Place, str]]:
    for line in index.read_bytes().split(b"\n")[:-1]:
        try:
            value = json.loads(line)
            rows, columns = value["shape"]
            place = _Place(int(value["offset"]), (int(rows), int(columns)), float(value["scale"]))
            yield place, str(value["key"])
        except (ValueError, KeyError, TypeError):
            continue


def _mend(index: Path, file: Any) -> None:
    """A line that a killed process didn't finish is ended, so that the next one is whole."""
    if index.stat().st_size and not index.read_bytes().endswith(b"\n"):
        file.write(b"\n")
        file.flush()
