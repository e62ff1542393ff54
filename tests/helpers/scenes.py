"""Albums of what a camera saw, for tests: pictures of one colour, and what is kept of them."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from galago.album import Store
from galago.album.keeper import Keeper
from galago.album.seen import is_seen
from galago.album.texts import find, text_of
from tests.helpers.albums import COLOURS, FakeEmbedder

NOON = datetime(2026, 11, 30, 12, 0, 0)


def sight(colour: str = "red", seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(-12, 13, (48, 64, 3))
    return Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8))


def watched(album: Path, *captions: str, model: FakeEmbedder | None = None) -> None:
    """An album that has seen these, a minute apart; the first word is the colour."""
    keeper = Keeper(album, model or FakeEmbedder(), "fake")
    for minute, caption in enumerate(captions):
        colour = caption.split()[0]
        keeper.keep(sight(colour, minute), caption, NOON.replace(minute=minute))
    assert keeper.close() == 0


def scenes(album: Path) -> list[tuple[str, str, str]]:
    """Name, time and caption of each, as a search would have them."""
    with Store.open(album) as store:
        found = store.db.execute(
            "SELECT path, taken, hash FROM photos JOIN vectors ON vectors.row = photos.row "
            "ORDER BY path"
        ).fetchall()
        return [
            (Path(os.fsdecode(path)).name, taken or "", text_of(store, digest, "caption") or "")
            for path, taken, digest in found
            if is_seen(path)
        ]


def said(album: Path, query: str) -> list[str]:
    """The texts that have these words."""
    with Store.open(album) as store:
        return [one.text for one in find(store, query, 10)]
