"""A name or a path -> a local folder with a whole checkpoint, fetched (galago.fetch) if need be.

What is on disk is used as it is, without asking anybody; the hub is contacted only when files are
missing or an update is asked for, and never when offline. Nothing is printed here: progress goes
to a callback.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago import catalog
from galago.errors import HubError, OfflineError, StorageError, UnknownModelError
from galago.fetch import CLIP_PATTERNS, PT_PATTERNS, Progress, fetch

__all__ = [
    "Progress",
    "ResolvedModel",
    "as_path",
    "cache_dir",
    "graphs_dir",
    "is_offline",
    "local",
    "resolve",
    "slug",
]

_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


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
        return self.row.kind if self.row else _kind(self.folder)

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


def resolve(
    name: str | Path,
    *,
    offline: bool | None = None,
    update: bool = False,
    progress: Progress | None = None,
) -> ResolvedModel:
    """Find a model, fetching it when it isn't here and that is allowed.

    `name` is a catalogue name or alias, a folder, or a hub name `owner/name`. `update` asks the hub
    whether there is something newer even when a copy is here.

    Raises UnknownModelError, OfflineError (fetching needed but offline), HubError, StorageError.
    """
    text = str(name)
    found = local(name)
    if found is not None and not (update and found.remote):
        return found
    repo = _repo(text)
    if repo is None:
        raise UnknownModelError(_unknown(text))
    row = catalog.find(text)
    if is_offline(offline):
        if found is not None:
            return found
        raise OfflineError(_not_here(text, row))
    name = row.name if row else repo
    report = progress or (lambda stage, share: None)
    try:
        here = found.folder if found else None
        folder = fetch(repo, name, _sources(repo), report, here=here)
    except HubError as error:
        if found is None:
            raise
        report(f"the hub gave nothing newer ({error}): using the copy of {name} here", 0.0)
        return found
    if not _complete(folder, row):
        raise HubError(_no_model(name))
    return _resolved(name, folder, row, folder.name)


def local(name: str | Path) -> ResolvedModel | None:
    """The model if it is whole on this machine; asks nobody. None otherwise."""
    text = str(name)
    row = catalog.find(text) if isinstance(name, str) else None
    if row is not None and row.embedded:
        return _resolved(row.name, row.folder, row)
    folder = as_path(text)
    if row is None and os.path.isdir(folder):
        return _resolved(folder.resolve().name, folder)
    repo = _repo(text)
    snapshot = _snapshot(repo, row) if repo else None
    if repo is None or snapshot is None:
        return None
    return _resolved(row.name if row else repo, snapshot, row, snapshot.name)


def as_path(text: str) -> Path:
    """What a person typed as a path; "~nobody" stays as it is (Path.expanduser would raise)."""
    return Path(os.path.expanduser(text))


def _repo(text: str) -> str | None:
    """The hub name behind a name, None when it can't be one."""
    row = catalog.find(text)
    if row is not None:
        return row.repo
    looks_local = text.startswith((".", "~", os.sep)) or os.path.exists(text)
    return text if _HUB_NAME.fullmatch(text) and not looks_local else None


def _not_here(text: str, row: catalog.Model | None) -> str:
    wanted = row.name if row else text
    near = [] if row else catalog.suggest(text)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    if os.path.isdir(text):
        hint = f" (write {os.path.join('.', text)} for the folder)"
    return (
        f"{wanted} is not on this machine{hint} and galago is offline: "
        f"go online and run `galago pull {wanted}`"
    )


def _no_model(name: str) -> str:
    near = [known for known in catalog.suggest(name) if known != name]
    hint = f"did you mean {' or '.join(near)}?" if near else "choose a model of `galago models`"
    return (
        f"{name} holds no safetensors weights with a config.json or an open_clip_config.json, so "
        f"galago can't open it: {hint}"
    )


def _unknown(text: str) -> str:
    if os.path.isfile(text):
        return f"{text} is a file; give the folder that holds the model's config.json"
    if text.startswith((".", "~", os.sep)) or text.count("/") > 1:
        return f"there is no folder {text}; `galago models` lists the models by name"
    return catalog.unknown(text)


def _resolved(
    name: str, folder: Path, row: catalog.Model | None = None, revision: str | None = None
) -> ResolvedModel:
    """Identity: a hub snapshot is fixed by its revision; a plain folder by place, sizes and times,
    as trained-on weights keep their size."""
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and path.suffix in {".safetensors", ".json", ".txt", ".model", ".pt"}:
            stat = path.stat()
            files[path.name] = stat.st_size if revision else [stat.st_size, stat.st_mtime_ns]
    identity: dict[str, Any] = {"name": name, "files": files}
    if revision:
        identity["revision"] = revision
    else:
        identity["path"] = str(folder.resolve())
    return ResolvedModel(name, folder, row, identity)


def _kind(folder: Path) -> catalog.Kind | None:
    """What a folder's files say that it is for."""
    if any((folder / name).is_file() for name in CLIP_PATTERNS[:2]):
        return "mobileclip"
    if any(folder.glob(PT_PATTERNS[0])):
        return "mobileclip"
    if (folder / "config.json").is_file():
        return "fastvlm"
    return "mobileclip" if any(folder.glob("*.pt")) else None


def _complete(folder: Path, row: catalog.Model | None) -> bool:
    """Whether a snapshot has its configuration and every weight file it names."""
    if row is not None and row.layout == "pt":
        return len(list(folder.glob(PT_PATTERNS[0]))) == 1
    if (row.kind if row else _kind(folder)) == "mobileclip":
        return all((folder / name).is_file() for name in CLIP_PATTERNS[:2])
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    try:
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return False
    return all((folder / shard).is_file() for shard in shards)


def cache_dir() -> Path:
    """GALAGO_CACHE, else the platform's folder for what can be made again.

    StorageError where no home folder is known.
    """
    if own := os.environ.get("GALAGO_CACHE"):
        return _home(own)
    if sys.platform == "darwin":
        return _home("~/Library/Caches/galago")
    if sys.platform == "win32":
        return _home(os.environ.get("LOCALAPPDATA", "~/AppData/Local")) / "galago"
    return _home(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "galago"


def graphs_dir() -> Path | None:
    """Where compiled graphs are kept for the next start (galago.graph_cache), if anywhere."""
    try:
        return cache_dir() / "graphs"
    except StorageError:  # the embedded models need no cache
        return None


def _home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # as in a container whose user has no entry and no HOME
        raise StorageError(
            f"no home folder is known for {path}: set HOME, or GALAGO_CACHE and HF_HOME to folders"
        ) from None


def slug(name: str) -> str:
    """A name as one part of a path."""
    return re.sub(r"[^\w.-]+", "--", name).strip("-.")[:150] or "model"


def _sources(repo: str) -> Path:
    return cache_dir() / "sources" / slug(repo)


def _hub_cache() -> Path:
    """Where the hub's own client keeps what it fetches (its documented variables)."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return _home(cache)
    if home := os.environ.get("HF_HOME"):
        return _home(home) / "hub"
    return _home(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface" / "hub"


def _snapshot(repo: str, row: catalog.Model | None) -> Path | None:
    """A whole copy of a repository: the newest of ours, else of the hub client's cache."""
    theirs = _hub_cache() / f"models--{repo.replace('/', '--')}" / "snapshots"
    for folder in (_sources(repo), theirs):
        copies = [copy for copy in folder.glob("*") if _complete(copy, row)]
        if copies:
            return max(copies, key=lambda copy: copy.stat().st_mtime)
    return None
