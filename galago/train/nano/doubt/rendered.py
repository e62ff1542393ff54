"""Known pictures that are drawn: notes in fonts, and emoji of a design, that were held out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from galago.train.nano.data import render
from galago.train.nano.data.assets import (
    HELD_OUT_DESIGN,
    HELD_OUT_FONTS,
    TRAIN_DESIGNS,
    emoji_label,
    emoji_names,
    find_words,
    rasterised,
)
from galago.train.nano.data.tasks import SHORT_LINE
from galago.train.nano.doubt.pictures import SIDE, Shown, cut_out, halved


def notes(packages: Path, seed: int, count: int) -> Iterator[Shown]:
    """One to four words on short lines, as the model card's figures speak of, on plain paper."""
    families = (render.find_fonts(packages / "@fontsource", [name]) for name in HELD_OUT_FONTS)
    fonts = [found for found in families if found]
    words = find_words(render.CLASS_OF)
    for number in range(count):
        rng = random.Random(f"{seed}-note-{number}")
        lines = [_line(words, rng) for _ in range(rng.randint(1, 3))]
        drawn = render.render(lines, rng.choice(rng.choice(fonts)), rng, SIDE, None, False)
        picture = Image.fromarray(drawn.picture)
        group = f"note-{number}"
        yield Shown(picture, "notes", "note", drawn.text, halved(group, seed), group)


def _line(words: list[str], rng: random.Random) -> str:
    while len(line := render.words_line(rng, words, rng.choice((1, 1, 2)))) > SHORT_LINE:
        pass
    return line


def emoji(packages: Path, seed: int) -> Iterator[Shown]:
    """Each emoji once, on white or on a colour; and as two designs that were trained on have it."""
    names = emoji_names()
    icons = packages / "@iconify-json"
    there = [design for design in TRAIN_DESIGNS if (icons / design).is_dir()]
    for design in (HELD_OUT_DESIGN, *there[:2]):
        for index, drawn in rasterised(icons, design):
            name = names[index]
            part = halved(name, seed) if design == HELD_OUT_DESIGN else "taught"
            page = cut_out(drawn, f"{design}-{name}")
            yield Shown(page, design, "emoji", emoji_label(name), part, name)
