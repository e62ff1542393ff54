"""Batches of two towers: labelled pictures, captioned ones, and whose caption is whose."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("transformers")

from galago.train.nano.clip.contrastive import Batches  # noqa: E402
from galago.train.nano.clip.reinforce import CAPTIONS, Reinforced  # noqa: E402
from galago.train.nano.data.assets import Photo  # noqa: E402
from galago.train.nano.data.tasks import IGNORED  # noqa: E402


@pytest.fixture
def batches() -> Batches:
    """Three labels of one photograph each, and two photographs with a caption; every row of the
    text teacher points to what it belongs to."""
    photos = [Photo(n, 8, 8, {"label": f"label {n}"} if n < 3 else {}) for n in range(5)]
    tasks: Any = SimpleNamespace(
        label_index={f"label {n}": n for n in range(3)},
        by_label=[[photo] for photo in photos[:3]],
        rows={photo.offset: n for n, photo in enumerate(photos)},
        store=SimpleNamespace(photos=photos, picture=lambda photo: Image.new("RGB", (8, 8))),
    )
    eye = np.eye(5, dtype=np.float16)
    held = Reinforced(
        boxes=np.tile(np.array([0, 0, 8, 8], np.int16), (5, 3, 1)),
        features=np.ones((5, 3, 4), np.float16),
        picture_rows=np.repeat(eye[:, None], 3, axis=1),
        captions=[[f"a photo of label {n}"] * CAPTIONS for n in range(3)],
        caption_rows=np.repeat(eye[:3, None], CAPTIONS, axis=1),
        words=["word"],
        word_rows=eye[:1],
        scale=20.0,
        own={3: "three dogs", 4: "four cats"},
        own_rows=eye,
        captioned=[3, 4],
    )
    config: Any = SimpleNamespace(clip=SimpleNamespace(vocab=8192))
    return Batches(config, tasks, held)


@pytest.mark.parametrize("captioned", [0, 2])
def test_each_picture_meets_its_own_caption(batches: Batches, captioned: int) -> None:
    batch = batches(random.Random(1), 8, 2, captioned)
    pictures = 2 + captioned
    assert batch["pixels"].shape == (pictures, 3, 8, 8)
    assert (batch["labels"] == IGNORED).sum() == captioned and len(batch["labels"]) == pictures
    own = (batch["picture_rows"] * batch["caption_rows"][:pictures]).sum(-1)
    assert torch.allclose(own, torch.ones(pictures))
    # the third label has no picture: its caption stands behind
    assert len(batch["captions"]) == pictures + 1 == len(batch["caption_rows"])
    assert (batch["picture_rows"] @ batch["caption_rows"][-1]).abs().max() == 0
