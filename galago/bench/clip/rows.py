"""Rows of MobileCLIP and of albums: towers, indexing and searching, beside their peers.

The embedded model's need nothing else; random ones of the published shapes are made by torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago import catalog
from galago.bench.jobs import CLIP, ENGINE, Job, Row, Settings
from galago.checkpoints.clip_config import SECOND
from galago.specs import FastViTSpec

__all__ = ["EMBEDDED", "PACKAGES", "PICTURES", "SMALLEST", "TEXTS", "Sizes", "rows"]

PACKAGES = ("openvino", "torch", "open_clip_torch", "timm", "onnxruntime", "numpy", "pillow")
SMALLEST, EMBEDDED = "MobileCLIP2-S0", catalog.DEFAULT_CLIP
# A model's pictures at once, the same for every engine.
PICTURES = {
    EMBEDDED: 8,
    SMALLEST: 8,
    "MobileCLIP2-S2": 8,
    "MobileCLIP2-B": 8,
    "MobileCLIP2-S3": 4,
    "MobileCLIP2-S4": 2,
    "MobileCLIP2-L-14": 2,
}
TEXTS = 16  # at once
_INDEXED = 16  # photos at once
_HEAVY = ("MobileCLIP2-S3", "MobileCLIP2-S4", "MobileCLIP2-L-14")
_OURS = ("fp32", "bf16", "int8")
_TORCH = ("torch", "open_clip", "timm")
_PEERS = (("torch", "fp32"), ("torch", "bf16"), ("onnxruntime", "fp32"))
_UNFUSED = ("torch", "fp32-unfused")  # as open_clip loads it; only for the smallest
_VERSIONS: tuple[str, ...] = ("torch", "open_clip_torch", "timm")


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    `photos` of 12 megapixels and `small` ones of 640x480 are indexed, a `share` of them by the
    loop beside; albums of `vectors` photos are searched while they are open, one of `cold` from the
    start of the command. A tower is timed for `seconds`.
    """

    photos: int = 500
    small: int = 5000
    share: float = 0.1
    vectors: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    cold: int = 100_000
    seconds: float = 1.5


QUICK = Sizes(cold=10_000, seconds=0.5)


def rows(settings: Settings, sizes: Sizes | None = None) -> list[Row]:
    """In the order of measuring; quick, the embedded model's alone."""
    sizes = sizes or (QUICK if settings.quick else Sizes())
    found = [*_ours(EMBEDDED, settings, sizes)]
    if settings.quick:
        return [*found, _search("cold", EMBEDDED, sizes.cold, settings)]
    for spec in SECOND:
        convolutions = isinstance(spec.vision, FastViTSpec)
        found += _peers(spec.name, convolutions, settings, sizes)
        found += _ours(spec.name, settings, sizes)
    for kind, count in (("large", sizes.photos), ("small", sizes.small)):
        found += _indexing(kind, count, settings, sizes)
    found += [_search("warm", SMALLEST, count, settings) for count in sizes.vectors]
    return [*found, *(_search("cold", m, sizes.cold, settings) for m in (SMALLEST, EMBEDDED))]


def _folder(settings: Settings) -> Path:
    return settings.cache / "clip"


def _model(name: str, settings: Settings, *, export: bool = False) -> tuple[str, tuple[Job, ...]]:
    """A name or the folder of a random model, and what makes it; `export`: as ONNX, too."""
    if name == EMBEDDED:
        return name, ()
    folder = _folder(settings) / name
    made = {"model": str(folder), "export": export, "pictures": PICTURES[name], "texts": TEXTS}
    modules = ("onnxscript", *_TORCH) if export else _TORCH
    return str(folder), (Job("clip.models.build", made, modules, folder),)


def _asked(model: str, name: str, settings: Settings, sizes: Sizes) -> dict[str, Any]:
    asked = {"model": model, "threads": settings.threads, "texts": TEXTS}
    return asked | {"pictures": PICTURES[name], "seconds": sizes.seconds, "clock": settings.clock}


def _ours(name: str, settings: Settings, sizes: Sizes) -> Iterator[Row]:
    model, needs = _model(name, settings)
    for precision in _OURS:
        options = _asked(model, name, settings, sizes) | {"precision": precision}
        options |= settings.placed
        job = Job("clip.towers.galago", options)
        yield Row(f"{CLIP}towers/{name}/galago/{precision}", job, needs, once=name in _HEAVY)


def _peers(name: str, convolutions: bool, settings: Settings, sizes: Sizes) -> Iterator[Row]:
    for engine, precision in (_UNFUSED, *_PEERS) if name == SMALLEST else _PEERS:
        model, needs = _model(name, settings, export=engine == "onnxruntime")
        options = _asked(model, name, settings, sizes)
        if engine == "torch":
            options |= {"precision": precision, "convolutions": convolutions}
            job = Job("clip.peers.eager", options, _TORCH)
            packages = _VERSIONS
        else:
            job = Job("clip.peers.onnx", options, ("onnxruntime", "open_clip"))
            packages = ("onnxruntime", *_VERSIONS)
        heavy = name in _HEAVY
        row = f"{CLIP}towers/{name}/{engine}/{precision}"
        yield Row(row, job, needs, packages, once=heavy, ours=False)


def _indexing(kind: str, count: int, settings: Settings, sizes: Sizes) -> Iterator[Row]:
    photos = _folder(settings) / f"{kind}-{count}"
    made = {"kind": kind, "count": count, "folder": str(photos), "threads": settings.threads}
    model, needs = _model(SMALLEST, settings)
    needs = (*needs, Job("photos.make", made, scratch=photos))
    options = {"model": model, "photos": str(photos), "threads": settings.threads}
    options |= {"pictures": _INDEXED}
    name, once = f"{CLIP}index/{kind}/{count}", kind == "small"
    beside = options | {"share": sizes.share, "tried": PICTURES[SMALLEST]}
    job = Job("clip.peers.loop", beside, _TORCH)
    yield Row(f"{name}/loop", job, needs, (*_VERSIONS, "pillow"), once=once, ours=False)
    job = Job("clip.indexing.galago", options)
    yield Row(f"{name}/galago", job, needs, (*ENGINE, "pillow"), once=once)


def _search(what: str, name: str, count: int, settings: Settings) -> Row:
    model, needs = _model(name, settings)
    albums = _folder(settings) / f"albums-{name}"
    made = {"model": model, "albums": str(albums), "count": count, "threads": settings.threads}
    needs = (*needs, Job("clip.searching.fill", made, scratch=albums))
    more = {"runs": settings.runs} if what == "cold" else {"texts": TEXTS}
    job = Job(f"clip.searching.{what}", made | more)
    return Row(f"{CLIP}search/{what}/{name}/{count}", job, needs)
