"""Two runs told apart, answer by answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.evaluate.compare import compared, earlier, judged_of
from galago.evaluate.items import Item
from galago.evaluate.outcomes import run
from galago.evaluate.paired import mcnemar
from tests.helpers.evaluations import FakeAsker, items_in

ROWS = [
    {"image": f"{number}.png", "question": "What?", "answer": "red", "task": "t"}
    for number in range(6)
]
GRADED = [row | {"metric": "anls"} for row in ROWS]


def number(item: Item) -> int:
    return int(item.row.pictures[0].name.split(".")[0])


def test_right_and_wrong(tmp_path: Path) -> None:
    items = items_in(tmp_path, ROWS)
    before = run(items, FakeAsker(lambda item: "red" if number(item) < 2 else "blue"))
    after = run(items, FakeAsker(lambda item: "red" if number(item) > 0 else "pink"))
    found = compared(("a", judged_of(before.outcomes)), ("b", judged_of(after.outcomes)))
    assert found.right.mean == pytest.approx(3 / 6) and found.right.p == mcnemar(4, 1)
    assert (found.better, len(found.changed), found.without) == (4, 5, 0)
    worse = found.changed[0]
    assert (worse.better, worse.before, worse.after) == (False, "red", "pink")
    assert worse.where == "rows.jsonl:1" and found.scores == {}
    told = json.loads(json.dumps(found.to_json()))
    assert (told["better"], told["worse"], told["before"]) == (4, 1, "a")


def test_scores_between(tmp_path: Path) -> None:
    items = items_in(tmp_path, GRADED)
    before = run(items, FakeAsker(lambda item: "rex"))
    after = run(items, FakeAsker(lambda item: "red"))
    found = compared(("a", judged_of(before.outcomes)), ("b", judged_of(after.outcomes)))
    assert found.scores["anls"].mean == pytest.approx(1 / 3)
    assert found.scores["anls"].test == "bootstrap" and found.right.mean == 0


def test_prompts_are_compared_where_the_data_is_the_same(tmp_path: Path) -> None:
    items = items_in(tmp_path, ROWS)
    asked = [item.behind("In a word.") for item in items]
    before = judged_of(run(items, FakeAsker(lambda item: "red")).outcomes)
    after = judged_of(run(asked[1:], FakeAsker(lambda item: "red")).outcomes)
    found = compared(("a", before), ("b", after))
    assert (found.right.count, found.without, found.right.p) == (5, 1, 1)
    other = items_in(tmp_path / "other", [row | {"answer": "blue"} for row in ROWS])
    elsewhere = judged_of(run(other, FakeAsker(lambda item: "red")).outcomes)
    with pytest.raises(OptionError, match="a and b were not asked about the same rows"):
        compared(("a", before), ("b", elsewhere))


def test_a_run_that_was_written(tmp_path: Path) -> None:
    items = items_in(tmp_path, GRADED)
    done = run(items, FakeAsker(lambda item: "rex"))
    (tmp_path / "results.json").write_text('{"name": "a, fp32"}')
    lines = "".join(f"{json.dumps(one.to_json())}\n" for one in done.outcomes)
    (tmp_path / "answers.jsonl").write_text(lines, "utf-8")
    name, found = earlier(tmp_path)
    assert name == "a, fp32" and [one.said for one in found] == ["rex"] * 6
    same = compared((name, found), ("b", judged_of(done.outcomes)))
    assert same.changed == () and same.without == 0 and same.scores["anls"].mean < 1e-6


ROW = {"where": "a:1", "metric": "exact", "picture": "a.png", "question": "What?", "answers": ["x"],
       "said": "x", "score": 1.0, "right": True, "weight": 1.0}  # fmt: skip


def written(folder: Path, row: object) -> Path:
    (folder / "results.json").write_text('{"name": "a"}')
    (folder / "answers.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    return folder


@pytest.mark.parametrize("said", ["two\u2028lines", "\x85", "\u2029"])
def test_ends_of_lines_in_an_answer(tmp_path: Path, said: str) -> None:
    assert earlier(written(tmp_path, ROW | {"said": said}))[1][0].said == said


@pytest.mark.parametrize(
    "field",
    [{"right": "false"}, {"right": 0}, {"score": float("nan")}, {"score": 10**400},
     {"weight": 0}, {"weight": -1}, {"weight": float("inf")}],
)  # fmt: skip
def test_figures_that_none_has(tmp_path: Path, field: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="is no folder that"):
        earlier(written(tmp_path, ROW | field))


def test_answers_nested_too_deeply(tmp_path: Path) -> None:
    written(tmp_path, ROW)
    (tmp_path / "answers.jsonl").write_text("[" * 200_000)
    with pytest.raises(OptionError, match="is no folder that"):
        earlier(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"name": 1}\n', "\0", '{"where": 3}\n'])
def test_what_is_no_run(tmp_path: Path, text: str) -> None:
    with pytest.raises(OptionError, match="is no folder that `galago evaluate own --out` wrote"):
        earlier(tmp_path / "nowhere")
    (tmp_path / "results.json").write_text(text or "{")
    (tmp_path / "answers.jsonl").write_text(text or "{")
    with pytest.raises(OptionError, match="is no folder that"):
        earlier(tmp_path)


def test_a_folder_of_several_runs(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    written(tmp_path / "1", ROW)
    with pytest.raises(OptionError, match=f"holds several runs: name one, {tmp_path / '1'}"):
        earlier(tmp_path)
    assert earlier(tmp_path / "1")[0] == "a"
