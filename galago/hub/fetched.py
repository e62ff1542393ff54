"""A model's files on this machine as published, fetched by one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from galago import catalog
from galago.disk import one_at_a_time, refusals
from galago.hub.resolve import Name, ResolvedModel, Wanted, local, resolve, understand
from galago.places import cache_dir, slug
from galago.progress import Progress, Stage, silent

__all__ = ["disk_refusals", "fetched", "kind_of", "only_one"]


def fetched(
    name: Name,
    *,
    kind: catalog.Kind | None = None,
    offline: bool | None = None,
    update: bool = False,
    progress: Progress = silent,
) -> ResolvedModel:
    """Have a model's files on this machine, as published; a second process waits for the first.

    `update` asks the hub for a newer revision first. Raises MisfitError for a model of another kind
    than `kind`, and as galago.hub.resolve.resolve does.
    """
    wanted = understand(name)
    catalog.check_kind(wanted.text, kind_of(wanted), kind)
    here = local(wanted)
    if here is not None and not update:
        return here
    with disk_refusals(), only_one(wanted, progress):
        source = resolve(wanted, kind=kind, offline=offline, update=update, progress=progress)
    catalog.check_kind(wanted.text, source.kind, kind)
    return source


def kind_of(name: Name) -> catalog.Kind | None:
    """What a model is for, as far as its row or its files here tell; asks nobody."""
    wanted = understand(name)
    if wanted.row is not None:
        return wanted.row.kind
    here = local(wanted)
    return here.kind if here is not None else None


@contextlib.contextmanager
def only_one(wanted: Wanted, progress: Progress) -> Iterator[None]:
    """One process at a time per model; a second one says that it waits."""
    label = slug(wanted.folder.resolve().name if wanted.folder else wanted.name)
    path = cache_dir() / "locks" / f"{label}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    wait = Stage(f"waiting for another galago that is preparing {wanted.text}", lasting=True)
    with one_at_a_time(path, lambda: progress(wait, 0.0)):
        yield


def disk_refusals() -> contextlib.AbstractContextManager[None]:
    """What the disk under galago's cache refuses, as one line that says what to do."""
    where = cache_dir()
    return refusals(
        full=f"the disk with {where} is full: make room, or set GALAGO_CACHE to a folder on a "
        "larger disk; nothing half-made was kept",
        closed=f"{where} can't be written: set GALAGO_CACHE to a folder that can",
    )
