"""Vectors of phrases in the cache: made once, never stale, done without where that can't be."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from galago.clip import text_cache as phrases
from galago.clip.text_cache import remembered

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
TEXTS = ["a", "b", "c"]


class Maker:
    """Counts what it makes."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> np.ndarray:
        self.made += 1
        return ROWS + self.made - 1

    def rows(
        self, texts: Sequence[str] = TEXTS, made_by: Sequence[str] = ("one", "fp32")
    ) -> np.ndarray:
        return remembered(made_by, texts, 4, self)


def files() -> list[Path]:
    return sorted((Path(os.environ["GALAGO_CACHE"]) / "phrases").iterdir())


def test_they_are_made_once() -> None:
    maker = Maker()
    assert np.array_equal(maker.rows(), ROWS) and np.array_equal(maker.rows(), ROWS)
    assert maker.made == 1 and [file.suffix for file in files()] == [".npy"]


def test_another_model_precision_or_text_makes_others() -> None:
    maker = Maker()
    maker.rows()
    for texts, made_by in (
        (TEXTS, ("two", "fp32")),
        (TEXTS, ("one", "bf16")),
        (["a", "b", "d"], ("one", "fp32")),
        (["a", "bc", ""], ("one", "fp32")),
    ):
        maker.rows(texts, made_by)
    assert maker.made == 5 == len(files())


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "head", "zip", "shape", "kind", "nan"])
def test_what_is_damaged_is_made_again(damage: str) -> None:
    maker = Maker()
    maker.rows()
    (path,) = files()
    data = path.read_bytes()
    bad = {"cut": data[:-5], "empty": b"", "noise": bytes(200), "zip": b"PK\x03\x04" + bytes(200)}
    bad["head"] = data.replace(b"}", b"{", 1)
    if damage in bad:
        path.write_bytes(bad[damage])
    else:
        wrong = {"shape": ROWS[:2], "kind": ROWS.astype(object), "nan": ROWS * np.float32("nan")}
        np.save(path, wrong[damage], allow_pickle=True)
    assert np.array_equal(maker.rows(), ROWS + 1) and maker.made == 2
    assert np.array_equal(maker.rows(), ROWS + 1) and maker.made == 2


def test_they_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrases, "_KEPT", 2)
    maker = Maker()
    for number in range(3):
        before = set(files()) if number else set()
        maker.rows([str(number), "", ""])
        (new,) = set(files()) - before
        os.utime(new, (number, number))
    assert len(files()) == 2 and maker.made == 3
    maker.rows(["0", "", ""])  # the oldest was let go
    assert maker.made == 4


def test_a_cache_that_cannot_be_used_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "file"))
    maker = Maker()
    assert np.array_equal(maker.rows(), ROWS) and np.array_equal(maker.rows(), ROWS + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="homes of POSIX")
def test_without_a_home_they_are_made_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "GALAGO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    maker = Maker()
    assert np.array_equal(maker.rows(), ROWS) and np.array_equal(maker.rows(), ROWS + 1)
