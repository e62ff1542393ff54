"""Converted models on disk: made once, under a lock, whole or not at all.

An entry's folder is named after the model, its source's identity, the precision and galago's
format, so a source or a format that changed simply has no entry yet. Layout of the cache:

::

    GALAGO_CACHE (or the platform's cache folder)/
      converted/<model>-<identity>-<precision>-f<format>/   entry.json, galago.json, weights …
      locks/<model>.lock
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago import catalog, hub
from galago.errors import GalagoError, OfflineError, StorageError
from galago.hub import Progress, ResolvedModel

if TYPE_CHECKING:
    from galago.checkpoint import Checkpoint
    from galago.compile import PrecisionPlan

__all__ = ["Entry", "Prepared", "cache_dir", "kept", "prepare"]

# Bytes of a converted model per byte of its BF16 source, generously.
_GROWTH = {"fp32": 2.1, "bf16": 1.1, "int8": 0.75, "int4": 0.6}


@dataclass(frozen=True)
class Entry:
    """One converted model in the cache."""

    folder: Path
    name: str
    precision: str
    format: int
    identity: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A model ready to be opened: `folder` is what compile.load_sessions takes."""

    name: str
    folder: Path
    row: catalog.Model | None = None
    source: Path | None = None

    @property
    def embedded(self) -> bool:
        return self.row is not None and self.row.embedded

    @property
    def demo(self) -> bool:
        """Whether the model is a small demonstration and should say so."""
        return self.row is not None and self.row.demo

    def figures(self) -> list[str]:
        """The conversion's self-check in words, one figure a line."""
        with contextlib.suppress(OSError, ValueError):
            check = json.loads((self.folder / "galago.json").read_text("utf-8")).get("self_check")
            if isinstance(check, dict):
                return [f"self-check: {_in_words(check)}"]
        return []


def cache_dir() -> Path:
    """GALAGO_CACHE, else the platform's folder for what can be made again."""
    if own := os.environ.get("GALAGO_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "galago"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "galago"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "galago"


def prepare(
    name: str | Path,
    *,
    precision: str = "auto",
    offline: bool | None = None,
    update: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Have a model fetched and converted, and say where it lies.

    An embedded model is used as it is. Anything else is converted once per precision; `update` asks
    the hub for a newer revision first, `force` converts again and keeps what fails its self-check.
    A second process that wants the same model waits for the first.

    Raises UnknownModelError, CheckpointError, SelfCheckError, HubError, OfflineError, StorageError.
    """
    report = progress or (lambda stage, share: None)
    here = hub.local(name)
    if here is not None and here.row is not None and here.row.embedded:
        return Prepared(here.name, here.folder, here.row, here.folder)
    if here is not None and not (update or force):
        entry = _entry(here, precision)
        if entry is not None:
            return Prepared(here.name, entry.folder, here.row, here.folder)
    with _disk_errors(), _lock(str(name), report):
        try:
            source = hub.resolve(name, offline=offline, update=update, progress=progress)
        except OfflineError:
            orphan = _orphan(str(name), precision)
            if orphan is None:
                raise
            return Prepared(orphan.name, orphan.folder, catalog.find(str(name)))
        entry = None if force else _entry(source, precision)
        if entry is None:
            entry = _convert(source, precision, force, report)
        return Prepared(source.name, entry.folder, source.row, source.folder)


def kept(name: str | None = None) -> list[Entry]:
    """The whole entries of the cache, of one model or of all, newest first."""
    folders = sorted(
        (cache_dir() / "converted").glob("*/entry.json"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    entries = [_read(path.parent) for path in folders]
    return [e for e in entries if e is not None and name in (None, e.name)]


def _read(folder: Path) -> Entry | None:
    try:
        data = json.loads((folder / "entry.json").read_text("utf-8"))
        return Entry(folder, data["name"], data["precision"], data["format"], data["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _entry(source: ResolvedModel, precision: str) -> Entry | None:
    """The entry made from exactly this source, in this precision and today's format."""
    from galago.checkpoint import open_checkpoint
    from galago.compile import FORMAT

    plan = _plan(open_checkpoint(source.folder), precision)
    entry = _read(_folder(source, plan))
    same = entry is not None and entry.identity == source.identity and entry.format == FORMAT
    return entry if same else None


def _orphan(name: str, precision: str) -> Entry | None:
    """A converted model whose source is gone: still good, as an entry holds all it needs."""
    from galago.compile import FORMAT

    row = catalog.find(name)
    entries = [e for e in kept(row.name if row else name) if e.format == FORMAT]
    wanted = [e for e in entries if precision == "auto" or e.precision.startswith(precision)]
    return next(iter(wanted), None)


def _plan(checkpoint: Checkpoint, precision: str) -> PrecisionPlan:
    from galago.compile import resolve_precision

    return resolve_precision(precision, checkpoint.spec)


def _label(plan: PrecisionPlan) -> str:
    """int8+bf16: language, then vision."""
    return plan.language if plan.language == plan.vision else f"{plan.language}+{plan.vision}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "--", name).strip("-.") or "model"


def _folder(source: ResolvedModel, plan: PrecisionPlan) -> Path:
    from galago.compile import FORMAT

    label = f"{_slug(source.name)}-{source.digest}-{_label(plan)}-f{FORMAT}"
    return cache_dir() / "converted" / label


def _convert(source: ResolvedModel, precision: str, force: bool, report: Progress) -> Entry:
    from galago import compile as compiler
    from galago.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(source.folder)
    plan = _plan(checkpoint, precision)
    folder = _folder(source, plan)
    weights = sum(path.stat().st_size for path in source.folder.glob("*.safetensors"))
    hub.check_space(cache_dir(), int(weights * _GROWTH[plan.language]), f"converting {source.name}")
    # Built aside and renamed whole: what a killed process leaves is never taken for a model.
    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.parent.mkdir(parents=True, exist_ok=True)
    try:
        compiler.convert(checkpoint, building, plan, report, source=source.identity, force=force)
        entry = Entry(folder, source.name, _label(plan), compiler.FORMAT, source.identity)
        record = {
            "name": entry.name,
            "precision": entry.precision,
            "format": entry.format,
            "identity": entry.identity,
        }
        (building / "entry.json").write_text(json.dumps(record, indent=1), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    except BaseException:  # Ctrl-C too: half a model is worth nothing
        shutil.rmtree(building, ignore_errors=True)
        raise
    _sweep(entry)
    return entry


def _sweep(fresh: Entry) -> None:
    """Remove what the fresh entry replaces: same model and precision, older source or format."""
    for old in kept(fresh.name):
        if old.precision == fresh.precision and old.folder != fresh.folder:
            shutil.rmtree(old.folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(name: str, report: Progress) -> Iterator[None]:
    """One process at a time per model; a second one says that it waits."""
    from filelock import FileLock, Timeout

    row = catalog.find(name)
    label = _slug(row.name if row else Path(name).name if Path(name).is_dir() else name)
    path = cache_dir() / "locks" / f"{label}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"waiting for another galago that is preparing {name}", 0.0)
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """What the disk refuses, as one line that says what to do."""
    try:
        yield
    except GalagoError:
        raise
    except OSError as error:
        where = cache_dir()
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"the disk with {where} is full: make room, or set GALAGO_CACHE to a folder "
                "on a larger disk; nothing half-made was kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise StorageError(
                f"{where} can't be written: set GALAGO_CACHE to a folder that can"
            ) from error
        raise


def _in_words(check: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in check.items()
        if not isinstance(value, (dict, list))
    )
