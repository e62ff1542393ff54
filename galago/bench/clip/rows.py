"""What is measured: sizes, and the rows with the processes that measure them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# variant -> pictures at once, the same for every engine
BATCH = {
    "MobileCLIP2-S0": 8,
    "MobileCLIP2-S2": 8,
    "MobileCLIP2-B": 8,
    "MobileCLIP2-S3": 4,
    "MobileCLIP2-S4": 2,
    "MobileCLIP2-L-14": 2,
}
TEXTS = 16  # at once
CONTEXT = 77
SMALLEST, EMBEDDED = "MobileCLIP2-S0", "mobileclip2-nano"

ENGINES = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("onnxruntime", "fp32"),
    ("galago", "fp32"),
    ("galago", "bf16"),
    ("galago", "int8"),
)
UNFUSED = ("torch", "fp32-unfused")  # as open_clip loads it; only for the smallest
VITS = ("MobileCLIP2-B", "MobileCLIP2-L-14")
_HEAVY = ("MobileCLIP2-S3", "MobileCLIP2-S4", "MobileCLIP2-L-14")

Command = tuple[str, ...]  # a module, and its arguments


@dataclass(frozen=True)
class Row:
    """One line of a table, and what has to be made first; a heavy one is left out of one round."""

    name: str
    command: Command
    needs: tuple[Command, ...] = ()
    heavy: bool = False


@dataclass(frozen=True)
class Group:
    """Rows that are measured in turn, and the files that nobody needs afterwards."""

    rows: tuple[Row, ...]
    leaves: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    photos: int = 500
    small: int = 5000
    vectors: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    cold: int = 100_000
    share: float = 0.1  # of the photos, for the loop beside indexing
    seconds: float = 1.5  # that a tower is timed for
    threads: int = 2
    clock: str = "wall"  # or "cpu", of the towers


def groups(folder: Path, sizes: Sizes, embedded: bool) -> list[Group]:
    """Everything, in order; `embedded`: whether galago's own small model is there."""
    towers = [_towers(variant, folder, sizes) for variant in BATCH]
    indexing = [_indexing(kind, folder, sizes) for kind in ("large", "small")]
    return [*towers, *indexing, _searching(folder, sizes, embedded)]


def _model(variant: str, folder: Path, *more: str) -> Command:
    return ("galago.bench.clip.models", variant, str(folder / variant), *more)


def _towers(variant: str, folder: Path, sizes: Sizes) -> Group:
    place = folder / variant
    rest = (str(place), str(sizes.threads), str(sizes.seconds), sizes.clock)
    rows = []
    for engine, precision in (UNFUSED, *ENGINES) if variant == SMALLEST else ENGINES:
        command = ("galago.bench.clip.towers", variant, engine, precision, *rest)
        model = _model(variant, folder, *(["onnx"] if engine == "onnxruntime" else []))
        name = f"towers/{variant}/{engine}/{precision}"
        rows.append(Row(name, command, (model,), variant in _HEAVY))
    return Group(tuple(rows), () if variant == SMALLEST else (place,))


def _indexing(kind: str, folder: Path, sizes: Sizes) -> Group:
    count = sizes.photos if kind == "large" else sizes.small
    photos, album = folder / f"{kind}-{count}", folder / f"album-{kind}"
    needs = (
        _model(SMALLEST, folder),
        ("galago.bench.clip.photos", kind, str(count), str(photos), str(sizes.threads)),
    )
    places = (str(folder / SMALLEST), str(photos), str(album))
    numbers = (str(sizes.share), str(sizes.threads))
    rows = tuple(
        Row(
            f"index/{kind}/{count}/{engine}",
            ("galago.bench.clip.indexing", engine, *places, *numbers),
            needs,
            heavy=kind == "small",
        )
        for engine in ("loop", "galago")
    )
    return Group(rows, (photos, album))


def _searching(folder: Path, sizes: Sizes, embedded: bool) -> Group:
    rows = [_search("warm", SMALLEST, count, folder, sizes) for count in sizes.vectors]
    rows.append(_search("cold", SMALLEST, sizes.cold, folder, sizes))
    if embedded:
        rows.append(_search("cold", EMBEDDED, sizes.cold, folder, sizes))
    return Group(tuple(rows), tuple(folder / f"albums-{m}" for m in (SMALLEST, EMBEDDED)))


def _search(what: str, model: str, count: int, folder: Path, sizes: Sizes) -> Row:
    source = EMBEDDED if model == EMBEDDED else str(folder / model)
    rest = (source, str(folder / f"albums-{model}"), str(count), str(sizes.threads))
    fill = ("galago.bench.clip.searching", "fill", *rest)
    needs = (fill,) if model == EMBEDDED else (_model(model, folder), fill)
    return Row(
        f"search/{what}/{model}/{count}", ("galago.bench.clip.searching", what, *rest), needs
    )
