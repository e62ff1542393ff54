"""The embedded model's photographs with captions, as tars for `galago reinforce`.

`python -m galago.train.nano.clip.material --data SHARDS --out OUT` writes OUT/train/NAME.tar of
what is trained on and OUT/held-out/NAME.tar of what judges, KEY.webp beside KEY.txt.  Photographs
of a label are told by captions made of its names, synonyms and kinds, each by one that is drawn for
it; scenes by their own.
"""

from __future__ import annotations

import argparse
import io
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galago.errors import OptionError
from galago.train.nano.data.assets import samples, split_of
from galago.train.nano.data.captions import captions, holds_out, load_synonyms
from galago.train.nano.data.things import nouns_of, short_caption

__all__ = ["SIDES", "caption_for", "main", "write_material"]

SIDES = {"train": "train", "val": "held-out"}  # what is apart (data/apart.py) stands on neither
_CAPTIONS = 24  # a label


def main() -> None:
    parser = argparse.ArgumentParser("python -m galago.train.nano.clip.material")
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--out", type=Path, required=True, help="gets train/ and held-out/")
    parser.add_argument("--seed", type=int, default=2026, help="of the captions")
    options = parser.parse_args()
    counts = write_material(options.data, options.out, options.seed)
    print(", ".join(f"{count} photographs in {side}" for side, count in counts.items()))


def write_material(data: Path, out: Path, seed: int) -> dict[str, int]:
    """The tars of both sides, and how many photographs each has.

    OptionError for a folder that has none.
    """
    counts = dict.fromkeys(SIDES.values(), 0)
    for shard in sorted(data.glob("*.tar")):
        for side, held in _sides(shard, seed).items():
            place = out / side / shard.name
            place.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(place, "w") as tar:
                for name, content in held.items():
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
            counts[side] += len(held) // 2
    if not any(counts.values()):
        raise OptionError(f"{data} holds no shards of photographs with labels or captions")
    return counts


def _sides(shard: Path, seed: int) -> dict[str, dict[str, bytes]]:
    """The members of a shard's two tars, by name; without a side that has none."""
    found: dict[str, dict[str, bytes]] = {}
    for side, info, text, data in _told(shard, seed):
        held = found.setdefault(side, {})
        held[f"{info['key']}.webp"] = data
        held[f"{info['key']}.txt"] = text.encode()
    return found


def _told(shard: Path, seed: int) -> Iterator[tuple[str, dict[str, Any], str, bytes]]:
    for info, data in samples(shard):
        side = SIDES.get(split_of(info, shard.stem))
        text = caption_for(info, f"{seed}-{shard.stem}-{info['key']}", seed)
        if side is not None and text:
            yield side, info, text, data


def caption_for(info: dict[str, Any], drawn_by: str, seed: int) -> str:
    """One of the captions of its label, or its own; "" for what has neither, and for scenes whose
    caption holds a word that is held out (configs/synonyms.toml)."""
    if info.get("task") == "object":
        said = captions(info["label"], load_synonyms(), _CAPTIONS, seed)
        return random.Random(drawn_by).choice(said)
    if info.get("task") != "caption" or info.get("kind") == "drawing" or not nouns_of(info):
        return ""
    text = short_caption(info)
    return "" if holds_out(text) else text


if __name__ == "__main__":
    main()
