"""What galago's own small models were taught, asked before and after: how much did they forget?

Always notes, drawn here in fonts that no embedded model was trained on.  Photographs and hands only
where somebody names the shards that those models are trained with (docs/training.md), of which the
held-out part is asked: the package has none of them.  Emoji need a design never seen, and aren't
asked.
"""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from galago.checkpoints.folders import CONFIG
from galago.disk import read_json
from galago.errors import OptionError
from galago.progress import Progress, Stage, silent
from galago.rows.rows import Row, Turn
from galago.rows.tars import PhotoInTar
from galago.rows.texts import short
from galago.text.edits import character_errors
from galago.text.presets import PRESETS
from galago.train.nano.data.assets import split_of
from galago.train.nano.data.render import render, words_line
from galago.train.nano.data.words import phrase
from galago.train.tune.answers import Figure, ask_all, some
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

__all__ = ["OwnTasks", "draw_notes", "held_photos"]

NOTES = 60
PHOTOS = 200  # of each task: objects, fingers
SIDE = 384
_SEED = 2026
_FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono-Bold")  # matplotlib brings them
_LETTERS_A_LINE = 12
_WORDS = """
apple bread butter coffee milk sugar cheese lemon onion pepper rice soup water juice salt tea
monday tuesday friday sunday june march today tomorrow morning evening night hour week year
call meet bring send buy open close wait read write turn stop start keep leave park clean
doctor garden window kitchen letter office school station market bridge street number ticket
red green blue white black small large first second last fresh quick happy quiet warm cold
"""


@dataclass(frozen=True)
class OwnTasks:
    """The questions, the same for every model: notes, and rows of held-out pictures by what is
    named."""

    photos: Mapping[str, Sequence[Row]]

    @classmethod
    def of(cls, base: Path, shards: str | None) -> OwnTasks | None:
        """Of a base's folder; None for a base that isn't one of galago's own.

        `shards`: a folder of the tars that these are trained with.  OptionError where it holds
        nothing that is held out, or the base was never taught it.
        """
        own = "galago" in read_json(base / CONFIG)
        if shards is None:
            return cls({}) if own else None
        if not own:
            raise OptionError("--own-shards is for galago's own models: this one was taught others")
        return cls(held_photos(Path(shards)))

    def ask(self, model: FastVLM, words: str, progress: Progress = silent) -> tuple[Figure, ...]:
        """How a model does."""
        figures = _read(model, draw_notes(NOTES), words, progress)
        for task, rows in self.photos.items():
            score = ask_all(model, some(rows, PHOTOS), words, progress)
            figures.append(Figure(f"held-out {task} named rightly", score.right, score.asked))
        return tuple(figures)


def _read(
    model: FastVLM, notes: Sequence[tuple[Image.Image, str]], words: str, progress: Progress
) -> list[Figure]:
    """Errors as the model card counts them: white space folded, the least edits to the truth."""
    wrong = letters = whole = 0
    for number, (picture, text) in enumerate(notes, 1):
        said = model.ask(picture, PRESETS["read"], SamplingOptions(max_tokens=96))
        errors, length = character_errors(text, said)
        # A model that goes on and on has no more wrong than there is.
        wrong += min(errors, length)
        letters += length
        whole += not errors
        progress(Stage(words), number / len(notes))
    return [
        Figure("drawn notes read without an error", whole, len(notes)),
        Figure("characters of drawn notes read wrongly", wrong, letters),
    ]


def draw_notes(count: int) -> list[tuple[Image.Image, str]]:
    """Pictures of 384 px with one to four words on lines of at most twelve characters, and the
    text; always the same ones.

    As the trainer of the embedded models draws its held-out notes, but on paper alone and in
    DejaVu's fonts.
    """
    import matplotlib

    fonts = [Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf") for name in _FONTS]
    rng, words = random.Random(_SEED), _WORDS.split()
    found = []
    for number in range(count):
        left, lines = rng.randint(1, 4), []
        while left > 0:
            taken = rng.randint(1, min(left, 2))
            line = words_line(rng, words, taken)
            while len(line) > _LETTERS_A_LINE:
                line = words_line(rng, words, 1)
            lines.append(line)
            left -= taken
        drawn = render(lines, str(fonts[number % len(fonts)]), rng, SIDE)
        found.append((Image.fromarray(drawn.picture), drawn.text))
    return found


def held_photos(shards: Path) -> dict[str, list[Row]]:
    """Rows of the held-out part of the trainer's shards, by what is to be named.

    OptionError for a folder without any, or with a tar that can't be read.
    """
    found: dict[str, list[Row]] = {"objects": [], "fingers": []}
    for path in sorted(shards.glob("*.tar")):
        try:
            for task, row in _held(path):
                found[task].append(row)
        except (OSError, tarfile.TarError, ValueError, LookupError, TypeError) as error:
            raise OptionError(f"{path} is not a shard of pictures: {short(error)}") from None
    held = {task: rows for task, rows in found.items() if rows}
    if not held:
        raise OptionError(
            f"{shards} has no shards with held-out pictures: name the folder of tars that "
            "fastvlm-nano is trained with (docs/training.md)"
        )
    return held


def _held(path: Path) -> Iterator[tuple[str, Row]]:
    places: dict[str, tuple[int, int]] = {}
    told: dict[str, dict[str, Any]] = {}
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            key, _, ending = member.name.rpartition(".")
            if ending == "webp":
                places[key] = (member.offset_data, member.size)
            elif ending == "json" and (stream := tar.extractfile(member)):
                told[key] = json.loads(stream.read())
                if not isinstance(told[key], dict):
                    raise TypeError(f"{member.name} says nothing of a picture")
    for key, info in told.items():
        task = {"object": "objects", "fingers": "fingers"}.get(str(info.get("task")))
        if task is None or key not in places or split_of(info, path.stem) != "val":
            continue
        fingers = task == "fingers"
        turn = (
            Turn(PRESETS["count"], str(info["fingers"]))
            if fingers
            else Turn(PRESETS["brief"], phrase(info["label"]))
        )
        where = f"{path.name}:{key}"
        photo = PhotoInTar(where, str(path), *places[key])
        yield task, Row((photo,), (turn,), where)
