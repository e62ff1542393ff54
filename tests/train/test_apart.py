"""Sources that are held out whole are on no side of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.train.nano.data import assets
from galago.train.nano.data.held_out import APART, BOOKS, FONTS, is_apart

ROOMS, BOOKS_0 = "hands-rooms", "captions-openstax-0"
HANDS: dict[str, str] = {"task": "fingers"}
BOOK: dict[str, str] = {"task": "caption"}


@pytest.mark.parametrize(
    ("info", "shard", "side"),
    [
        (HANDS | {"group": "lebanon-20230312-5", "split": "train"}, ROOMS, APART),
        (HANDS | {"group": "arpit-20240825_21_51", "split": "val"}, ROOMS, "train"),
        (HANDS | {"group": "Set2", "source": "finger-counting"}, "hands-counting", "val"),
        (BOOK | {"group": "writing-guide", "split": "train"}, BOOKS_0, APART),
        (BOOK | {"group": "astronomy", "split": "val"}, BOOKS_0, "val"),
        (BOOK | {"group": "30.jpg", "split": "train"}, "labels-coco-cc", APART),
        ({"task": "read", "group": "writing-guide/A.jpg", "split": "train"}, "text-lines", APART),
    ],
)
def test_whole_sources_are_apart(info: dict[str, str], shard: str, side: str) -> None:
    assert assets.split_of(info, shard) == side
    assert is_apart(info, shard) == (side == APART)


def test_held_out_hands_of_handwriting_are_never_trained_on(tmp_path: Path) -> None:
    for family in ("kalam", "roboto", FONTS[0]):
        (tmp_path / family).mkdir()
    assert assets.font_families(tmp_path, "train") == ["roboto"]
    assert assets.font_families(tmp_path, "val") == ["kalam"]
    assert set(assets.font_families(tmp_path, "apart")) == {"kalam", FONTS[0]}
    assert not set(FONTS) & set(assets.HELD_OUT_FONTS) and len(BOOKS) > 3
