"""What came of comparing a device with the CPU, and what it is kept under."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galago.engine.agreement import Agreement, Kept, compare_rows


def test_what_is_kept_is_told_by_all_that_it_depends_on(tmp_path: Path) -> None:
    found = Agreement("vision", "GPU", True, "cosine 1.0000")
    kept = Kept(tmp_path, ("weights",))
    kept.keep(found, ("GPU", "1"))
    assert kept.of("vision", ("GPU", "1")) == found
    assert kept.of("language", ("GPU", "1")) is None
    assert kept.of("vision", ("GPU", "2")) is None
    assert Kept(tmp_path, ("others",)).of("vision", ("GPU", "1")) is None
    assert Kept(None, ("weights",)).of("vision", ("GPU", "1")) is None
    (file,) = tmp_path.glob("*.json")
    for damaged in ("{", "[]", '{"what": "vision"}', file.read_text().replace("true", '"yes"')):
        file.write_text(damaged)
        assert kept.of("vision", ("GPU", "1")) is None


def test_what_cannot_be_kept_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = Kept(tmp_path / "file", ("weights",))
    kept.keep(Agreement("vision", "GPU", True, ""), ("GPU",))
    assert kept.of("vision", ("GPU",)) is None


def test_float32_is_held_to_more_than_half_of_it() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 64), dtype=np.float32)
    near = rows + 0.06 * np.random.default_rng(1).standard_normal(rows.shape, dtype=np.float32)
    assert compare_rows("vision", "GPU", [(rows, near)], exact=False).passed
    assert not compare_rows("vision", "GPU", [(rows, near)], exact=True).passed
