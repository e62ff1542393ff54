"""A name or a path -> a local folder with a whole checkpoint; the only room that fetches.

What is on disk is used as it is, without asking anybody; the hub is contacted only when files are
missing or an update is asked for, and never when offline. Nothing is printed here: progress goes
to a callback.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago import catalog
from galago.errors import HubError, OfflineError, StorageError, UnknownModelError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "Progress",
    "ResolvedModel",
    "check_space",
    "gigabytes",
    "is_offline",
    "local",
    "resolve",
]

Progress = Callable[[str, float], None]
"""Told a stage in words and how much of it is done, 0..1; called from any thread."""

# Weights and texts only: no code (.py), no pickles (.bin, .pt), which galago never reads.
PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "LICENSE*")
_SPARE = 256 << 20  # bytes left free beside a download, so that a full disk harms nobody else
_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


@dataclass(frozen=True)
class ResolvedModel:
    """A checkpoint on this machine.

    `identity` names the files exactly (sizes and revision, or sizes and times of a plain folder):
    it is what a converted copy is checked against.
    """

    name: str
    folder: Path
    row: catalog.Model | None = None
    identity: dict[str, Any] = field(default_factory=dict)

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
    if found is not None and not (update and _is_remote(found)):
        return found
    repo = _repo(text)
    if repo is None:
        raise UnknownModelError(_unknown(text))
    row = catalog.find(text)
    if is_offline(offline):
        if found is not None:
            return found
        raise OfflineError(
            f"{row.name if row else text} is not on this machine and galago is offline: "
            f"go online and run `galago pull {row.name if row else text}`"
        )
    folder = _fetch(repo, row, progress or (lambda stage, share: None))
    return _resolved(row.name if row else repo, folder, row, folder.name)


def local(name: str | Path) -> ResolvedModel | None:
    """The model if it is whole on this machine; asks nobody. None otherwise."""
    text = str(name)
    row = catalog.find(text) if isinstance(name, str) else None
    if row is not None and row.embedded:
        return _resolved(row.name, row.folder, row)
    if row is None and Path(text).expanduser().is_dir():
        folder = Path(text).expanduser()
        return _resolved(folder.resolve().name, folder)
    repo = _repo(text)
    snapshot = _snapshot(repo) if repo else None
    if repo is None or snapshot is None:
        return None
    return _resolved(row.name if row else repo, snapshot, row, snapshot.name)


def gigabytes(size: float) -> str:
    """1.5e9 -> '1.5 GB'; small sizes in MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _is_remote(model: ResolvedModel) -> bool:
    return "revision" in model.identity


def _repo(text: str) -> str | None:
    """The hub name behind a name, None when it can't be one."""
    row = catalog.find(text)
    if row is not None:
        return row.repo
    looks_local = text.startswith((".", "~", os.sep)) or Path(text).exists()
    return text if _HUB_NAME.fullmatch(text) and not looks_local else None


def _unknown(text: str) -> str:
    if Path(text).is_file():
        return f"{text} is a file; give the folder that holds the model's config.json"
    if text.startswith((".", "~", os.sep)) or text.count("/") > 1:
        return f"there is no folder {text}; `galago models` lists the models by name"
    return catalog.unknown(text)


def _resolved(
    name: str, folder: Path, row: catalog.Model | None = None, revision: str | None = None
) -> ResolvedModel:
    """Identity: a hub snapshot is fixed by its revision; a plain folder by sizes and times too,
    as trained-on weights keep their size."""
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and path.suffix in {".safetensors", ".json", ".txt", ".model"}:
            stat = path.stat()
            files[path.name] = stat.st_size if revision else [stat.st_size, stat.st_mtime_ns]
    identity: dict[str, Any] = {"name": name, "files": files}
    if revision:
        identity["revision"] = revision
    return ResolvedModel(name, folder, row, identity)


def _complete(folder: Path) -> bool:
    """Whether a snapshot has its configuration and every weight file it names."""
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


def _hub_cache() -> Path:
    """Where the hub's own client keeps what it fetches (its documented variables)."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME")
    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface"
    return (Path(home).expanduser() if home else base) / "hub"


def _snapshot(repo: str) -> Path | None:
    """A whole copy in the hub client's cache: its current one, else the newest."""
    base = _hub_cache() / f"models--{repo.replace('/', '--')}"
    ref = base / "refs" / "main"
    if ref.is_file():
        current = base / "snapshots" / ref.read_text("utf-8").strip()
        if _complete(current):
            return current
    others = (base / "snapshots").glob("*") if (base / "snapshots").is_dir() else iter(())
    whole = [folder for folder in others if _complete(folder)]
    return max(whole, key=lambda folder: folder.stat().st_mtime, default=None)


def _client() -> ModuleType:
    """The hub's client, with its usage statistics and its own progress bars off."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import huggingface_hub
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True  # when somebody imported it before us
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return huggingface_hub


def _fetch(repo: str, row: catalog.Model | None, progress: Progress) -> Path:
    """Download what is missing of a repository (resumable) and return the snapshot's folder."""
    name = row.name if row else repo
    client = _client()
    progress(f"asking the hub for {name}", 0.0)
    try:
        info = client.HfApi().model_info(repo, files_metadata=True)
        needed = _missing(client, info)
        check_space(_hub_cache(), needed, name)
        licence = row.licence.name if row else _licence(info)
        stage = f"fetching {name} (licence {licence})"
        progress(stage, 0.0)
        folder = client.snapshot_download(
            repo,
            revision=info.sha,
            cache_dir=_hub_cache(),
            allow_patterns=list(PATTERNS),
            tqdm_class=_bar(needed, lambda share: progress(stage, share)),
        )
    except (HubError, StorageError):
        raise
    except Exception as error:
        raise _explained(client, error, name) from error
    snapshot = Path(folder)
    _remember(snapshot)
    if not _complete(snapshot):
        raise HubError(
            f"{name} holds no safetensors weights with a config.json (or the download broke off): "
            "run the command again, or choose a model of `galago models`"
        )
    progress(stage, 1.0)
    return snapshot


def _remember(snapshot: Path) -> None:
    """Point refs/main at what was fetched, as the client does when asked for a branch."""
    ref = snapshot.parents[1] / "refs" / "main"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(snapshot.name, "utf-8")


def _licence(info: Any) -> str:
    card = getattr(info, "card_data", None)
    return str(getattr(card, "license", None) or "not stated: see its page on the hub")


def _missing(client: ModuleType, info: Any) -> int:
    """Bytes still to fetch."""
    wanted = {s.rfilename: s.size or 0 for s in info.siblings or []}
    here = _hub_cache() / f"models--{info.id.replace('/', '--')}" / "snapshots" / info.sha
    chosen = client.utils.filter_repo_objects(wanted, allow_patterns=list(PATTERNS))
    return sum(wanted[name] for name in chosen if not (here / name).exists())


def check_space(folder: Path, needed: int, name: str) -> None:
    """StorageError when `needed` bytes would not fit where `folder` lies (or will lie)."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if needed and needed + _SPARE > free:
        raise StorageError(
            f"{name} needs {gigabytes(needed + _SPARE)} and {there} has {gigabytes(free)} free: "
            "make room, or set HF_HOME and GALAGO_CACHE to folders on a larger disk"
        )


def _explained(client: ModuleType, error: Exception, name: str) -> Exception:
    """The client's error as one of ours: one line that says what to do."""
    errors = client.errors
    if isinstance(error, errors.GatedRepoError):
        return HubError(
            f"{name} asks for its terms to be accepted: open its page on the hub, accept, "
            "then run `hf auth login` and try again"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        near = catalog.suggest(name)
        hint = f"did you mean {' or '.join(near)}?" if near else "`galago models` lists models"
        return UnknownModelError(f"the hub has no model {name} (or it is private); {hint}")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return StorageError(
            f"the disk with {_hub_cache()} is full: make room and run `galago pull {name}` again, "
            "it goes on where it stopped"
        )
    if isinstance(error, PermissionError):
        return StorageError(f"{_hub_cache()} can't be written: set HF_HOME to a folder that can")
    reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else "no answer"
    return HubError(
        f"fetching {name} failed ({type(error).__name__}: {reason}): check the network and run "
        f"`galago pull {name}` again, it goes on where it stopped"
    )


def _bar(needed: int, report: Callable[[float], None]) -> type:
    """A stand-in for tqdm that the hub's client fills: the share of the `needed` bytes it has.

    The client keeps one bar of bytes received and one of bytes written: the further one counts.
    """
    from tqdm.auto import tqdm

    furthest = 0.0

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            self._bytes = kwargs.get("unit") == "B"
            self._done = 0.0
            super().__init__(*args, **{**kwargs, "disable": True})
            self.total = kwargs.get("total")

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal furthest
            self._done += n or 0
            if self._bytes and self._done > furthest:
                furthest = self._done
                report(min(1.0, furthest / max(needed, 1)))
            return None

    return Bar
