"""What a model was taught, told from what it wasn't: the file and its arithmetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.doubt import DOUBT, Taught, read_taught, rounded, write_taught
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import Entry
from galago.checkpoints.writing import write_runs
from galago.errors import CheckpointError, OptionError

WIDTH, KEPT, THINGS, ANSWERS = 6, 3, 4, 2


def taught(seed: int = 0) -> Taught:
    rng = np.random.default_rng(seed)

    def table(name: str, *shape: int) -> np.ndarray:
        return rounded(name, rng.normal(size=shape))

    words = table("words", 5, 2)
    return Taught(
        "model-1",
        table("middle", WIDTH),
        table("whiten", WIDTH, KEPT),
        table("centres", THINGS, KEPT),
        table("weights", KEPT + 1 + ANSWERS),
        0.5,
        0.25,
        rounded("words", words / np.linalg.norm(words, axis=1, keepdims=True)),
        table("word_space", WIDTH, 2),
        0.75,
    )


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    made = taught()
    write_taught(tmp_path, made)
    read = read_taught(tmp_path, lambda: "model-1")
    assert read is not None
    for name, value in vars(made).items():
        assert np.array_equal(getattr(read, name), value), name
    rng = np.random.default_rng(1)
    for seen in rng.normal(size=(10, WIDTH)).astype(np.float32):
        assert read.known(seen, (-0.1, -0.2)) == made.known(seen, (-0.1, -0.2))


def test_the_arithmetic_is_a_regression_on_mahalanobis_space() -> None:
    made = taught()
    tokens = np.random.default_rng(2).normal(size=(7, WIDTH)).astype(np.float32)
    answer = (-0.3, -1.5)
    placed = (tokens.mean(axis=0) - made.middle) @ made.whiten
    nearest = min(float(np.linalg.norm(placed - centre)) for centre in made.centres)
    logit = made.bias + made.weights @ np.array([*placed, nearest, *answer])
    known = made.known(tokens, answer)
    assert known == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert made.doubts(0.2499) and not made.doubts(0.25)
    assert known == made.known(tokens.mean(axis=0), answer)
    with pytest.raises(OptionError, match="2 figures"):
        made.known(tokens, (-0.3,))


def test_far_from_everything_is_sure_of_nothing_and_never_overflows() -> None:
    made = replace(taught(), weights=np.array([0, 0, 0, -1, 0, 0], np.float32))
    near = made.known(np.zeros(WIDTH, np.float32), (0, 0))
    far = made.known(np.full(WIDTH, 1e6, np.float32), (0, 0))
    assert far < 1e-200 < near


def test_words_near_none_that_were_taught_are_strange() -> None:
    axes = np.eye(WIDTH, dtype=np.float32)
    made = replace(taught(), word_space=axes[:, :2], words=np.eye(2, dtype=np.float32))
    assert made.strange(axes[:3]) == [False, False, True]
    assert replace(made, words=None).strange(axes[:3]) == [False, False, False]


def test_no_file_no_doubt(tmp_path: Path) -> None:
    assert read_taught(tmp_path, lambda: pytest.fail("not asked for")) is None


def test_other_weights_are_told(tmp_path: Path) -> None:
    write_taught(tmp_path, taught())
    with pytest.raises(CheckpointError, match="measured with other weights"):
        read_taught(tmp_path, lambda: "model-2")


ODD = {
    "weights": np.full(KEPT + 1, np.nan),
    "bias": np.zeros(2),
    "border": np.array([np.inf]),
    "middle": np.zeros(WIDTH + 1),
    "centres": np.zeros((THINGS, KEPT + 1)),
    "word_space": np.zeros((WIDTH + 1, 2)),
    "words": np.zeros(5),
    "other": np.zeros(1),
    "whiten": np.zeros(WIDTH),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_refused(tmp_path: Path, name: str) -> None:
    write_taught(tmp_path, taught())
    path = tmp_path / DOUBT
    file = SafetensorsFile(path)
    held = {each: np.array(t.read(), np.float32) for each, t in file.tensors.items()}
    held[name] = ODD[name].astype(np.float32)
    plan = {each: Entry("F32", t.shape) for each, t in held.items()}
    write_runs(path, plan, lambda each, _: [held[each]], file.metadata)
    with pytest.raises(CheckpointError, match=r"damaged.*measure again"):
        read_taught(tmp_path, lambda: "model-1")


def test_a_table_missing_or_a_later_format_is_refused(tmp_path: Path) -> None:
    write_taught(tmp_path, taught())
    path = tmp_path / DOUBT
    file = SafetensorsFile(path)
    held = {each: np.array(t.read(), np.float32) for each, t in file.tensors.items()}
    plan = {each: Entry("F32", t.shape) for each, t in held.items()}
    write_runs(path, plan, lambda each, _: [held[each]], {**file.metadata, "format": "2"})
    with pytest.raises(CheckpointError, match="another format"):
        read_taught(tmp_path, lambda: "model-1")
    del plan["border"]
    write_runs(path, plan, lambda each, _: [held[each]], file.metadata)
    with pytest.raises(CheckpointError, match="other tables"):
        read_taught(tmp_path, lambda: "model-1")
