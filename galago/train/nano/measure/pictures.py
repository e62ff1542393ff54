"""Pictures of the sources that are held out whole (data/apart.py), with what is true of them."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from galago.errors import OptionError
from galago.train.nano.data import render
from galago.train.nano.data.apart import is_apart
from galago.train.nano.data.assets import find_words, font_families, samples
from galago.train.nano.data.photographed import photographed
from galago.train.nano.data.things import NO_NOUNS
from galago.train.nano.doubt.pictures import cut_out, folder_rows, singular

SIDE = 384
LEAST = 0.4  # score of what the detector saw: half of what is less sure isn't there
MOST_LETTERS = 20  # on a line of a photographed note
DRAWN = re.compile("cartoon|symbols|outline|filled|alphabet")  # in a stamp's path
NAME_WORDS = 3  # of a noun at most ("test tube", "american flag")


@dataclass(frozen=True)
class Shown:
    """A picture, where it comes from, and its truth: a count, a text, or names of what is there."""

    picture: Image.Image
    source: str
    truth: str = ""
    names: frozenset[str] = frozenset()


def shards_of(folder: Path, start: str) -> list[Path]:
    """The shards whose name begins so; OptionError when there is none."""
    found = sorted(folder.glob(f"{start}*.tar"))
    if not found:
        raise OptionError(f"{folder} has no shard {start}*.tar")
    return found


def apart(folder: Path, start: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What of those shards is held out whole."""
    for shard in shards_of(folder, start):
        for info, data in samples(shard):
            if is_apart(info, shard.stem):
                yield info, data


def hands(folder: Path) -> Iterator[Shown]:
    """Hands of people and in rooms that nothing was trained on; the truth is a count."""
    for info, data in apart(folder, "hands-rooms"):
        yield Shown(_opened(data), "hands-rooms", str(info["fingers"]))


def texts(folder: Path) -> Iterator[Shown]:
    """Lines and whole photographs with lettering out of the books; an OCR network read them."""
    for start in ("text-lines", "text-photos"):
        for info, data in apart(folder, start):
            yield Shown(_opened(data), start, info["text"])


def notes(folder: Path, packages: Path, seed: int, count: int) -> Iterator[Shown]:
    """Photographed notes: fonts, papers, lights and scenes that were never trained on."""
    scenes = [shown.picture for shown in everyday(folder, frozenset())]
    fonts_folder = packages / "@fontsource"
    families = font_families(fonts_folder, "apart")
    fonts = [f for name in families if (f := render.find_fonts(fonts_folder, [name]))]
    if not fonts:
        raise OptionError(f"{fonts_folder} has none of the held-out fonts")
    words = find_words(render.CLASS_OF)
    for number in range(count):
        rng = random.Random(f"{seed}-photographed-{number}")
        lines = [line(words, rng) for _ in range(rng.randint(1, 3))]
        font, scene = rng.choice(rng.choice(fonts)), rng.choice(scenes)
        drawn = photographed(lines, font, rng, SIDE, scene, apart=True)
        yield Shown(Image.fromarray(drawn.picture), "notes", drawn.text)


def line(words: list[str], rng: random.Random) -> str:
    """One to three words, at most MOST_LETTERS letters."""
    while len(found := render.words_line(rng, words, rng.choice((1, 1, 2, 3)))) > MOST_LETTERS:
        pass
    return found


def everyday(folder: Path, nouns: Collection[str]) -> Iterator[Shown]:
    """Photographs out of the books and COCO's, with the names of what they show.

    Names are the labels and what a detector saw, and words of the captions that are `nouns`.
    """
    for start in ("captions-openstax", "labels-coco-cc"):
        for info, data in apart(folder, start):
            if info["kind"] == "photo" and (names := names_of(info, nouns)):
                yield Shown(_opened(data), start, names=frozenset(names))


def stamps(folder: Path, nouns: Collection[str]) -> Iterator[Shown]:
    """Things on a plain page (Tux Paint's stamps: GPL, for measuring alone), by the names of file
    and folder and by what `nouns` their descriptions hold."""
    for key, words, _, data in folder_rows(folder):
        if DRAWN.search(key):
            continue
        told, *named = words.split(" ; ")
        names = nouns_in(told, nouns).union(*(both(singular(name)) for name in named)) - {""}
        yield Shown(cut_out(Image.open(io.BytesIO(data)), key), "stamps", names=frozenset(names))


def vocabulary(folder: Path) -> frozenset[str]:
    """Every noun that the captioned shards have labels of, whatever the split, in the singular."""
    found: set[str] = set()
    for start in ("captions-openstax", "labels-coco-cc"):
        for shard in shards_of(folder, start):
            for info, _ in samples(shard):
                for label in (*info.get("labels", ()), *(n for n, _ in info.get("detected", ()))):
                    found |= both(singular(label))
    return frozenset(name for name in found if len(name) > 2 and name not in NO_NOUNS)


def names_of(info: dict[str, Any], nouns: Collection[str]) -> set[str]:
    """Of one picture: labels, what was detected, and its captions' words among `nouns`."""
    seen = [name for name, score in info.get("detected", ()) if score >= LEAST]
    found: set[str] = set()
    for label in (*info.get("labels", ()), *seen):
        found |= both(singular(label))
    for caption in info.get("captions", ()):
        found |= nouns_in(caption, nouns)
    return {name for name in found if len(name) > 2 and name not in NO_NOUNS}


def both(name: str) -> frozenset[str]:
    """A name, and what it is a kind of by its last word: "american flag", "flag"."""
    return frozenset({name, name.rpartition(" ")[2]})


def nouns_in(text: str, nouns: Collection[str]) -> set[str]:
    """Those of `nouns` that stand in a text, also in the plural."""
    words = singular(text).split()
    runs = (" ".join(words[i : i + n]) for n in range(1, NAME_WORDS + 1) for i in range(len(words)))
    return {run for run in runs if run in nouns}


def some(shown: Iterable[Shown], most: int | None, seed: int) -> list[Shown]:
    """At most `most` pictures of each source, in their order; the same for the same seed."""
    by_source: dict[str, list[int]] = {}
    rows = list(shown)
    for number, one in enumerate(rows):
        by_source.setdefault(one.source, []).append(number)
    chosen: set[int] = set()
    for source, numbers in by_source.items():
        few = most is not None and most < len(numbers)
        chosen.update(random.Random(f"{seed}-{source}").sample(numbers, most) if few else numbers)  # type: ignore[arg-type]
    return [rows[number] for number in sorted(chosen)]


def best_constant(shown: Iterable[Shown]) -> tuple[str, float]:
    """The one name that is right most often, and how often: what is reached without looking."""
    rows = [one.names for one in shown]
    counts: dict[str, int] = {}
    for names in rows:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    if not counts:
        return "", 0.0
    best = max(sorted(counts), key=lambda name: counts[name])
    return best, counts[best] / len(rows)


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")
