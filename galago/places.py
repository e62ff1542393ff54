"""Where galago keeps things, and what a path means that a person typed.

GALAGO_CACHE (or the platform's cache folder) holds what can be made again, GALAGO_ALBUMS what
can't, GALAGO_CONFIG a person's defaults; DATA and MODELS are part of the package.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from galago.errors import StorageError

__all__ = [
    "DATA",
    "EXAMPLES",
    "MODELS",
    "agreements_dir",
    "albums_dir",
    "as_path",
    "cache_dir",
    "config_file",
    "copies_of",
    "graphs_dir",
    "home_path",
    "hub_cache",
    "slug",
    "sources_dir",
]

DATA = Path(__file__).parent / "data"
MODELS = Path(__file__).parent / "models"
# A wheel has them among its data (pyproject.toml), a checkout where people look for them.
EXAMPLES = next(
    (path for path in (DATA / "examples", Path(__file__).parents[1] / "examples") if path.is_dir()),
    DATA / "examples",
)


def as_path(text: str) -> Path:
    """What a person typed as a path; "~nobody" stays as it is (Path.expanduser would raise)."""
    return Path(os.path.expanduser(text))


def cache_dir() -> Path:
    """GALAGO_CACHE, else the platform's folder for what can be made again.

    StorageError where no home folder is known.
    """
    if own := os.environ.get("GALAGO_CACHE"):
        return home_path(own)
    if sys.platform == "darwin":
        return home_path("~/Library/Caches/galago")
    if sys.platform == "win32":
        return home_path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")) / "galago"
    return home_path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "galago"


def graphs_dir() -> Path | None:
    """Where compiled graphs are kept for the next start, if anywhere."""
    try:
        return cache_dir() / "graphs"
    except StorageError:  # the embedded models need no cache
        return None


def agreements_dir() -> Path | None:
    """Where it is kept whether devices agree with the CPU, if anywhere."""
    graphs = graphs_dir()
    return None if graphs is None else graphs.with_name("devices")


def sources_dir(repository: str) -> Path:
    """Where galago keeps what it fetched of a repository, a folder a revision."""
    return cache_dir() / "sources" / slug(repository)


def copies_of(repository: str) -> Iterator[tuple[Path, Path]]:
    """A repository's folder and a copy in it, ours before those of the hub's own client."""
    ours = sources_dir(repository)
    theirs = hub_cache() / f"models--{repository.replace('/', '--')}"
    for home, folder in ((ours, ours), (theirs, theirs / "snapshots")):
        for copy in folder.glob("*"):
            yield home, copy


def hub_cache() -> Path:
    """Where the hub's own client keeps what it fetches (its documented variables)."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return home_path(cache)
    if home := os.environ.get("HF_HOME"):
        return home_path(home) / "hub"
    return home_path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface" / "hub"


def albums_dir() -> Path:
    """GALAGO_ALBUMS, else galago's place in the platform's folder for data of programs."""
    if own := os.environ.get("GALAGO_ALBUMS"):
        return Path(os.path.expanduser(own))
    return _own_folder("XDG_DATA_HOME", "~/.local/share") / "albums"


def config_file() -> Path:
    """GALAGO_CONFIG, else config.toml in galago's place in the platform's folder for settings."""
    if own := os.environ.get("GALAGO_CONFIG"):
        return Path(os.path.expanduser(own))
    return _own_folder("XDG_CONFIG_HOME", "~/.config") / "config.toml"


def _own_folder(variable: str, otherwise: str) -> Path:
    """The platform's; `variable` and what holds without it count on Linux and its like."""
    if sys.platform == "darwin":
        base = "~/Library/Application Support"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = os.environ.get(variable) or otherwise
    return Path(os.path.expanduser(base)) / "galago"


def home_path(path: str) -> Path:
    """A path that may begin with "~"; StorageError where no home folder is known."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # as in a container whose user has no entry and no HOME
        raise StorageError(
            f"no home folder is known for {path}: set HOME, or GALAGO_CACHE and HF_HOME to folders"
        ) from None


def slug(name: str) -> str:
    """A name as one part of a path."""
    return re.sub(r"[^\w.-]+", "--", name).strip("-.")[:150] or "model"
