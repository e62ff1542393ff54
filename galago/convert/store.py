"""Converted models on disk: made once, under a lock, whole or not at all.

An entry's folder is named after the model, its source's identity, the precision and galago's
format, so a source or a format that changed simply has no entry yet. Layout of the cache:

::

    GALAGO_CACHE (or the platform's cache folder)/
      sources/<model>/<revision>/                           what hub.fetch fetched
      converted/<model>-<identity>-<precision>-f<format>/   what convert.write wrote
      graphs/                                               compiled graphs (engine.graph_cache)
      locks/<model>.lock
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago import catalog
from galago.checkpoints.folders import MANIFEST, weight_files
from galago.checkpoints.limits import check_types
from galago.convert.folder import FORMAT, is_converted
from galago.disk import discard_folder, read_json
from galago.engine.precision import PrecisionPlan
from galago.errors import CheckpointError, OfflineError
from galago.hub.fetch import check_space
from galago.hub.fetched import disk_refusals, only_one
from galago.hub.fetched import kind_of as hub_kind
from galago.hub.resolve import Name, ResolvedModel, Wanted, local, resolve, understand
from galago.places import cache_dir, slug
from galago.progress import Progress, Stage, silent

__all__ = ["Entry", "Prepared", "entry_in", "kept", "kind_of", "prepare", "ready"]

# Bytes of a converted model per byte of its BF16 source, generously.
_GROWTH = {"fp32": 2.1, "bf16": 1.1, "int8": 0.75, "int4": 0.6}


@dataclass(frozen=True)
class Entry:
    """One converted model in the cache; `identity` is its source's, `check` its self-check.

    `asked` is the precision that was asked for: vision may have fallen back from it.
    """

    folder: Path
    name: str
    plan: PrecisionPlan
    asked: str
    format: int
    identity: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        return self.plan.name


@dataclass(frozen=True)
class Prepared:
    """A model ready to be opened: `folder` is what convert.load opens.

    `fresh`: converted just now, so its figures have been reported. `beside`: where the files lie
    that it is made from, None where they are gone.
    """

    name: str
    folder: Path
    row: catalog.Model | None = None
    fresh: bool = False
    beside: Path | None = None

    @property
    def embedded(self) -> bool:
        return self.row is not None and self.row.embedded

    def self_check(self) -> str | None:
        """The figures of the conversion in a line; None for a model used as it is."""
        from galago.convert.selfcheck import Bounds, SelfCheck

        entry = entry_in(self.folder)
        if entry is None or not entry.check:
            return None
        try:
            bounds = Bounds(**entry.check["bounds"])
            return SelfCheck(**{**entry.check, "bounds": bounds}).sentence()
        except (KeyError, TypeError, ValueError):  # figures of no conversion
            return None


def prepare(
    name: Name,
    *,
    precision: str = "auto",
    offline: bool | None = None,
    update: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> Prepared:
    """Have a FastVLM fetched and converted, and say where it lies.

    An embedded model, or a folder that galago converted, is used as it is. Anything else is
    converted once per precision; `update` asks the hub for a newer revision first, `force` converts
    again and keeps what fails its self-check. A second process that wants the same model waits for
    the first.

    Raises UnknownModelError, CheckpointError, SelfCheckError, HubError, OfflineError, StorageError,
    and MisfitError for a model of another kind.
    """
    wanted = understand(name)
    catalog.check_kind(wanted.text, kind_of(wanted), "fastvlm")
    here = local(wanted)
    named = wanted.folder is not None  # what came from the hub is no conversion of ours
    if here is not None and ((named and is_converted(here.folder)) or here.embedded):
        return Prepared(here.name, here.folder, here.row, beside=here.folder)
    if here is not None and not (update or force):
        entry = _entry(here, precision)
        if entry is not None:
            return Prepared(here.name, entry.folder, here.row, beside=here.folder)
    with disk_refusals(), only_one(wanted, progress):
        try:
            source = resolve(
                wanted, kind="fastvlm", offline=offline, update=update, progress=progress
            )
        except OfflineError:
            orphan = _orphan(wanted, precision)
            if orphan is None:
                raise
            return Prepared(orphan.name, orphan.folder, wanted.row)
        catalog.check_kind(wanted.text, source.kind, "fastvlm")
        entry = None if force else _entry(source, precision)
        folder = entry.folder if entry else _convert(source, precision, force, progress)
        return Prepared(source.name, folder, source.row, entry is None, source.folder)


def ready(name: Name, precision: str) -> Entry | None:
    """The conversion that `prepare` would use as it is; None when there would be work to do."""
    wanted = understand(name)
    here = local(wanted)
    return _orphan(wanted, precision) if here is None else _entry(here, precision)


def kind_of(name: Name) -> catalog.Kind | None:
    """What a model is for, as far as is known without asking the hub."""
    wanted = understand(name)
    kind = hub_kind(wanted)
    return "fastvlm" if kind is None and kept(wanted.text) else kind  # only those are converted


def kept(name: str | None = None) -> list[Entry]:
    """The whole entries of the cache, of one model or of all, newest first."""
    manifests = sorted(
        (cache_dir() / "converted").glob(f"[!.]*/{MANIFEST}"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    entries = [entry_in(path.parent) for path in manifests]
    return [e for e in entries if e is not None and name in (None, e.name)]


def entry_in(folder: Path) -> Entry | None:
    """The entry in this folder; None when its manifest is missing or makes no sense."""
    try:
        data = read_json(folder / MANIFEST, finite=False)
        plan, source = PrecisionPlan(**data["precision"]), data["source"]
        check = data.get("self_check") or {}
        check_types(plan)
        asked = data.get("asked", plan.name)
        if not isinstance(source["name"], str) or not isinstance(check, dict):
            return None
        return Entry(folder, source["name"], plan, asked, data["format"], source, check)
    except (CheckpointError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _entry(source: ResolvedModel, precision: str) -> Entry | None:
    """The entry made from exactly this source, in this precision and today's format."""
    from galago.checkpoints.vlm import open_spec
    from galago.engine.processor import precision_here

    plan = precision_here(precision, open_spec(source.folder))
    entry = entry_in(_folder(source, plan))
    same = entry is not None and entry.identity == source.identity and entry.format == FORMAT
    return entry if same else None


def _orphan(wanted: Wanted, precision: str) -> Entry | None:
    """A converted model whose source is gone: still good, as an entry holds all it needs."""
    entries = [e for e in kept(wanted.name) if e.format == FORMAT]
    fitting = (e for e in entries if e.plan.answers(precision) or precision == e.asked)
    return next(fitting, None)


def _folder(source: ResolvedModel, plan: PrecisionPlan) -> Path:
    label = f"{slug(source.name)}-{source.digest}-{plan.name}-f{FORMAT}"
    return cache_dir() / "converted" / label


def _convert(source: ResolvedModel, precision: str, force: bool, progress: Progress) -> Path:
    from galago.checkpoints.vlm import open_checkpoint
    from galago.convert.write import convert
    from galago.engine.processor import precision_here

    checkpoint = open_checkpoint(source.folder)
    plan = precision_here(precision, checkpoint.spec)
    folder = _folder(source, plan)
    weights = sum(path.stat().st_size for path in weight_files(source.folder))
    check_space(cache_dir(), int(weights * _GROWTH[plan.language]), f"converting {source.name}")
    _clear(source.name, folder)
    figures = convert(checkpoint, folder, plan, progress, source=source.identity, force=force)
    progress(Stage(figures.sentence(), lasting=True), 1.0)
    place = source.identity.get("path")
    for old in kept(source.name):  # what this one replaces: an older source or format
        same_place = old.identity.get("path") == place
        if old.asked == plan.name and old.folder != folder and same_place:
            with contextlib.suppress(OSError):
                discard_folder(old.folder)
    return folder


def _clear(name: str, folder: Path) -> None:
    """Remove what a killed conversion left; safe, as the caller holds the model's lock.

    The digest is spelt out, so that "fastvlm" doesn't touch what "fastvlm-large" is at.
    """
    for leftover in folder.parent.glob(f".{slug(name)}-{'[0-9a-f]' * 12}-*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
