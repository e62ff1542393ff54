"""What a person means by a model's name, and the whole copy of it on this machine, fetched if need
be.

What is on disk is used as it is, without asking anybody; the hub is contacted only when files are
missing or an update is asked for, and never when offline. Nothing is printed here: progress goes
to a callback.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago import catalog
from galago.checkpoints.folders import is_adapter, is_complete, kind_of_folder, weight_files
from galago.errors import CheckpointError, HubError, OfflineError, UnknownModelError
from galago.hub.fetch import fetch
from galago.places import as_path, copies_of, sources_dir
from galago.progress import Progress, Stage, silent

__all__ = [
    "Name",
    "ResolvedModel",
    "Wanted",
    "is_offline",
    "is_partial",
    "local",
    "resolve",
    "understand",
]

_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
# As a browser shows it; of another revision than main the name alone would be something else.
_PAGE = re.compile(
    rf"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/({_HUB_NAME.pattern})(?:/tree/main)?/?"
)


@dataclass(frozen=True)
class Wanted:
    """A name that somebody typed, understood once.

    `row`: the catalogue's; `folder`: one that is there by this path, where no row has the name;
    `repository`: its hub name, None when it can't be one.
    """

    text: str
    row: catalog.Model | None = None
    folder: Path | None = None
    repository: str | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.row.name if self.row else self.text

    @property
    def layout(self) -> catalog.Layout | None:
        return self.row.layout if self.row else None


Name = str | Path | Wanted


@dataclass(frozen=True)
class ResolvedModel:
    """A checkpoint on this machine.

    `kind` says what it is for, None when its files don't tell. `identity` names the files exactly
    (sizes and revision; of a plain folder its place, sizes and times): it is what a converted copy
    is checked against.
    """

    name: str
    folder: Path
    row: catalog.Model | None = None
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> catalog.Kind | None:
        return self.row.kind if self.row else kind_of_folder(self.folder)

    @property
    def embedded(self) -> bool:
        """Whether it is part of the package."""
        return self.row is not None and self.row.embedded

    @property
    def remote(self) -> bool:
        """Whether it comes from the hub, and isn't a plain folder or part of the package."""
        return "revision" in self.identity

    @property
    def digest(self) -> str:
        """The identity in twelve letters."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_offline(offline: bool | None = None) -> bool:
    """Whether the hub must not be contacted: as told, else as HF_HUB_OFFLINE says."""
    if offline is not None:
        return offline
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}


def understand(name: Name) -> Wanted:
    """A catalogue name or alias, a folder, or a hub name `owner/name`, also as the address of its
    page; a Path is never read as a catalogue name."""
    if isinstance(name, Wanted):
        return name
    if isinstance(name, str) and (page := _PAGE.fullmatch(name.strip())):
        name = page[1]
    text = str(name)
    row = catalog.find(text) if isinstance(name, str) else None
    if row is not None:
        return Wanted(text, row, repository=row.repo)
    path = as_path(text)
    folder = path if os.path.isdir(path) else None
    looks_local = text.startswith((".", "~", os.sep)) or os.path.exists(text)
    is_hub_name = _HUB_NAME.fullmatch(text) and not looks_local
    return Wanted(text, folder=folder, repository=text if is_hub_name else None)


def resolve(
    name: Name,
    *,
    kind: catalog.Kind | None = None,
    offline: bool | None = None,
    update: bool = False,
    progress: Progress = silent,
) -> ResolvedModel:
    """Find a model, fetching it when it isn't here and that is allowed.

    `update` asks the hub whether there is something newer even when a copy is here. Nothing of
    another `kind` is fetched; what is here is returned whatever it is.

    Raises UnknownModelError, MisfitError, OfflineError (fetching needed but offline), HubError,
    StorageError.
    """
    wanted = understand(name)
    found = local(wanted)
    if found is not None and not (update and found.remote):
        return found
    if wanted.repository is None:
        raise _unknown(wanted.text)
    if is_offline(offline):
        if found is not None:
            return found
        raise OfflineError(_not_here(wanted))
    try:
        here = found.folder if found else None
        target = sources_dir(wanted.repository)
        folder = fetch(wanted.repository, wanted.row, target, progress, here=here, kind=kind)
    except HubError as error:
        if found is None:
            raise
        line = f"the hub gave nothing newer ({error}): using the copy of {wanted.name} here"
        progress(Stage(line, lasting=True), 0.0)
        return found
    if not is_complete(folder, wanted.layout):
        raise HubError(_no_model(wanted.name))
    return _resolved(wanted.name, folder, wanted.row, folder.name)


def local(name: Name) -> ResolvedModel | None:
    """The model if it is whole on this machine; asks nobody. None otherwise."""
    wanted = understand(name)
    if wanted.row is not None and wanted.row.embedded:
        return _resolved(wanted.row.name, wanted.row.folder, wanted.row)
    if wanted.folder is not None:
        return _resolved(wanted.folder.resolve().name, wanted.folder)
    if wanted.repository is None:
        return None
    snapshot = _snapshot(wanted.repository, wanted.layout)
    if snapshot is None:
        return None
    return _resolved(wanted.name, snapshot, wanted.row, snapshot.name)


def is_partial(name: Name) -> bool:
    """Whether a model from the hub is on this machine in part or damaged only; asks nobody."""
    wanted = understand(name)
    if wanted.repository is None or local(wanted) is not None:
        return False
    return any(copy.is_dir() for _, copy in copies_of(wanted.repository))


def _not_here(wanted: Wanted) -> str:
    near = [] if wanted.row else catalog.suggest(wanted.text)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    if os.path.isdir(wanted.text):
        hint = f" (write {os.path.join('.', wanted.text)} for the folder)"
    return (
        f"{wanted.name} is not on this machine{hint} and galago is offline: "
        f"go online and run `galago pull {wanted.name}`"
    )


def _no_model(name: str) -> str:
    near = [known for known in catalog.suggest(name) if known != name]
    hint = f"did you mean {' or '.join(near)}?" if near else "choose a model of `galago models`"
    return (
        f"{name} holds no safetensors weights with a config.json or an open_clip_config.json, so "
        f"galago can't open it: {hint}"
    )


def _unknown(text: str) -> UnknownModelError:
    if os.path.isfile(text):
        line = f"{text} is a file; give the folder that holds the model's config.json"
        return UnknownModelError(line, name=text)
    if text.startswith((".", "~", os.sep)) or text.count("/") > 1:
        line = f"there is no folder {text}; `galago models` lists the models by name"
        return UnknownModelError(line, name=text)
    return catalog.unknown(text)


def _resolved(
    name: str, folder: Path, row: catalog.Model | None = None, revision: str | None = None
) -> ResolvedModel:
    """Identity: a hub snapshot is fixed by its revision; a plain folder by place, sizes and times,
    as trained-on weights keep their size; an adapter by its base too."""
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and path.suffix in {".safetensors", ".json", ".txt", ".model", ".pt"}:
            stat = path.stat()
            files[path.name] = stat.st_size if revision else [stat.st_size, stat.st_mtime_ns]
    identity: dict[str, Any] = {"name": name, "files": files}
    if is_adapter(folder):
        with contextlib.suppress(CheckpointError):  # told when it is opened
            states = [(path, path.stat()) for path in weight_files(folder)]
            identity["base"] = {str(p): [s.st_size, s.st_mtime_ns] for p, s in states}
    if revision:
        identity["revision"] = revision
    else:
        identity["path"] = str(folder.resolve())
    return ResolvedModel(name, folder, row, identity)


def _snapshot(repository: str, layout: catalog.Layout | None) -> Path | None:
    """A whole copy of a repository: the newest of ours, else of the hub client's cache."""
    whole = [(home, c) for home, c in copies_of(repository) if is_complete(c, layout)]
    whole = [(home, copy) for home, copy in whole if _lies_in(copy, home)]
    copies = [copy for home, copy in whole if home == whole[0][0]]
    return max(copies, key=lambda copy: copy.stat().st_mtime) if copies else None


def _lies_in(copy: Path, home: Path) -> bool:
    """Whether a copy's files are in its repository's folder, where the hub's client links to."""
    try:
        inside = home.resolve()
        return all(path.resolve().is_relative_to(inside) for path in copy.iterdir())
    except (OSError, RuntimeError):  # a link in a circle
        return False
