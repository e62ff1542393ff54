"""What the model itself said is asked for once, however often its export is stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.convert.selfcheck import Reference
from galago.export.asked import forget_asked, keep_asked, kept_asked

ROWS = np.random.default_rng(0).random((4, 3)).astype(np.float32)
FOUND = Reference([ROWS[None]] * 2, [ROWS, -ROWS], [ROWS] * 2, [np.arange(2)] * 2, [ROWS, 2 * ROWS])
SAID = [("note.webp", "describe", "“Milk”, 牛奶"), ("hand.webp", "read", "")]


@pytest.mark.parametrize("answers", [SAID, [], None])
def test_it_comes_back_as_it_was(
    tmp_path: Path, answers: list[tuple[str, str, str]] | None
) -> None:
    keep_asked(tmp_path, FOUND, answers)
    kept = kept_asked(tmp_path)
    assert kept is not None and kept[1] == answers
    for name in ("pixels", "features", "sequences", "takes", "logits"):
        pairs = zip(getattr(kept[0], name), getattr(FOUND, name), strict=True)
        assert all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)
    forget_asked(tmp_path)
    assert kept_asked(tmp_path) is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"x"]
)
def test_what_was_damaged_is_asked_again(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    keep_asked(tmp_path, FOUND, SAID)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert kept_asked(tmp_path) is None
