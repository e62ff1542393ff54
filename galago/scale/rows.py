"""A row of the table: a picture, and what models made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError

__all__ = ["COLUMNS", "FORMAT", "Batch", "Made", "Row"]

FORMAT = 1  # of the table; what reads it refuses a later one

# name -> (kind, what it is). Arrow's types are made of the kinds in galago.scale.arrow.
COLUMNS: dict[str, tuple[str, str]] = {
    "path": ("text", "the picture's path or address; bytes that are no text stand as \\xff"),
    "path_bytes": ("bytes", "the same, exactly, of a name that is no text; else null"),
    "size": ("integer", "bytes of its file; null where that isn't known before it is fetched"),
    "modified": ("time", "when its file was last written, UTC; null where nobody knows"),
    "sha256": ("text", "of its bytes, in hexadecimal; null where they couldn't be read"),
    "width": ("short", "pixels of the upright picture; null with an error"),
    "height": ("short", "the same"),
    "vector": ("vector", "of length one, by `model`; null with an error"),
    "caption": ("text", "what `captioner` said of it; null where it wasn't asked"),
    "confidence": ("number", "the geometric mean of the probabilities of the caption's tokens"),
    "text": ("text", "what is written in it, with --read: \"\" where nothing is"),
    "model": ("name", "the MobileCLIP"),
    "identity": ("name", "which one of that name (MobileCLIP.identity)"),
    "precision": ("name", "of its arithmetic on the machine that did this row"),
    "captioner": ("name", "the FastVLM, or null"),
    "error": ("text", "why the picture can't be looked at; else null"),
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What all rows of a table have in common, kept in it; `vectors` is float32 or float16.

    asked: the question of captions, "" without; read: whether `text` is filled; captioner: which
    FastVLM did either, by name and identity, "" without.
    """

    model: str
    identity: str
    dim: int
    vectors: str = "float32"
    captioner: str = ""
    asked: str = ""
    read: bool = False

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def of_json(cls, text: str | bytes, place: str) -> Made:
        """As it was kept; OptionError for what this galago can't continue."""
        try:
            kept = json.loads(text)
            number = int(kept.pop("format"))
            made = cls(**kept) if number == FORMAT else None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise OptionError(f"{place} was not made by galago embed: give another OUT") from None
        if made is None:
            raise OptionError(
                f"{place} has format {number} and this galago writes {FORMAT}: use the galago that "
                "made it, or give another OUT"
            )
        return made

    def check(self, other: Made, place: str) -> None:
        """OptionError unless rows of `other` may stand beside these in one table."""
        for mine, its, what in (
            (self.identity, other.identity, f"vectors of {self.model}, not {other.model}"),
            (self.vectors, other.vectors, f"vectors in {self.vectors}, not {other.vectors}"),
            (self.captioner, other.captioner,
             f"captions by {self.captioner or 'nobody'}, not {other.captioner or 'nobody'}"),
            (self.asked, other.asked,
             f"captions that answer {self.asked!r}, not {other.asked!r}"),
            (self.read, other.read, f"texts read: {_yes(self.read)}, not {_yes(other.read)}"),
        ):  # fmt: skip
            if mine != its:
                if self.identity != other.identity and self.model == other.model:
                    what = f"vectors of another {self.model}"
                raise OptionError(
                    f"{place} holds {what}: continue it as it was begun, or give another OUT"
                )


def _yes(on: bool) -> str:
    return "yes" if on else "no"


@dataclass
class Row:
    """A picture and what was made of it; `error` instead of most where it is none."""

    name: bytes
    size: int | None = None
    modified: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    vector: NDArray[np.float32] | None = None  # (dim,)
    caption: str | None = None
    confidence: float | None = None
    text: str | None = None
    error: str | None = None

    def path(self) -> tuple[str, bytes | None]:
        """The columns `path` and `path_bytes`."""
        try:
            return self.name.decode("utf-8"), None
        except UnicodeDecodeError:
            return self.name.decode("utf-8", "backslashreplace"), self.name


@dataclass
class Batch:
    """What became of some pictures: rows, and what another run is to try again, with its reason.

    precision: of the vectors' arithmetic where they were made.
    """

    rows: list[Row] = field(default_factory=list)
    unread: list[tuple[bytes, str]] = field(default_factory=list)
    precision: str = ""

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """One after the other."""
        rows = [row for part in parts for row in part.rows]
        unread = [one for part in parts for one in part.unread]
        return cls(rows, unread, parts[0].precision if parts else "")
