"""The samples that a model needs to generalise: rooms, photographed notes, scenes, pasted things.

Beside the kinds of tasks.py: "rooms" (fingers), "photographed" and "lines" (text), "captioned",
"seen" and "pasted" (scenes). What teachers said of the pictures is read from where
galago/train/nano/teach keeps it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from galago.train.nano.data import hands, lettering, render, things
from galago.train.nano.data.assets import Photo
from galago.train.nano.data.photographed import photographed
from galago.train.nano.data.tasks import Sample, Tasks, cropped, jitter, letterboxed, squared

STREETS = ("Street", "St", "Road", "Rd", "Ave", "Lane", "Square", "Drive", "Way", "Hill")
LETTERS = 20  # on a line of a photographed note; one note in five has longer ones
LONG_LINE = 30
WRITTEN = (
    0.4  # of captioned pictures are told in the caption's own words, the others by their nouns
)


@dataclass
class WideTasks(Tasks):
    """`labels_folder` holds the teachers' rows, `shards` the tars (for the cut-outs)."""

    labels_folder: Path | None = None
    shards: Path | None = None

    @cached_property
    def captioned(self) -> list[Photo]:
        """Captioned pictures of the split that show something with a name."""
        photos = self.store.select("caption", self.split)
        shown = [p for p in photos if p.info["kind"] != "drawing"]
        return [p for p in shown if things.nouns_of(p.info)]

    @cached_property
    def cutouts(self) -> list[things.Cutout]:
        return things.load_cutouts(self.shards, self.split) if self.shards else []

    @cached_property
    def nouns(self) -> list[str]:
        """The classes of the scenes' read-out, of what was trained on whatever the split."""
        photos = self.store.select("caption", "train")
        return things.common_nouns(
            [p for p in photos if p.info["kind"] != "drawing"],
            things.load_cutouts(self.shards, "train") if self.shards else [],
        )

    @cached_property
    def noun_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.nouns)}

    @cached_property
    def captions(self) -> list[str]:
        """Every sentence that may be said of a scene, for the vocabulary."""
        said = [things.sentence(text) for p in self.captioned for text in p.info["captions"]]
        said += [things.told(c.names[0]) for c in self.cutouts]
        return [text for text in said if text]

    @cached_property
    def rooms(self) -> list[Photo]:
        """Photographs of the split that may stand behind a hand, a note or a pasted thing."""
        books = [p for p in self.store.select("caption", "train") if p.info["kind"] == "photo"]
        return books * 3 + self.scenes

    @cached_property
    def cuts(self) -> dict[int, list[hands.Cut]]:
        if self.labels_folder is None:
            return {}
        return hands.find_cuts(self.store.select("fingers", self.split), self.labels_folder)

    @cached_property
    def taken(self) -> dict[int, list[hands.Cut]]:
        """Those of the cuts whose photograph is one of a room, and shows more than the hand."""
        return {
            count: [cut for cut in some if cut.photo.info.get("source") != hands.CLOSE_UPS]
            for count, some in self.cuts.items()
        }

    @cached_property
    def counted(self) -> tuple[list[tuple[Photo, int]], list[Photo]]:
        if self.labels_folder is None:
            return [], []
        return hands.find_counted(self.captioned, self.labels_folder)

    @cached_property
    def seen(self) -> list[tuple[Photo, tuple[str, ...]]]:
        """Photographs without a caption, and what the detector is sure of in them."""
        if self.labels_folder is None:
            return []
        return things.find_seen(self.objects, self.labels_folder)

    @cached_property
    def lines(self) -> list[lettering.Line]:
        """Lines of lettering in photographs."""
        lines = lettering.shard_lines(self.store.select("read", self.split))
        if self.labels_folder is not None:
            lines += lettering.read_lines(self.captioned, self.labels_folder)
        return lines

    def _room(self, rng: random.Random, side: int, least: float = 0.35) -> Image.Image:
        return squared(cropped(self.store.picture(rng.choice(self.rooms)), rng, least), side, rng)

    def _rooms(self, rng: random.Random, side: int) -> Sample:
        """A hand in somebody's room, pasted or as taken; one in six has none, or a fist."""
        found, empty = self.counted
        joints: np.ndarray | None = None
        chance = rng.random()
        if empty and chance < 0.12:  # faces, cups, paws: no hand among them
            picture = squared(cropped(self.store.picture(rng.choice(empty)), rng, 0.5), side, rng)
            return Sample("fingers", np.asarray(jitter(picture, rng)), "0", 0, present=False)
        if found and chance < 0.2:
            photo, count = rng.choice(found)
            picture = squared(cropped(self.store.picture(photo), rng, 0.9), side, rng)
        else:
            real = chance < 0.6 and any(self.taken.values())
            cuts = self.taken if real else self.cuts
            there = [count for count, some in cuts.items() if some]
            if not there:
                return self._fingers(rng, side)
            # Fists are cut less: what the outline misses of them is little, and 0 comes twice.
            count = rng.choice([n for n in there if n] * 2 + [n for n in there if not n])
            cut = rng.choice(cuts[count])
            if real:
                picture, joints = hands.as_taken(cut, self.store, side, rng)
            else:
                picture, joints = hands.held_up(cut, self.store, self._room(rng, side), rng)
        if rng.random() < 0.1:
            picture = picture.convert("L").convert("RGB")
        drawn = np.asarray(jitter(picture, rng, 0.7))
        return Sample("fingers", drawn, str(count), count, joints=joints)

    def _photographed(self, rng: random.Random, side: int) -> Sample:
        lines = self._note_lines(rng)
        font = rng.choice(rng.choice(self.fonts))
        scene = cropped(self.store.picture(rng.choice(self.rooms)), rng, 0.3)
        drawn = photographed(lines, font, rng, side, scene, apart=self.split == "apart")
        return Sample("text", drawn.picture, drawn.text, cells=drawn)

    def _note_lines(self, rng: random.Random) -> list[str]:
        """One to four lines: words, prices, streets and numbers; one in five is long instead."""
        chance = rng.random()
        if chance < 0.2:
            return [self._fitting(rng, rng.randint(3, 6), LONG_LINE)]
        if chance < 0.32:
            lines = [street(self.words, rng)]
            if rng.random() < 0.5:
                lines.append(f"{rng.randint(10000, 99999)} {rng.choice(self.words).title()}")
            return lines
        if chance < 0.44:
            return [
                f"{rng.choice(self.words)} {rng.randint(0, 60)}.{rng.randint(0, 99):02}"
                for _ in range(rng.randint(1, 3))
            ]
        return [
            self._fitting(rng, rng.choice((1, 1, 2, 3)), LETTERS) for _ in range(rng.randint(1, 4))
        ]

    def _fitting(self, rng: random.Random, words: int, longest: int) -> str:
        while len(line := render.words_line(rng, self.words, words)) > longest:
            words = max(1, words - 1)
        return line

    def _lines(self, rng: random.Random, side: int) -> Sample:
        if not self.lines:
            return self._photographed(rng, side)
        line = rng.choice(self.lines)
        picture = letterboxed(lettering.cut(line, self.store, rng), side)
        return Sample("text", np.asarray(jitter(picture, rng, 0.7)), line.text)

    def _seen(self, rng: random.Random, side: int) -> Sample:
        if not self.seen:
            return self._captioned(rng, side)
        photo, names = rng.choice(self.seen)
        picture = squared(cropped(self.store.picture(photo), rng, 0.8), side, rng)
        said = things.listed(names)
        return self._scene(jitter(picture, rng, 0.7), said, names, self.rows[photo.offset])

    def _captioned(self, rng: random.Random, side: int) -> Sample:
        photo = rng.choice(self.captioned)
        names = self._known_first(things.nouns_of(photo.info))
        picture = squared(cropped(self.store.picture(photo), rng, 0.7), side, rng)
        said = things.caption_of(photo.info, rng) if rng.random() < WRITTEN else ""
        said = said or things.listed(names)
        return self._scene(jitter(picture, rng, 0.7), said, names, self.rows[photo.offset])

    def _known_first(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What several pictures show can be learned: it comes before what one alone does."""
        return tuple(sorted(names, key=lambda name: name not in self.noun_index))

    def _pasted(self, rng: random.Random, side: int) -> Sample:
        if not self.cutouts:
            return self._captioned(rng, side)
        cutout = rng.choice(self.cutouts)
        page = self._room(rng, side)
        if rng.random() < 0.5:
            page = Image.new("RGB", (side, side), tuple(rng.randint(120, 255) for _ in range(3)))
        picture = jitter(things.pasted(cutout, page, rng), rng, 0.7)
        return self._scene(picture, things.told(cutout.names[0]), cutout.names, -1)

    def _scene(self, picture: Image.Image, said: str, names: tuple[str, ...], photo: int) -> Sample:
        nouns = tuple(self.noun_index[name] for name in names if name in self.noun_index)
        return Sample("scene", np.asarray(picture), said, photo=photo, names=names, nouns=nouns)


def street(words: list[str], rng: random.Random) -> str:
    """As on an envelope: "14 Maple Lane"."""
    name = f"{rng.choice(words).title()} {rng.choice(STREETS)}"
    return f"{rng.randint(1, 250)} {name}" if rng.random() < 0.7 else name
