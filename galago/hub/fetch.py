"""Downloads a model's files from the hub: resumable, verified, nothing but weights and texts.

The hub's client speaks to the hub; the files are written here, because the client (since its
version 2) throws away what an interrupted download had fetched.

::

    <folder>/<revision>/config.json model.safetensors …    a file has its name only when it is whole
    <folder>/<revision>/model.safetensors.part             what is there so far
"""

from __future__ import annotations

import fnmatch
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from galago import catalog
from galago.checkpoints.folders import MANIFEST, kind_of_files, patterns
from galago.disk import file_sha256, refusal
from galago.errors import GalagoError, HubError, StorageError, UnknownModelError
from galago.hub.answers import (
    bounded,
    checked_commit,
    checked_digest,
    checked_files,
    checked_name,
    checked_size,
    no_downgrade,
    not_understood,
)
from galago.progress import Progress, Stage

__all__ = ["check_space", "fetch", "gigabytes"]

_SPARE = 256 << 20  # bytes left free beside a download, so that a full disk harms nobody else


@dataclass(frozen=True)
class _File:
    """One file of a repository; `sha256` is known for large ones."""

    name: str
    size: int
    sha256: str | None


def fetch(
    repo: str,
    row: catalog.Model | None,
    folder: Path,
    progress: Progress,
    *,
    here: Path | None = None,
    kind: catalog.Kind | None = None,
) -> Path:
    """Fetch what is missing of a repository's newest revision; returns folder/revision.

    `row` is the catalogue's, if any; `here` is a whole copy named after its revision, which is
    returned when there is nothing newer. Older revisions in `folder` are removed once the new
    one is whole. Raises UnknownModelError, HubError, StorageError, and before anything is fetched
    MisfitError where a model of another `kind` is needed.
    """
    client = _client()
    name = row.name if row else repo
    progress(Stage(f"asking the hub for {name}"), 0.0)
    try:
        info = client.HfApi().model_info(repo, files_metadata=True)
        if here is not None and here.name == info.sha:
            return here
        siblings = checked_files(info.siblings)
        if row is None:
            names = {str(sibling.rfilename) for sibling in siblings}
            catalog.check_kind(name, kind_of_files(names), kind)
        revision = checked_commit(info.sha)
        target = folder / revision
        files = [
            file
            for file in _files(siblings, row.layout if row else None)
            if not (target / file.name).exists()
        ]
        needed = sum(file.size - _part_size(target / file.name) for file in files)
        check_space(folder, needed, name)
        licence = row.licence.line if row else _licence(info)
        told = f"fetching {name}, {gigabytes(needed)}; licence of the weights: {licence}"
        stage = Stage(told, lasting=True)
        progress(stage, 0.0)
        target.mkdir(parents=True, exist_ok=True)
        done = _Tally(needed, lambda share: progress(stage, share))
        for file in files:
            _download(client, repo, revision, file, target, done)
    except GalagoError:
        raise
    except Exception as error:
        raise _explained(client, error, name, folder) from error
    progress(stage, 1.0)
    for old in folder.iterdir():
        if old.is_dir() and old != target:
            shutil.rmtree(old, ignore_errors=True)
    return target


def check_space(folder: Path, needed: int, name: str) -> None:
    """StorageError when `needed` bytes would not fit where `folder` lies (or will lie)."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if needed and needed + _SPARE > free:
        raise StorageError(
            f"{name} needs {gigabytes(needed + _SPARE)} and {there} has {gigabytes(free)} free: "
            "make room, or set GALAGO_CACHE to a folder on a larger disk"
        )


def gigabytes(size: float) -> str:
    """1.5e9 -> '1.5 GB'; small sizes in MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _client() -> ModuleType:
    """The hub's client, with its usage statistics, progress bars and remarks off."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("HF_HUB_VERBOSITY", "critical")
    import huggingface_hub
    import huggingface_hub.errors
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True  # when somebody imported it before us
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    session = huggingface_hub.get_session()
    hooks = getattr(session, "event_hooks", None)  # the older clients have none
    if hooks is not None and no_downgrade not in hooks["response"]:
        session.event_hooks = hooks | {"response": [*hooks["response"], bounded, no_downgrade]}
    return huggingface_hub


def _files(listed: list[Any], layout: catalog.Layout | None) -> list[_File]:
    """What is wanted of a repository: its top folder's weights and texts, small files first."""
    siblings = {str(sibling.rfilename): sibling for sibling in listed}
    wanted = patterns(layout, siblings)
    files: dict[str, _File] = {}
    for name, sibling in siblings.items():
        # Nothing that is fetched may pass for a conversion of our own.
        fits = any(fnmatch.fnmatch(name, pattern) for pattern in wanted)
        if "/" in name or not fits or name.casefold() == MANIFEST:
            continue
        name, lfs = checked_name(name), sibling.lfs
        size = checked_size(sibling.size or 0, name)
        file = _File(name, size, checked_digest(lfs.sha256, name) if lfs else None)
        if files.setdefault(name.casefold(), file) != file:
            raise HubError(f"the hub names both {files[name.casefold()].name} and {name}")
    return sorted(files.values(), key=lambda file: file.size)


def _download(
    client: ModuleType,
    repo: str,
    revision: str,
    file: _File,
    target: Path,
    tally: _Tally,
) -> None:
    """One file, going on where an earlier try stopped, and checked before it gets its name."""
    from huggingface_hub.file_download import http_get

    part = _part(target / file.name)
    have = _part_size(target / file.name)
    if have > file.size:
        part.unlink()
        have = 0
    with part.open("ab") as out:
        http_get(
            client.hf_hub_url(repo, file.name, revision=revision),
            _Counting(out, tally, file.size),  # type: ignore[arg-type]
            resume_size=have,
            headers=client.utils.build_hf_headers(library_name="galago"),
            expected_size=file.size,
        )
    if part.stat().st_size != file.size or (file.sha256 and file_sha256(part) != file.sha256):
        part.unlink()
        raise HubError(f"{file.name} of {repo} arrived damaged: run the command again")
    part.rename(target / file.name)


@dataclass
class _Tally:
    """Bytes fetched so far, reported as a share of those needed."""

    needed: int
    report: Callable[[float], None]
    done: int = 0

    def add(self, count: int) -> None:
        self.done += count
        self.report(min(1.0, self.done / max(self.needed, 1)))


class _Counting:
    """A file that tells how many bytes are written through it, and takes no more than `size`."""

    def __init__(self, file: BinaryIO, tally: _Tally, size: int) -> None:
        self._file, self._tally, self._size = file, tally, size

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._size:
            raise HubError("more bytes arrived than the hub had said: run the command again")
        written = self._file.write(data)
        self._tally.add(written)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _part_size(path: Path) -> int:
    part = _part(path)
    return part.stat().st_size if part.exists() else 0


def _licence(info: Any) -> str:
    stated = getattr(getattr(info, "card_data", None), "license", None)
    return str(stated or "not stated, see its page on the hub")[:80]


def _explained(client: ModuleType, error: Exception, name: str, folder: Path) -> GalagoError:
    """The client's error as one of ours: one line that says what to do."""
    errors = client.errors
    again = f"run `galago pull {name}` again, it goes on where it stopped"
    if isinstance(error, errors.GatedRepoError):
        return HubError(
            f"{name} asks for its terms to be accepted: open its page on the hub, accept, "
            "then run `hf auth login` and try again"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        near = [known for known in catalog.suggest(name) if known != name]
        hint = f"did you mean {' or '.join(near)}?" if near else "`galago models` lists models"
        line = f"the hub has no model {name} (or it is private); {hint}"
        return UnknownModelError(line, name=name, near=near)
    if isinstance(error, OSError) and refusal(error) == "full":
        return StorageError(f"the disk with {folder} is full: make room and {again}")
    if isinstance(error, PermissionError):
        return StorageError(f"{folder} can't be written: set GALAGO_CACHE to a folder that can")
    odd = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
    if isinstance(error, odd) and not isinstance(error, (OSError, errors.HFValidationError)):
        return not_understood(name)
    lines = str(error).strip().splitlines()
    reason = lines[0][:160] if lines else "no answer"
    return HubError(
        f"fetching {name} failed ({type(error).__name__}: {reason}): check the network and {again}"
    )
