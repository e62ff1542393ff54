"""Captioned photographs to measure doubt with: what of their nouns an answer names.

A model that was taught with captions knows of each photograph something and of none everything:
an answer that names nothing that is there is what it should have doubted. Taught are those that it
was trained on; fitted and measured with are whole books, those held out and the val part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from galago.train.nano.data.assets import split_of
from galago.train.nano.data.things import nouns_of
from galago.train.nano.doubt.pictures import (
    Part,
    Shown,
    halved,
    names_any,
    number_of,
    opened,
    rows_of,
    singular,
    source_of,
)

SPLIT = " ; "  # between the nouns of a scene's truth
LEAST_TAUGHT = 4  # pictures of a noun: fewer have no spread of their own


def scenes(shards: Collection[Path], seed: int, most: int, taught: int) -> Iterator[Shown]:
    """At most `most` pictures of each shard that weren't trained on, and `taught` a noun of those
    that were, under the noun that comes first."""
    learned: dict[str, list[tuple[dict[str, Any], bytes, Path]]] = defaultdict(list)
    for shard in shards:
        rows = [row for row in rows_of(shard) if row[0].get("kind") != "drawing"]
        rows = sorted(rows, key=lambda row: number_of(f"{seed}-{row[0]['key']}"))
        others = 0
        for info, data in rows:
            names = nouns_of(info)
            if not names:
                continue
            if split_of(info, shard.stem) == "train":
                learned[names[0]].append((info, data, shard))
            elif others < most:
                others += 1
                group = str(info.get("group", info["key"])).split("/")[0]
                yield _shown(data, shard, SPLIT.join(names), halved(group, seed), group)
    for name, several in learned.items():
        for info, data, shard in several[:taught] if len(several) >= LEAST_TAUGHT else ():
            yield _shown(data, shard, name, "taught", str(info["key"]))


def _shown(data: bytes, shard: Path, truth: str, part: Part, group: str) -> Shown:
    picture = opened(data, shard).convert("RGB")
    return Shown(picture, source_of(shard), "scene", truth, part, group)


def names_one(said: str, truth: str) -> bool:
    """Whether an answer names one of a scene's nouns."""
    return names_any(said, [singular(name) for name in truth.split(SPLIT)])
