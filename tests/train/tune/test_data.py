"""Read, checked and split: one call, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.specs import ImageSpec
from galago.train.tune.check import FaultyDataError
from galago.train.tune.data import DataOptions, TuneData, load_data
from galago.train.tune.labels import Labeller
from tests.helpers.fakes import fake_spec, fake_tokenizer
from tests.helpers.rows import llava, paint, write_json

SPEC = ImageSpec(64, min_side=64)


@pytest.fixture(scope="module")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> Labeller:
    tokenizer = fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return Labeller.of(tokenizer, fake_spec(tokenizer.vocab_size))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for at in range(40):
        paint(tmp_path / f"{at}.png", at)
    rows = [llava(f"{at}.png", name=at, answer=f"It is {at}.") for at in range(40)]
    return write_json(tmp_path / "train.json", rows, indent=1)


def test_rows_to_learn_and_rows_held_out(path: Path, labeller: Labeller) -> None:
    found = load_data(str(path), labeller, SPEC, DataOptions(held_out=0.3))
    names = [[row.name for row in part] for part in (found.train, found.held_out)]
    assert sorted(map(int, names[0] + names[1])) == list(range(40))
    assert (len(found.train), len(found.held_out)) == (len(names[0]), len(names[1]))
    assert 2 < len(names[1]) < 25
    assert found.notes[0].startswith("LLaVA's conversations in a JSON list: 40 rows with 40 pict")
    assert found.notes[-1] == f"{len(names[1])} rows held out, {len(names[0])} to learn"
    with pytest.raises(IndexError):
        found.train[len(found.train)]


def test_the_digest_tells_another_split(path: Path, labeller: Labeller) -> None:
    def digest(**options: float) -> str:
        return load_data(str(path), labeller, SPEC, DataOptions(**options)).digest  # type: ignore[arg-type]

    assert digest() == digest() != digest(held_out=0.5)


def damaged(path: Path, *names: int) -> None:
    for name in names:
        (path.parent / f"{name}.png").unlink()


def test_faulty_rows_are_refused_with_what_to_do(path: Path, labeller: Labeller) -> None:
    damaged(path, 3, 5)
    with pytest.raises(FaultyDataError) as raised:
        load_data(str(path), labeller, SPEC)
    assert str(raised.value) == (
        f"2 of 40 rows of {path} are faulty: mend them, or leave them out with --skip-bad "
        f"(pictures are looked for in {path.parent}: --images says where else)"
    )
    lines = path.read_text().splitlines()
    where, _ = raised.value.report.problems[0]
    line = int(where.removeprefix("train.json:"))
    assert lines[line : line + 2] == ['  "id": 3,', '  "conversations": [']


def test_or_skipped_if_that_is_asked_for(path: Path, labeller: Labeller) -> None:
    damaged(path, 3, 5)
    found: TuneData = load_data(str(path), labeller, SPEC, DataOptions(skip_bad=True))
    names = {row.name for part in (found.train, found.held_out) for row in part}
    assert names == {str(at) for at in range(40)} - {"3", "5"}
    assert "left out: 2 faulty rows of 40" in found.notes
    damaged(path, *({*range(40)} - {3, 5}))
    with pytest.raises(FaultyDataError, match="40 of 40 rows .* are faulty: none is left to learn"):
        load_data(str(path), labeller, SPEC, DataOptions(skip_bad=True))


def test_one_row_is_learnt_and_nothing_told_of_it(tmp_path: Path, labeller: Labeller) -> None:
    paint(tmp_path / "a.png")
    path = write_json(tmp_path / "one.json", [llava()])
    found = load_data(str(path), labeller, SPEC)
    assert (len(found.train), len(found.held_out)) == (1, 0)
    assert "there is one row: nothing is held out" in found.notes[-1]


def test_a_share_that_is_none(path: Path, labeller: Labeller) -> None:
    with pytest.raises(OptionError, match="--held-out 1 is not possible"):
        load_data(str(path), labeller, SPEC, DataOptions(held_out=1))
