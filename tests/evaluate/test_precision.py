"""Trials of precisions and resolutions: what is tried, told apart and recommended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from galago.errors import OptionError
from galago.evaluate.intervals import Figure
from galago.evaluate.paired import Difference
from galago.evaluate.precision import (
    Setting,
    Trial,
    advice,
    crossed,
    recommended,
    sides,
    trial_of,
)


def test_the_own_side_then_less() -> None:
    assert sides(1024) == [None, 768, 512, 384, 256]
    assert sides(384) == [None, 256] and sides(256) == [None]


def test_all_precisions_at_the_own_side_and_all_sides_in_one() -> None:
    found = crossed(["fp32", "int8", "int4"], [None, 512], "int8")
    assert found == [
        Setting("fp32"),
        Setting("int8"),
        Setting("int4"),
        Setting("int8", 512),
    ]


def test_each_at_each_where_both_are_named_and_full_precision_in_any_case() -> None:
    found = crossed(["int8", "int4"], [768, 512], None)
    assert found == [
        Setting("fp32", 768),
        Setting("int8", 768),
        Setting("int8", 512),
        Setting("int4", 768),
        Setting("int4", 512),
    ]


def write(folder: Path, said: list[str], right: list[bool], seconds: float = 0.1) -> Path:
    """What `galago evaluate own --out` writes."""
    folder.mkdir()
    rows: list[dict[str, Any]] = [
        {
            "where": f"row {number}",
            "metric": "exact",
            "picture": f"{number}.png",
            "question": "What?",
            "answers": ["x"],
            "said": word,
            "score": float(good),
            "right": good,
            "weight": 1.0,
        }
        for number, (word, good) in enumerate(zip(said, right, strict=True))
    ]
    (folder / "answers.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    mean = sum(right) / len(right)
    figure = {"mean": mean, "low": 0.0, "high": 1.0, "count": 4, "pictures": 4, "method": "wilson"}
    results = {
        "name": folder.name,
        "settings": {"precision": "int8-bf16"},
        "right": figure,
        "seconds": seconds,
        "memory": 1000,
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_a_trial_beside_the_first(tmp_path: Path) -> None:
    first = write(tmp_path / "0", ["x", "x", "y", "z"], [True, True, False, False])
    second = write(tmp_path / "1", ["x", "w", "y", "x"], [True, False, False, True], 0.05)
    found = trial_of(Setting("int8"), second, first)
    assert (found.precision, found.same, found.first, found.memory) == (
        "int8-bf16",
        0.5,
        0.05,
        1000,
    )
    assert found.difference is not None and found.difference.mean == 0
    assert found.difference.test == "mcnemar" and found.right.mean == 0.5
    itself = trial_of(Setting("fp32"), first, first)
    assert itself.difference is None and itself.same == 1 and itself.right.mean == 0.5
    assert itself.to_json()["difference"] is None and found.to_json()["same"] == 0.5


def test_a_run_that_isnt_whole(tmp_path: Path) -> None:
    first = write(tmp_path / "0", ["x"], [True])
    (tmp_path / "1").mkdir()
    with pytest.raises(OptionError, match="is no folder that"):
        trial_of(Setting("int8"), tmp_path / "1", first)


def trial(
    name: str,
    seconds: float,
    mean: float | None = 0.0,
    p: float = 1.0,
    side: int | None = None,
    low: float = -0.03,
    count: int = 59,
) -> Trial:
    right = Figure(0.8, 0.7, 0.9, 50, 50, "wilson")
    apart = None if mean is None else Difference(mean, low, 0.1, p, "mcnemar", count)
    return Trial(Setting(name, side), name, right, 0.96, seconds, 1000, apart)


FULL = trial("fp32", 2.0, None)


@pytest.mark.parametrize(
    ("others", "best"),
    [
        ([trial("int8", 1.0), trial("int4", 0.8)], "int4"),
        ([trial("int8", 1.0), trial("int4", 0.8, -0.02)], "int8"),  # loses two in a hundred
        ([trial("int8", 1.0), trial("int4", 0.8, -0.005, 0.01)], "int8"),  # few, but surely
        ([trial("int8", 1.0), trial("int4", 0.8, 0.05, 0.01)], "int4"),  # surely better
        ([trial("int8", 1.0, -0.2, 0.3)], "fp32"),  # not sure, but much
        ([trial("int8", 1.0, 0.02, 0.9, low=-0.2)], "fp32"),  # too few questions to tell
        ([trial("int8", 2.5)], "fp32"),
        ([trial("int8", 1.0, low=0.0, count=58)], "fp32"),  # all the same, of too few
    ],
)
def test_the_quickest_that_isnt_worse(others: list[Trial], best: str) -> None:
    assert recommended([FULL, *others]).setting.precision == best


def test_the_advice_says_why_and_how_sure_it_can_be() -> None:
    words = advice([FULL, trial("int8", 1.0, 0.004, side=512)])
    assert words == (
        "recommended: --precision int8 --resolution 512: +0.4 points, 96 % of the answers the "
        "same, 2.0 times as fast to the first word as --precision fp32; 50 questions tell a share "
        "that is right to ± 10.0 points: smaller differences take more of them"
    )
    assert advice([FULL]).startswith(
        "recommended: --precision fp32, as none that is quicker is known "
    )
