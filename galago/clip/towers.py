"""A MobileCLIP's towers, compiled when they are first needed, on the devices that were chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float
from galago.engine.precision import ClipPrecision
from galago.media.images import open_image
from galago.media.preprocess import preprocess
from galago.places import DATA, agreements_dir, graphs_dir
from galago.progress import Progress
from galago.text.clip_tokens import load_clip_tokenizer

if TYPE_CHECKING:
    from galago.engine.agreement import Agreement
    from galago.engine.device import Device, Devices
    from galago.engine.placing import Placer
    from galago.engine.standby import Standby, Story

__all__ = ["Tower", "Towers", "devices_of"]

Tower = Callable[[Any], Float]
_IMAGE, _TEXT = "image tower", "text tower"
_TEXTS = ("a photo of a dog.", "two hands hold a sheet of paper", "a street at night in the rain")


class Towers:
    """How both towers are made; each call compiles one."""

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        threads: int | None,
        devices: Devices | None,
        progress: Progress,
    ) -> None:
        """`devices`: None for the CPU. Lines about them go to `progress`."""
        self._checkpoint, self._precision, self._threads = checkpoint, precision, threads
        self._devices, self._progress = devices, progress
        self._standbys: dict[str, Standby[Tower]] = {}

    def stories(self) -> tuple[Story, ...]:
        """Where the towers run that were needed so far."""
        return tuple(one.story for one in self._standbys.values())

    def image(self) -> Tower:
        """Pixels (B, 3, side, side) -> features (B, embed), not normalised."""
        from galago.engine.clip_sessions import ImageTower

        return self._made(_IMAGE, ImageTower)

    def text(self) -> Tower:
        """Ids (B, context) -> features (B, embed), not normalised."""
        from galago.engine.clip_sessions import TextTower

        return self._made(_TEXT, TextTower)

    def _made(self, what: str, kind: Callable[..., Tower]) -> Tower:
        def make(device: Device | None = None) -> Tower:
            return kind(
                self._checkpoint,
                self._precision,
                threads=self._threads,
                cache_dir=graphs_dir(),
                device=device,
            )

        return make() if self._devices is None else self._placed(what, make)

    def _placed(self, what: str, make: Callable[[Any], Tower]) -> Tower:
        from galago.engine.placing import PartOn

        devices = self._devices
        assert devices is not None
        device = devices.vision if what == _IMAGE else devices.language

        def check(ours: Tower, theirs: Tower) -> Agreement:
            from galago.engine.agreement import compare_rows

            given = self._pixels() if what == _IMAGE else self._ids()
            sides = {one.products(self._precision, exact=self._exact) for one in device.members}
            exact = self._exact and sides == {"f32"}
            pair = (ours(given), theirs(given))
            return compare_rows(what, device.called(), [pair], exact=exact)

        standby = self._placer().place(PartOn(what, make, check), device)
        self._standbys[what] = standby
        return lambda given: standby.run(lambda tower: tower(given))

    @property
    def _exact(self) -> bool:
        return self._precision == "fp32"

    def _placer(self) -> Placer:
        from galago.engine.agreement import Kept
        from galago.engine.placing import Placer

        assert self._devices is not None
        made_from = (self._checkpoint.spec, self._precision, self._checkpoint.file)
        # What can't be told from another's is compared each time.
        folder = None if self._checkpoint.file is None else agreements_dir()
        return Placer(Kept.of_weights(folder, made_from), self._progress, self._devices.meanwhile)

    def _pixels(self) -> Float:
        """(n, 3, side, side) of the self-check's pictures."""
        paths = sorted((DATA / "selfcheck").glob("*.webp"))
        return np.stack(
            [preprocess(open_image(path), self._checkpoint.spec.image) for path in paths]
        )

    def _ids(self) -> Any:
        spec = self._checkpoint.spec.text
        return load_clip_tokenizer(spec.vocab)(_TEXTS, spec.context)


def devices_of(device: str | None) -> Devices | None:
    """What --device means here, None for the CPU alone; OptionError for what isn't here."""
    if device is None:
        return None
    from galago.engine.device import find

    found = find(device)
    return None if found.plain else found
