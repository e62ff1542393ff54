"""The work folder: the same training continues, another one doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.rows.rows import Row, Turn
from galago.train.tune.options import TuneOptions
from galago.train.tune.work import Work, check_out, fingerprint, work_of


@pytest.fixture
def work(tmp_path: Path) -> Work:
    folder = work_of(tmp_path / "out")
    folder.mkdir()
    found = Work(folder)
    found.agree("model", "data", TuneOptions(), resume=True)
    return found


def test_the_same_continues(work: Work) -> None:
    work.agree("model", "data", TuneOptions(measured=5), resume=True)


@pytest.mark.parametrize(
    ("model", "data", "options", "words"),
    [
        ("other", "data", TuneOptions(), "model"),
        ("model", "other", TuneOptions(), "data"),
        ("model", "data", TuneOptions(rank=8), "--rank was 16 and is 8"),
    ],
)
def test_what_differs_is_named(
    work: Work, model: str, data: str, options: TuneOptions, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        work.agree(model, data, options, resume=True)


def test_begun_anew_forgets_what_was_learnt_but_not_what_was_seen(work: Work) -> None:
    (work.folder / "checkpoint-3").mkdir()
    (work.folder / "best.safetensors").touch()
    work.features.mkdir()
    work.agree("model", "data", TuneOptions(rank=8), resume=False)
    assert not (work.folder / "checkpoint-3").exists()
    assert not (work.folder / "best.safetensors").exists()
    assert work.features.is_dir()
    work.agree("other", "data", TuneOptions(rank=8), resume=False)
    assert not work.features.exists()


def test_a_place_that_holds_something_is_refused(tmp_path: Path) -> None:
    check_out(tmp_path / "new")
    (tmp_path / "old").mkdir()
    check_out(tmp_path / "old")
    (tmp_path / "old" / "file").touch()
    with pytest.raises(OptionError, match="there already"):
        check_out(tmp_path / "old")


def test_a_changed_answer_is_other_data() -> None:
    def rows(answer: str) -> list[Row]:
        return [Row((), (Turn("What?", answer),), "rows:1")]

    assert fingerprint(rows("a")) == fingerprint(rows("a")) != fingerprint(rows("b"))
