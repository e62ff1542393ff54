"""Writing converted folders: streamed, checked against the source, whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from galago import converted
from galago.calibrate import settle
from galago.checkpoint import Checkpoint
from galago.converted import FORMAT, MANIFEST, TENSORS
from galago.errors import SelfCheckError, StorageError
from galago.precision import PrecisionPlan
from galago.precision import resolve_precision as resolve
from galago.safetensors import Entry, SafetensorsWriter
from galago.selfcheck import SelfCheck, check_conversion
from galago.sessions import native_bf16
from galago.weights import Item, Narrow, embedding_item, language_items, vision_items

__all__ = ["FORMAT", "convert"]

Progress = Callable[[str, float], None]


def convert(
    checkpoint: Checkpoint,
    out: Path | str,
    precision: str | PrecisionPlan = "auto",
    progress: Progress | None = None,
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
    plan = precision
    if not isinstance(plan, PrecisionPlan):
        plan = resolve(plan, checkpoint.spec, native_bf16=native_bf16())
    report = progress or (lambda stage, share: None)
    asked, narrow, settled = plan.name, None, {}
    if plan.vision == "int8":
        report("measuring ranges", 0.0)
        found = settle(checkpoint, plan, keep=force)
        report(found.message, 1.0)
        plan, narrow = found.plan, found.narrow
        settled = {"message": found.message, "top": narrow.top if narrow else None}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "precision": dataclasses.asdict(plan),
        "asked": asked,
        "vision": settled,
        "spec": converted.spec_to_json(checkpoint.spec),
        "source": dict(source if source is not None else checkpoint.identity),
    }
    with _disk_errors(out), _aside(out) as folder:
        manifest["tensors"] = _write_tensors(
            _Items(checkpoint, plan, narrow), folder / TENSORS, report
        )
        for path in checkpoint.files:
            shutil.copyfile(path, folder / path.name)
        _write_json(folder / MANIFEST, manifest)
        figures = _check(checkpoint, folder, report)
        if not figures.passed and not force:
            raise SelfCheckError(
                f"{checkpoint.spec.name} in {plan.name} is not good enough: {figures.sentence()}; "
                "choose another precision, or keep it anyway with --force"
            )
        manifest["self_check"] = figures.to_json()
        _write_json(folder / MANIFEST, manifest)
    return figures


def _check(checkpoint: Checkpoint, folder: Path, report: Progress) -> SelfCheck:
    report("checking", 0.0)
    opened = converted.open_converted(folder)
    return check_conversion(
        checkpoint, opened.tensors, opened.plan, lambda share: report("checking", share)
    )


@dataclass(frozen=True)
class _Items:
    """All tensors of a conversion; iterating makes them anew."""

    checkpoint: Checkpoint
    plan: PrecisionPlan
    narrow: Narrow | None

    def __iter__(self) -> Iterator[Item]:
        return chain(
            vision_items(self.checkpoint, self.plan.vision, self.narrow),
            language_items(self.checkpoint, self.plan),
            [embedding_item(self.checkpoint)],
        )


def _write_tensors(items: _Items, path: Path, report: Progress) -> list[str]:
    # The header needs every shape first; making the items twice is cheaper than holding them.
    planned: dict[str, Entry] = {}
    for item in items:
        planned.update(item.entries)
    total = max(1, sum(entry.size for entry in planned.values()))
    writer = SafetensorsWriter(path, planned)
    try:
        for item in items:
            for run in item.runs():
                for (name, _), array in zip(item.entries, run, strict=True):
                    writer.append(name, array)
                report("converting", min(1.0, writer.written / total))
            for name, _ in item.entries:
                tensor = items.checkpoint.tensors.get(name)
                if tensor is not None:
                    tensor.release()
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return list(planned)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place if all goes well, else is removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        folder.chmod(0o755)  # mkdtemp makes it private; the cache may be shared
        yield folder
        converted.discard(out)
        os.replace(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"the disk that holds {out.parent} is full; free some space and convert again"
            ) from error
        raise StorageError(f"{out} cannot be written ({error}); check the folder") from error
