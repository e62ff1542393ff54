"""A FastVLM's parts from a name: fetched, converted, opened; alone in its room it knows engines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from galago.convert.choice import choose_fastvlm
from galago.convert.load import Opened, load_taught, open_model
from galago.convert.store import prepare
from galago.engine.batching import BatchedDecoder
from galago.engine.device import Devices, find
from galago.engine.precision import check_threads
from galago.engine.standby import Story
from galago.errors import OptionError
from galago.hub.resolve import Name
from galago.places import agreements_dir, graphs_dir
from galago.progress import Progress
from galago.specs import Side, VLMSpec
from galago.text.tokens import Tokenizer, load_tokenizer
from galago.vlm.decode import LanguageModel
from galago.vlm.reply import Judge, VisionModel

__all__ = ["Parts", "Where", "load_parts", "weights_of"]

_ON_CPU = (Story("vision on CPU"), Story("language on CPU"))


@dataclass(frozen=True)
class Where:
    """Devices as they were named (None: the CPU), and the side that pictures are looked at with.

    `again`: a device is compared with the CPU although that was done before, and waited for.
    `core`: what stands in for the engine's own in a test.
    """

    device: str | None = None
    vision_device: str | None = None
    side: Side | None = None
    again: bool = False
    core: object = field(default=None, repr=False)

    def devices(self) -> Devices | None:
        """None for the CPU alone; OptionError for what isn't here or can't be."""
        if self.device is None and self.vision_device is None:
            return None
        found = find(self.device, self.vision_device, self.core)
        if found.vision.fixed and self.side == "auto":
            raise OptionError(
                f"{found.vision.name} sees pictures of one size, so there is none to choose: leave "
                "out --resolution auto, or give one in pixels"
            )
        if self.again:
            found = replace(found, meanwhile=False)
        return None if found.plain else found


@dataclass(frozen=True)
class Parts:
    """What a FastVLM is made of, loaded; `stories` says of vision and language where they run."""

    vision: VisionModel
    language: LanguageModel
    tokenizer: Tokenizer
    spec: VLMSpec
    name: str
    precision: str
    identity: str
    weights: str
    taught: Judge | None = None
    stories: Callable[[], tuple[Story, Story]] = lambda: _ON_CPU


def load_parts(
    name: Name | None,
    precision: str,
    offline: bool | None,
    threads: int | None,
    progress: Progress,
    where: Where = Where(),
) -> Parts:
    """As FastVLM.load, which says what is raised; replies of several threads decode together."""
    check_threads(threads)
    devices = where.devices()
    name = name or choose_fastvlm(precision).name
    prepared = prepare(name, precision=precision, offline=offline, progress=progress)
    opened = open_model(prepared.folder, precision, threads=threads, cache_dir=graphs_dir())
    vision, language, stories = _running(opened, prepared.folder, devices, where, progress)
    return Parts(
        vision,
        language,
        load_tokenizer(prepared.folder),
        opened.spec,
        prepared.name,
        opened.precision.name,
        opened.identity,
        weights_of(prepared.folder),
        load_taught(prepared.beside, opened.identity),
        stories,
    )


def _running(
    opened: Opened, folder: Path, devices: Devices | None, where: Where, progress: Progress
) -> tuple[VisionModel, LanguageModel, Callable[[], tuple[Story, Story]]]:
    """Vision, language, and where they run."""
    if devices is None:
        return opened.vision(), BatchedDecoder(opened.language()), lambda: _ON_CPU
    from galago.convert.devices import place

    side = where.side if isinstance(where.side, int) else None
    if side is not None:
        side = opened.spec.image.with_side(side).side
    placed = place(
        opened, folder, devices, progress,
        side=side, folder=agreements_dir(), again=where.again,
    )  # fmt: skip
    return placed.vision, placed.language, placed.stories


def weights_of(folder: Path) -> str:
    """Twelve letters for the files of weights: their place, sizes and times, as weights that were
    trained on keep their sizes."""
    states = [(path.name, path.stat()) for path in sorted(folder.glob("*.safetensors"))]
    files = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(repr((str(folder.resolve()), files)).encode()).hexdigest()[:12]
