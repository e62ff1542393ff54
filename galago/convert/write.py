"""Writing converted folders: streamed, checked against the source, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from galago.checkpoints.folders import MANIFEST
from galago.checkpoints.safetensors import SafetensorsWriter
from galago.checkpoints.tensors import Entry, let_go
from galago.checkpoints.vlm import Checkpoint
from galago.convert.calibrate import choose_vision
from galago.convert.folder import FORMAT, TENSORS, open_converted, spec_to_json
from galago.convert.selfcheck import SelfCheck, check_conversion
from galago.disk import refusals, whole_folder
from galago.engine.precision import PrecisionPlan
from galago.engine.processor import precision_here
from galago.engine.vlm_weights import Int8Layers, Item, embedding_item, language_items, vision_items
from galago.errors import SelfCheckError
from galago.progress import Progress, Stage, silent

__all__ = ["convert"]


def convert(
    checkpoint: Checkpoint,
    out: Path | str,
    precision: str | PrecisionPlan = "auto",
    progress: Progress = silent,
    *,
    source: Mapping[str, Any] | None = None,
    force: bool = False,
) -> SelfCheck:
    """Convert a checkpoint into the folder `out`, replacing what is there, and return its figures.

    Tensors are read, folded or quantised and written run by run, so memory stays bounded whatever
    the size. The folder appears under its name only when complete; an interruption of any kind
    leaves nothing. `source` identifies what was converted (default: file sizes).
    Raises SelfCheckError when the result strays too far and `force` is not set (nor does 8-bit
    vision then give way to floating point), and StorageError when the disk is full or can't be
    written.
    """
    out = Path(out)
    plan = precision_here(precision, checkpoint.spec)
    asked, int8_layers, chosen = plan.name, None, {}
    if plan.vision == "int8":
        progress(Stage("measuring ranges"), 0.0)
        found = choose_vision(checkpoint, plan, keep=force)
        progress(Stage(found.message), 1.0)
        plan, int8_layers = found.plan, found.int8_layers
        chosen = {"message": found.message, "top": int8_layers.top if int8_layers else None}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "precision": dataclasses.asdict(plan),
        "asked": asked,
        "vision": chosen,
        "spec": spec_to_json(checkpoint.spec),
        "source": dict(source if source is not None else checkpoint.identity),
    }
    refused = refusals(
        full=f"the disk that holds {out.parent} is full; free some space and convert again",
        other=lambda error: f"{out} cannot be written ({error}); check the folder",
    )
    with refused, whole_folder(out) as folder:
        folder.chmod(0o755)  # whatever the umask: the cache may be shared
        items = _Items(checkpoint, plan, int8_layers)
        manifest["tensors"] = _write_tensors(items, folder / TENSORS, progress)
        for path in checkpoint.files:
            shutil.copyfile(path, folder / path.name)
        _write_json(folder / MANIFEST, manifest)
        figures = _check(checkpoint, folder, progress)
        if not figures.passed and not force:
            raise SelfCheckError(
                f"{checkpoint.spec.name} in {plan.name} is not good enough: {figures.sentence()}; "
                "choose another precision, or keep it anyway with --force"
            )
        manifest["self_check"] = figures.to_json()
        _write_json(folder / MANIFEST, manifest)
    return figures


def _check(checkpoint: Checkpoint, folder: Path, progress: Progress) -> SelfCheck:
    stage = Stage("checking")
    progress(stage, 0.0)
    opened = open_converted(folder)
    return check_conversion(
        checkpoint, opened.tensors, opened.plan, lambda share: progress(stage, share)
    )


@dataclass(frozen=True)
class _Items:
    """All tensors of a conversion; iterating makes them anew."""

    checkpoint: Checkpoint
    plan: PrecisionPlan
    int8_layers: Int8Layers | None

    def __iter__(self) -> Iterator[Item]:
        return chain(
            vision_items(self.checkpoint, self.plan.vision, self.int8_layers),
            language_items(self.checkpoint, self.plan),
            [embedding_item(self.checkpoint)],
        )


def _write_tensors(items: _Items, path: Path, progress: Progress) -> list[str]:
    # The header needs every shape first; making the items twice is cheaper than holding them.
    planned: dict[str, Entry] = {}
    for item in items:
        planned.update(item.entries)
    total = max(1, sum(entry.size for entry in planned.values()))
    stage = Stage("converting")
    writer = SafetensorsWriter(path, planned)
    try:
        for item in items:
            for run in item.runs():
                for (name, _), array in zip(item.entries, run, strict=True):
                    writer.append(name, array)
                progress(stage, min(1.0, writer.written / total))
            for name, _ in item.entries:
                if name in items.checkpoint.tensors:
                    let_go(items.checkpoint.tensors[name])
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return list(planned)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
