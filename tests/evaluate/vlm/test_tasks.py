"""Which benchmarks there are."""

from __future__ import annotations

import pytest

from galago.errors import OptionError
from galago.evaluate.published import published
from galago.evaluate.vlm.tasks import TASKS, tasks_named


def test_tasks_by_name_each_once() -> None:
    assert [task.name for task in tasks_named("pope, gqa,pope")] == ["pope", "gqa"]
    assert tasks_named("all") == TASKS and len(TASKS) == 10


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("textvqa", "there is no 'textvqa'; did you mean textvqa_val?"),
        ("zebra", "there is no 'zebra'; there is: gqa, textvqa_val,"),
        (" , ", "--tasks names none; there is: gqa,"),
    ],
)
def test_others_are_told(names: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        tasks_named(names)


def test_each_has_a_published_column() -> None:
    columns = published()[0].cells
    assert all(task.column in columns for task in TASKS)
