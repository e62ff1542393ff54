"""`python -m galago.train.nano.vlm.held_out --data SHARDS --packages NODE_MODULES --out FOLDER`.

Writes the questions that a model card's figures come from as a folder that `galago evaluate own`
reads: pictures without loss, and a row of JSON for each. Needs no PyTorch; what it is drawn with
are the packages of docs/training.md. Decoded pictures are kept in --cache, a trainer's own
OUT/cache for example.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.progress import track

from galago.disk import whole_folder
from galago.errors import OptionError
from galago.text.presets import PRESETS
from galago.train.nano.data.assets import (
    HELD_OUT_FONTS,
    Photo,
    build_emoji,
    build_photos,
    emoji_label,
)
from galago.train.nano.data.tasks import Tasks
from galago.train.nano.data.words import phrase

__all__ = ["NOTES", "Question", "emoji", "fingers", "held_out", "notes", "objects", "write"]

NOTES = 500  # drawn notes that are read
_METRICS = {"text": "characters"}  # of the others the answer is right or wrong


@dataclass(frozen=True)
class Question:
    """A held-out picture, what is asked about it and what is true.

    task: text, fingers, emoji or objects; groups: within it, what else it is counted under.
    """

    task: str
    groups: tuple[str, ...]
    picture: Image.Image
    prompt: str
    truth: str


def held_out(tasks: Tasks, seed: int, count: int = NOTES) -> Iterator[Question]:
    """All four tasks; `tasks` are those of the split "val"."""
    yield from notes(tasks, count, seed)
    yield from fingers(tasks)
    yield from emoji(tasks, seed)
    yield from objects(tasks)


def notes(tasks: Tasks, count: int, seed: int) -> Iterator[Question]:
    """1–4 words on 1–4 lines in fonts never seen, on plain paper or photographs."""
    rng = random.Random(f"{seed}-read")
    for _ in range(count):
        drawn = tasks.sample("note", rng, 384).cells
        assert drawn is not None  # text samples carry their rendering
        hand = any(name in drawn.font for name in HELD_OUT_FONTS[:3])
        picture = Image.fromarray(drawn.picture)
        yield Question("text", ("hand" if hand else "print",), picture, PRESETS["read"], drawn.text)


def fingers(tasks: Tasks) -> Iterator[Question]:
    """Every held-out picture of a hand, by source and number; 0 is a fist or no hand."""
    for photo in (photo for photos in tasks.hands.values() for photo in photos):
        count = photo.info["fingers"]
        groups = _source(photo), f"n{count}"
        picture = tasks.store.picture(photo)
        yield Question("fingers", groups, picture, PRESETS["count"], str(count))


def emoji(tasks: Tasks, seed: int) -> Iterator[Question]:
    """The design never seen, each emoji once large on white, once smaller on a colour."""
    pictures, names, chosen, spelled = tasks.emoji
    rng = random.Random(f"{seed}-emoji")
    for row in chosen:
        icon = Image.fromarray(pictures[row])
        truth = phrase(emoji_label(spelled[int(names[row])])).lower()
        for group in ("white", "colour"):
            page = Image.new("RGB", (256, 256), "white")
            size = 230
            if group == "colour":
                page = Image.new("RGB", (256, 256), tuple(rng.randint(60, 255) for _ in range(3)))
                size = rng.randint(140, 220)
            drawn = icon.resize((size, size))
            at = ((256 - size) // 2, (256 - size) // 2)
            page.paste(drawn, at, drawn)
            yield Question("emoji", (group,), page, PRESETS["brief"], truth)


def objects(tasks: Tasks) -> Iterator[Question]:
    """Every held-out photograph of the `photos-*` shards, by source; the whole label is asked."""
    for photo in tasks.objects:
        truth = phrase(photo.info["label"])
        picture = tasks.store.picture(photo)
        yield Question("objects", (_source(photo),), picture, PRESETS["brief"], truth)


def _source(photo: Photo) -> str:
    """The data set that a photograph is from; some shards name the very file, which is none."""
    source = str(photo.info["source"])
    return str(photo.info["shard"]) if "/" in source else source


def write(questions: Iterable[Question], out: Path) -> int:
    """A new folder of pictures and rows.jsonl, whole or not at all; how many there are."""
    count = 0
    with whole_folder(out) as folder:
        (folder / "pictures").mkdir()
        with open(folder / "rows.jsonl", "w", encoding="utf-8") as rows:
            for count, one in enumerate(questions, 1):
                name = f"pictures/{one.task}-{count:05}.webp"
                one.picture.save(folder / name, lossless=True, quality=20, method=0)
                row = {
                    "image": name,
                    "question": one.prompt,
                    "answer": one.truth,
                    "metric": _METRICS.get(one.task, "exact"),
                    "task": [f"{one.task}/{group}" for group in one.groups],
                }
                rows.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count


def main() -> None:
    described = (__doc__ or "").split("\n\n", 1)[1]
    parser = argparse.ArgumentParser(
        "python -m galago.train.nano.vlm.held_out", description=described
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--packages", type=Path, required=True, help="node_modules: fonts, emoji")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; a new one")
    parser.add_argument("--cache", type=Path, required=True, help="where decoded pictures are kept")
    parser.add_argument("--seed", type=int, default=2026, help="of a config, as the card tells it")
    parser.add_argument("--notes", type=int, default=NOTES, help="drawn notes")
    options = parser.parse_args()
    if options.out.exists():
        raise OptionError(f"{options.out} is there already: name a new folder")
    build_photos(options.data, options.cache)
    build_emoji(options.packages / "@iconify-json", options.cache)
    tasks = Tasks(options.cache, options.packages / "@fontsource", "val")
    count = write(track(held_out(tasks, options.seed, options.notes), "pictures"), options.out)
    print(f"{count:,} questions in {options.out}")


if __name__ == "__main__":
    main()
