"""An export that is being made: beside its place until it is whole, continued if it was stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from galago.disk import discard_folder, refusals
from galago.errors import ExportError, OptionError
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress, Stage
from galago.version import __version__

__all__ = ["NOTES", "Work", "begun_by", "check_target", "read_notes", "writing"]

NOTES = "galago-export.json"
_FORMAT = 1  # of what is written; another one is written anew


def check_target(folder: Path) -> None:
    """OptionError when something is there that would be written over."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise OptionError(f"{folder} is there already: name a folder that isn't, or remove it")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir():
        raise OptionError(f"{above} is a file: a folder can't be made in it, name another place")


def writing(out: Path) -> AbstractContextManager[None]:
    """What the disk refuses while `out` is written, as a StorageError of one line."""
    return refusals(
        full=f"the disk that holds {out.parent} is full: make room and run the same command again; "
        "what was written is kept",
        other=lambda error: f"{out} can't be written ({error.strerror or error})",
    )


def begun_by(model: ResolvedModel, form: str | None = None) -> dict[str, Any]:
    """What the notes of an export of this very source and form say: else it isn't continued."""
    begun: dict[str, Any] = {"format": _FORMAT, "version": __version__, "source": model.digest}
    return {**begun, "form": form} if form else begun


class Work:
    """The folder beside its place, `graphs` in it, and notes of what is written."""

    def __init__(
        self, model: ResolvedModel, out: Path, progress: Progress, form: str | None = None
    ) -> None:
        """Of this very source and form what an interrupted export wrote is kept; anything else is
        not.  `form`: one that has its files in the folder itself; ONNX has them in its own."""
        self.tell, self._out = progress, out
        self.folder = out.with_name(f".{out.name}.galago-export")
        self.graphs = self.folder if form else self.folder / "onnx"
        out.parent.mkdir(parents=True, exist_ok=True)
        begun = begun_by(model, form)
        if read_notes(self.folder).get("begun") != begun:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.graphs.mkdir(parents=True, exist_ok=True)
        self.notes: dict[str, Any] = {"chunks": {}, **read_notes(self.folder)}
        self.note(begun=begun)

    def note(self, **values: object) -> None:
        """Remember it, for the next try too."""
        self.notes |= values
        path = self.folder / NOTES
        part = path.with_suffix(".part")
        part.write_text(json.dumps(self.notes), encoding="utf-8")
        part.replace(path)

    def graph(self, name: str, write: Callable[[Path], int]) -> None:
        """Have a graph's file written, unless it is there whole."""
        if name in self.notes["chunks"]:
            return
        for left in self.graphs.glob(f"{name}*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        self.note(chunks={**self.notes["chunks"], name: write(self.graphs / name)})

    def chunks(self, names: set[str]) -> dict[str, int]:
        """Of these graphs those with weights beside them, and how many files that are."""
        found = self.notes["chunks"].items()
        return {name: count for name, count in found if count and name in names}

    @contextmanager
    def checking(self, dtype: str) -> Iterator[Callable[[float], None]]:
        """An export that strays is not kept, nor what was written with it; told is the share."""
        stage = Stage(f"checking {dtype}")
        self.tell(stage, 0.0)
        try:
            yield lambda share: self.tell(stage, share)
        except ExportError:
            self.give_up()
            raise
        self.tell(stage, 1.0)

    def give_up(self) -> None:
        """Nothing of it is to be kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self, names: set[str], card: str, told: Mapping[str, object]) -> None:
        """With these graphs alone the folder takes its place."""
        for path in self.graphs.iterdir() if self.graphs != self.folder else ():
            if path.name.split(".onnx")[0] + ".onnx" not in names:
                path.unlink()
        (self.folder / "README.md").write_text(card, encoding="utf-8")
        notes = json.dumps({"begun": self.notes["begun"], **told}, indent=1)
        (self.folder / NOTES).write_text(f"{notes}\n", encoding="utf-8")
        discard_folder(self._out)  # an empty one
        self.folder.replace(self._out)


def read_notes(folder: Path) -> Mapping[str, Any]:
    """The notes of an export that was begun; nothing when there are none that can be read."""
    try:
        found = json.loads((folder / NOTES).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
