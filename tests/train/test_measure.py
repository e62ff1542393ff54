"""What generalises: the judging of answers, chance, the table, and a run to its end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from galago.train.nano.measure import __main__ as command
from galago.train.nano.measure import answers, pictures, report, search
from galago.train.nano.measure.pictures import Shown

NOUNS = frozenset({"dog", "sofa", "test tube", "tube", "bird", "person"})
GREY = Image.new("RGB", (8, 8))


class Says:
    """A model with one answer."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def ask(self, *_: Any) -> str:
        return self.answer


def shown(*names: str, truth: str = "", source: str = "s") -> Shown:
    return Shown(GREY, source, truth, frozenset(names))


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("A photo of two dogs on a sofa.", {"dog", "sofa"}),
        ("A test tube.", {"test tube", "tube"}),
        ("An emoji of a pigeon.", {"dove", "bird", "pigeon"}),  # by what else it is called
        ("A photo.", set()),
    ],
)
def test_what_an_answer_names(answer: str, named: set[str]) -> None:
    assert answers.named_in(answer, NOUNS) == named


def test_names_are_right_where_they_are_there_and_people_are_told_apart() -> None:
    album = [shown("dog", "person"), shown("person"), shown("sofa")]
    figures = answers.name(Says("A dog with a person."), album, NOUNS)["s"]
    assert figures["describe"]["right"] == round(2 / 3, 4)
    assert figures["describe"]["right_without_people"] == round(1 / 3, 4)
    assert figures["describe"]["nouns_an_answer"] == 2 and figures["count"] == 3
    assert figures["constant"] == ["person", round(2 / 3, 4)]


def test_a_favourite_count_is_not_good_on_the_mean() -> None:
    rows = [shown(truth=str(n)) for n in (5, 5, 5, 1, 2, 3, 4)]
    figures = answers.count(Says("5."), rows)
    assert figures["all"] == round(3 / 7, 4) and figures["mean_of_counts"] == 0.2
    assert figures["confused"]["1>5"] == 1


def test_errors_are_counted_by_source() -> None:
    rows = [shown(truth="milk", source="notes"), shown(truth="two  eggs", source="lines")]
    figures = answers.read(Says("milk"), rows)
    assert figures["notes"]["cer"] == 0 and figures["notes"]["exact"] == 1
    assert figures["lines"]["cer"] == 1.0 and figures["lines"]["letters"] == 8


class Finds:
    """Towers that know the first two names by heart."""

    def embed_images(self, album: list[Image.Image]) -> np.ndarray:
        return np.eye(len(album), dtype=np.float32)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 30), np.float32)
        for row, text in enumerate(texts):
            rows[row, 0 if "dog" in text else 1 if "cat" in text else 29] = 1
        return rows


def test_recall_by_names_and_by_chance() -> None:
    names = ["dog", "cat", *["tree"] * 28]
    figures = search.found(Finds(), [shown(name) for name in names])  # type: ignore[arg-type]
    assert figures["at1"] == 1.0 and figures["queries"] == 3 and figures["rare_queries"] == 2
    assert figures["rare_chance10"] == round(1 / 3, 4)
    assert search._by_chance(30, 28) == 1.0 and search._by_chance(5, 1) == 1.0


def test_words_are_names_only_where_they_are_nouns() -> None:
    info = {"captions": ["A dog in test tubes"], "labels": ["same"], "detected": [["bird", 0.2]]}
    assert pictures.names_of(info, NOUNS) == {"dog", "test tube", "tube"}
    assert pictures.best_constant([]) == ("", 0.0)


def test_parts_are_kept_and_the_card_has_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("# m\n\n## Data\n\nx\n\n## What it can't do\n\ny\n")
    measured = {
        "fingers": {"all": 0.5, "mean_of_counts": 0.4, "count": 9},
        "text": {"notes": {"cer": 0.6, "exact": 0.1, "count": 3, "letters": 40}},
        "splits": {"fingers": {"all": 0.7}},
    }
    parts = {name: lambda name=name: measured[name] for name in measured}
    monkeypatch.setattr(command, "_vlm", lambda options: parts)
    base = ["x", str(tmp_path), "--data", ".", "--packages", ".", "--out", str(tmp_path / "o")]
    for only in (["fingers"], ["text", "splits"]):
        monkeypatch.setattr(sys, "argv", [*base, "--card", "--only", *only])
        command.main()
    kept = json.loads((tmp_path / "o" / f"generalises-{tmp_path.name}.json").read_text())
    assert kept["whole"] == {k: measured[k] for k in ("fingers", "text")}
    card = (tmp_path / "README.md").read_text()
    assert card.count(report.TITLE) == 1 and "| fingers | 50.0 % | 9 | 70.0 % |" in card
    assert card.index(report.TITLE) < card.index("## What it can't do")
    assert "60.0 %" in capsys.readouterr().out


def test_a_few_of_each_source_are_the_same_few() -> None:
    rows = [shown(truth=str(n), source="ab"[n % 2]) for n in range(20)]
    one, two, other = (pictures.some(rows, 3, seed) for seed in (1, 1, 2))
    assert one == two != other and [x.source for x in one].count("a") == 3 == len(one) / 2
    assert pictures.some(rows, None, 1) == rows == pictures.some(rows, 50, 1)
