"""Vectors that are kept while a benchmark is at work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.errors import StorageError
from galago.evaluate.clip.vectors import KeptVectors, key_of

KEYS = [key_of(text) for text in (b"a", b"b", b"c")]


def made(numbers: list[int]) -> np.ndarray:
    return np.array([[number, number + 0.5] for number in numbers], np.float32)


def test_what_was_made_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "some" / "rows"
    asked: list[list[int]] = []

    def make(numbers: list[int]) -> np.ndarray:
        asked.append(numbers)
        return made(numbers)

    with KeptVectors(path, 2) as kept:
        first = kept.rows(KEYS[:2], make)
    with KeptVectors(path, 2) as kept:
        assert len(kept) == 2
        every = kept.rows([KEYS[1], KEYS[2], KEYS[0]], make)
        assert kept.rows(KEYS, make).shape == (3, 2)
    assert asked == [[0, 1], [1]]
    assert np.array_equal(every, [first[1], [1, 1.5], first[0]])


def test_one_that_comes_twice_at_once(tmp_path: Path) -> None:
    with KeptVectors(tmp_path / "rows", 2) as kept:
        rows = kept.rows([KEYS[0], KEYS[0]], lambda numbers: made([7] * len(numbers)))
    assert np.array_equal(rows, made([7, 7]))


def test_what_a_killed_process_left_half_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with KeptVectors(path, 2) as kept:
        kept.rows(KEYS[:2], made)
    path.write_bytes(path.read_bytes()[:-3])
    with KeptVectors(path, 2) as kept:
        assert len(kept) == 1
        kept.rows([KEYS[2]], lambda numbers: made([9]))
    with KeptVectors(path, 2) as kept:
        assert np.array_equal(kept.rows([KEYS[2], KEYS[0]], made), made([9, 0]))


def test_forgotten(tmp_path: Path) -> None:
    with KeptVectors(tmp_path / "rows", 2) as kept:
        kept.rows(KEYS, made)
        kept.forget()
    assert not (tmp_path / "rows").exists()


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"vectors can't be kept in .*in: it may not be"):
        KeptVectors(tmp_path / "file" / "in" / "rows", 2)
