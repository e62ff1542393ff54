"""The log of a training: what was best follows from it, also after a stop."""

from __future__ import annotations

from pathlib import Path

from galago.train.tune.log import LOG, Log, read_log


def told(folder: Path, losses: list[float], patience: int = 2) -> Log:
    log = Log(folder, patience)
    log.continue_at(0, True)
    log.begin(9.0, True)
    for step, loss in enumerate(losses, 1):
        log.add(step, {"loss": loss + 1})
        log.judge(step, loss, True)
    return log


def test_the_best_is_the_lowest_and_the_first_of_equals(tmp_path: Path) -> None:
    log = told(tmp_path, [3.0, 2.0, 2.0])
    assert log.best() == 2 and log.before() == 9.0 and log.after() == 2.0
    assert not log.hopeless()


def test_it_is_hopeless_after_so_many_judgements_without_a_better_one(tmp_path: Path) -> None:
    assert told(tmp_path, [3.0, 2.0, 2.5, 2.5]).hopeless()
    assert not told(tmp_path, [3.0, 2.0, 2.5, 2.5], patience=0).hopeless()


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    assert told(tmp_path, [float("nan"), 3.0]).best() == 2


def test_what_came_behind_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    told(tmp_path, [3.0, 2.0, 1.0])
    again = Log(tmp_path, 2)
    again.continue_at(2, True)
    assert again.best() == 2 and again.before() == 9.0
    assert max(line["step"] for line in read_log(tmp_path)) == 2


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    told(tmp_path, [3.0])
    with (tmp_path / LOG).open("a") as file:
        file.write('{"step": 2, "lo')
    assert len(read_log(tmp_path)) == 3
