"""Converted models on disk: made once, under a lock, whole or not at all.

An entry's folder is named after the model, its source's identity, the precision and galago's
format, so a source or a format that changed simply has no entry yet. Layout of the cache:

::

    GALAGO_CACHE (or the platform's cache folder)/
      sources/<model>/<revision>/                           what galago.fetch fetched
      converted/<model>-<identity>-<precision>-f<format>/   what galago.convert wrote
      graphs/                                               compiled graphs (galago.graph_cache)
      locks/<model>.lock
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago import catalog, hub
from galago.converted import FORMAT, MANIFEST, discard, is_converted
from galago.errors import GalagoError, ModelError, OfflineError, StorageError
from galago.fetch import Progress, check_space
from galago.hub import ResolvedModel, cache_dir, slug
from galago.locks import one_at_a_time
from galago.precision import PrecisionPlan

if TYPE_CHECKING:
    from galago.specs import VLMSpec

__all__ = ["Entry", "Prepared", "fetched", "kept", "kind_of", "prepare"]

# Bytes of a converted model per byte of its BF16 source, generously.
_GROWTH = {"fp32": 2.1, "bf16": 1.1, "int8": 0.75, "int4": 0.6}


@dataclass(frozen=True)
class Entry:
    """One converted model in the cache; `identity` is its source's, `check` its self-check.

    `asked` is the precision that was asked for: vision may have fallen back from it.
    """

    folder: Path
    name: str
    precision: str
    asked: str
    format: int
    identity: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A model ready to be opened: `folder` is what compile.load_sessions takes.

    `fresh`: converted just now, so its figures have been reported.
    """

    name: str
    folder: Path
    row: catalog.Model | None = None
    fresh: bool = False

    @property
    def embedded(self) -> bool:
        return self.row is not None and self.row.embedded

    def self_check(self) -> str | None:
        """The figures of the conversion in a line; None for a model used as it is."""
        from galago.selfcheck import Bounds, SelfCheck

        entry = _read(self.folder)
        if entry is None or not entry.check:
            return None
        return SelfCheck(**{**entry.check, "bounds": Bounds(**entry.check["bounds"])}).sentence()


def prepare(
    name: str | Path,
    *,
    precision: str = "auto",
    offline: bool | None = None,
    update: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Have a FastVLM fetched and converted, and say where it lies.

    An embedded model, or a folder that galago converted, is used as it is. Anything else is
    converted once per precision; `update` asks the hub for a newer revision first, `force` converts
    again and keeps what fails its self-check. A second process that wants the same model waits for
    the first.

    Raises UnknownModelError, CheckpointError, SelfCheckError, HubError, OfflineError, StorageError,
    and ModelError for a model of another kind.
    """
    report = progress or (lambda stage, share: None)
    _fits(str(name), kind_of(name), "fastvlm")
    here = hub.local(name)
    if here is not None and (is_converted(here.folder) or (here.row and here.row.embedded)):
        return Prepared(here.name, here.folder, here.row)
    if here is not None and not (update or force):
        entry = _entry(here, precision)
        if entry is not None:
            return Prepared(here.name, entry.folder, here.row)
    with _disk_errors(), _lock(str(name), report):
        try:
            source = hub.resolve(name, offline=offline, update=update, progress=progress)
        except OfflineError:
            orphan = _orphan(str(name), precision)
            if orphan is None:
                raise
            return Prepared(orphan.name, orphan.folder, catalog.find(str(name)))
        _fits(str(name), source.kind, "fastvlm")
        entry = None if force else _entry(source, precision)
        folder = entry.folder if entry else _convert(source, precision, force, report)
        return Prepared(source.name, folder, source.row, fresh=entry is None)


def fetched(
    name: str | Path,
    *,
    kind: catalog.Kind | None = None,
    offline: bool | None = None,
    update: bool = False,
    progress: Progress | None = None,
) -> ResolvedModel:
    """Have a model's files on this machine, as published; a second process waits for the first.

    `update` asks the hub for a newer revision first. Raises ModelError for a model of another kind
    than `kind`, and as `prepare` does.
    """
    report = progress or (lambda stage, share: None)
    _fits(str(name), kind_of(name), kind)
    here = hub.local(name)
    if here is not None and not update:
        return here
    with _disk_errors(), _lock(str(name), report):
        source = hub.resolve(name, offline=offline, update=update, progress=progress)
    _fits(str(name), source.kind, kind)
    return source


def kind_of(name: str | Path) -> catalog.Kind | None:
    """What a model is for, as far as is known without asking the hub."""
    row = catalog.find(name) if isinstance(name, str) else None
    if row is not None:
        return row.kind
    here = hub.local(name)
    if here is not None:
        return here.kind
    return "fastvlm" if kept(str(name)) else None  # only those are converted


def _fits(name: str, kind: catalog.Kind | None, wanted: catalog.Kind | None) -> None:
    if kind and wanted and kind != wanted:
        raise ModelError(catalog.misfit(name, kind))


def kept(name: str | None = None) -> list[Entry]:
    """The whole entries of the cache, of one model or of all, newest first."""
    manifests = sorted(
        (cache_dir() / "converted").glob(f"[!.]*/{MANIFEST}"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    entries = [_read(path.parent) for path in manifests]
    return [e for e in entries if e is not None and name in (None, e.name)]


def _read(folder: Path) -> Entry | None:
    try:
        data = json.loads((folder / MANIFEST).read_text("utf-8"))
        plan, source = PrecisionPlan(**data["precision"]), data["source"]
        check = data.get("self_check") or {}
        asked = data.get("asked", plan.name)
        return Entry(folder, source["name"], plan.name, asked, data["format"], source, check)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _entry(source: ResolvedModel, precision: str) -> Entry | None:
    """The entry made from exactly this source, in this precision and today's format."""
    from galago.checkpoint import open_spec

    plan = _plan(open_spec(source.folder), precision)
    entry = _read(_folder(source, plan))
    same = entry is not None and entry.identity == source.identity and entry.format == FORMAT
    return entry if same else None


def _orphan(name: str, precision: str) -> Entry | None:
    """A converted model whose source is gone: still good, as an entry holds all it needs."""
    row = catalog.find(name)
    entries = [e for e in kept(row.name if row else name) if e.format == FORMAT]
    wanted = [e for e in entries if precision == "auto" or e.precision.startswith(precision)]
    return next(iter(wanted), None)


def _plan(spec: VLMSpec, precision: str) -> PrecisionPlan:
    from galago.compile import resolve_precision

    return resolve_precision(precision, spec)


def _folder(source: ResolvedModel, plan: PrecisionPlan) -> Path:
    label = f"{slug(source.name)}-{source.digest}-{plan.name}-f{FORMAT}"
    return cache_dir() / "converted" / label


def _convert(source: ResolvedModel, precision: str, force: bool, report: Progress) -> Path:
    from galago.checkpoint import open_checkpoint
    from galago.compile import convert

    checkpoint = open_checkpoint(source.folder)
    plan = _plan(checkpoint.spec, precision)
    folder = _folder(source, plan)
    weights = sum(path.stat().st_size for path in source.folder.glob("*.safetensors"))
    check_space(cache_dir(), int(weights * _GROWTH[plan.language]), f"converting {source.name}")
    _clear(source.name, folder)
    figures = convert(checkpoint, folder, plan, report, source=source.identity, force=force)
    report(figures.sentence(), 1.0)
    place = source.identity.get("path")
    for old in kept(source.name):  # what this one replaces: an older source or format
        same_place = old.identity.get("path") == place
        if old.asked == plan.name and old.folder != folder and same_place:
            with contextlib.suppress(OSError):
                discard(old.folder)
    return folder


def _clear(name: str, folder: Path) -> None:
    """Remove what a killed conversion left; safe, as the caller holds the model's lock.

    The digest is spelt out, so that "fastvlm" doesn't touch what "fastvlm-large" is at.
    """
    for leftover in folder.parent.glob(f".{slug(name)}-{'[0-9a-f]' * 12}-*.part"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _lock(name: str, report: Progress) -> Iterator[None]:
    """One process at a time per model; a second one says that it waits."""
    row = catalog.find(name)
    folder = hub.as_path(name)
    is_folder = row is None and os.path.isdir(folder)
    label = slug(folder.resolve().name if is_folder else row.name if row else name)
    path = cache_dir() / "locks" / f"{label}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    wait = f"waiting for another galago that is preparing {name}"
    with one_at_a_time(path, lambda: report(wait, 0.0)):
        yield


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
