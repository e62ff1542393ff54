"""A FastVLM's sessions on the devices that were chosen; galago.engine.placing says how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from galago.checkpoints.tensors import Float
from galago.convert.load import Opened
from galago.convert.same_words import compare_words
from galago.convert.selfcheck import BOUNDS, passage_ids, pictures_of
from galago.engine.agreement import Agreement, Kept, compare_rows
from galago.engine.batching import BatchedDecoder
from galago.engine.device import Device, Devices
from galago.engine.placing import PartOn, Placer
from galago.engine.standby import SteadyDecoder, SteadyVision, Story
from galago.engine.vlm_sessions import VisionSession
from galago.progress import Progress, Stage
from galago.specs import VLMSpec

__all__ = ["Placed", "place"]


@dataclass(frozen=True)
class Placed:
    """A model's parts where they run, for galago.vlm; `stories` says of each where and why."""

    vision: SteadyVision
    language: SteadyDecoder
    stories: Callable[[], tuple[Story, Story]]
    placer: Placer


def place(
    opened: Opened,
    tokenizer_of: Path,
    devices: Devices,
    progress: Progress,
    *,
    side: int | None = None,
    folder: Path | None = None,
    again: bool = False,
) -> Placed:
    """Vision and language of an opened model on their devices.

    `side`: that of a device which takes one only. `folder` keeps what was found of them; `again`
    compares them although that was done before. `tokenizer_of`: a folder with the tokenizer.
    """
    kept = Kept.of_weights(folder, (opened.made_from, side if devices.vision.fixed else None))
    placer = Placer(kept, progress, devices.meanwhile, again)
    if devices.note:
        progress(Stage(devices.note, lasting=True), 1.0)
    checks = _Checks(opened, tokenizer_of, devices, side)
    vision = placer.place(
        PartOn("vision", lambda device: opened.vision(device, side), checks.vision), devices.vision
    )
    language = placer.place(
        PartOn("language", lambda device: BatchedDecoder(opened.language(device)), checks.language),
        devices.language,
    )
    return Placed(
        SteadyVision(vision),
        SteadyDecoder(language),
        lambda: (vision.story, language.story),
        placer,
    )


class _Checks:
    """How a FastVLM's parts are compared."""

    def __init__(
        self, opened: Opened, tokenizer_of: Path, devices: Devices, side: int | None
    ) -> None:
        self._opened, self._tokenizer_of, self._devices = opened, tokenizer_of, devices
        self._side = side

    def vision(self, ours: VisionSession, theirs: VisionSession) -> Agreement:
        """Tokens of the self-check's pictures."""
        device = self._devices.vision
        spec = _with_side(self._opened.spec, self._side if device.fixed else None)
        pixels = list(pictures_of(spec, whole=device.fixed))
        pairs = [(ours.encode(one)[0], theirs.encode(one)[0]) for one in pixels]
        return compare_rows("vision", device.called(), pairs, exact=self._exact(device, "vision"))

    def language(self, ours: BatchedDecoder, theirs: BatchedDecoder) -> Agreement:
        """Next tokens behind a small one of them, as the CPU sees it."""
        device, spec = self._devices.language, self._opened.spec
        bounds = self._opened.precision.language
        if bounds == "fp32" and not self._exact(device, "language"):
            bounds = "bf16"
        # The weights are the same: what four bits do to them is on both sides.
        bounds = "int8" if bounds == "int4" else bounds
        ids = passage_ids(self._tokenizer_of, spec.text.vocab)
        return compare_words(
            "language", device.called(), ours, theirs, self._seen(), ids, BOUNDS[bounds]
        )

    def _seen(self) -> Float:
        """Tokens (T, hidden) of the last picture, a small one."""
        session = self._opened.vision()
        *_, pixels = pictures_of(self._opened.spec)
        found: Float = session.encode(pixels)[0]
        session.release()
        return found

    def _exact(self, device: Device, what: str) -> bool:
        """Whether both sides compute in float32."""
        plan = self._opened.precision
        stored = plan.vision if what == "vision" else plan.language
        sides = (one.products(stored, exact=plan.exact) for one in device.members)
        return plan.exact and all(products == "f32" for products in sides)


def _with_side(spec: VLMSpec, side: int | None) -> VLMSpec:
    if side is None:
        return spec
    return dataclasses.replace(spec, image=dataclasses.replace(spec.image, side=side))
