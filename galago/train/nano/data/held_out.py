"""What is held out whole, so that figures tell what generalises.

A split of one recording or one book flatters: the same people, paper and photographers stand on
both sides of it. What is named here is never trained on, whatever its shard's own `split` says;
data/assets.py marks it "apart". Emoji and printed fonts were held out whole from the beginning
(assets.HELD_OUT_DESIGN, HELD_OUT_FONTS).
"""

from __future__ import annotations

from typing import Any

APART = "apart"

# hands-rooms holds two repositories. This one has every count, some fourteen people and their
# rooms; the other (fives alone) may be trained on.
HAND_REPOSITORY = "lebanon-"

# Books about people and their things, none of whose pictures stands in another book too (by a hash
# of differences, 40 of 256 bits). Lines and texts that were cut out of them are apart with them.
BOOKS = frozenset(
    {
        "introduction-sociology",
        "writing-guide",
        "principles-marketing",
        "contemporary-mathematics",
        "college-success-bundle",
    }
)
# Fifty photographs with labels that people gave.
SHARDS = frozenset({"labels-coco-cc"})

# Handwriting, besides the fonts that no model was ever trained on.
FONTS = (
    "annie-use-your-telescope",
    "mansalva",
    "nanum-pen-script",
    "shantell-sans",
    "zen-kurenaido",
)


def is_apart(info: dict[str, Any], shard: str) -> bool:
    """Whether a picture belongs to a source that is held out whole; `info` is its shard's JSON."""
    group = str(info.get("group", ""))
    if info.get("task") == "fingers":
        return group.startswith(HAND_REPOSITORY)
    return shard in SHARDS or group.split("/")[0] in BOOKS
