"""What a training run writes down, and what its card says."""

from __future__ import annotations

from pathlib import Path

from galago.train.nano.config import StageConfig
from galago.train.nano.log import (
    REPORT_EVERY,
    START,
    Report,
    draw_curves,
    log_of,
    read_log,
    stage_table,
    started_from,
)


class Clock:
    """A clock that somebody turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(report: Report, clock: Clock, steps: int, seconds: float, loss: float) -> None:
    """A stage of so many steps, each of so many seconds and of one loss."""
    for step in range(steps):
        clock.now += seconds
        row = report.add(step, {"answer": loss})
        if row is not None:
            clock.now += 100  # as long as held-out pictures take
            report.write(row)


def test_stages_of_one_process_keep_their_losses_and_their_time_apart(tmp_path: Path) -> None:
    clock, logs = Clock(), [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    run(Report(logs[0], clock), clock, 2 * REPORT_EVERY + 10, 2.0, loss=4.0)
    clock.now += 500  # what lies between: weights are written, the next stage is built
    run(Report(logs[1], clock), clock, REPORT_EVERY, 1.0, loss=0.5)
    rows = [list(read_log(log)) for log in logs]
    assert [row["step"] for row in rows[0]] == [REPORT_EVERY, 2 * REPORT_EVERY]
    assert {row["answer"] for row in rows[0]} == {4.0}
    assert {row["seconds"] for row in rows[0]} == {2.0 * REPORT_EVERY}
    assert rows[1] == [{"step": REPORT_EVERY, "seconds": 1.0 * REPORT_EVERY, "answer": 0.5}]


def test_the_card_says_what_learned_and_from_what(tmp_path: Path) -> None:
    batch = ((128, {"text": 3, "object": 5}),)
    stages = [StageConfig(name, "direct", ("trunk",), 100, 1e-3, batch) for name in ("one", "two")]
    report = Report(log_of(stages[0], tmp_path))
    for seconds in (1800.0, 1908.0):
        report.write({"step": 50, "seconds": seconds})
    assert stage_table(stages, tmp_path) == "| one | trunk | 100 | 800 | 1.03 |"  # two hasn't run
    assert started_from(tmp_path) == "random weights"
    (tmp_path / START).write_text("the weights of fastvlm-nano\n", "utf-8")
    assert started_from(tmp_path) == "the weights of fastvlm-nano"


def test_of_a_run_without_a_report_there_are_no_curves(tmp_path: Path) -> None:
    stage = StageConfig("one", "direct", ("trunk",), 100, 1e-3, ((128, {"text": 3}),))
    draw_curves([stage], tmp_path)
    assert not list(tmp_path.iterdir())
