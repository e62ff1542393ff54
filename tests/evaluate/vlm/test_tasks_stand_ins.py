"""Every benchmark by lmms-eval itself, on a dozen questions made in tests/helpers/benchmarks.py:
its own task files, its own prompts and metrics, nothing of the hub.

The first test has all tasks (GALAGO_BENCHMARKS: some) asked in one run of lmms-eval, of a server
that says what the stand-ins say: so their figures are known beforehand. The last asks galago's own
model both ways.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from galago.evaluate.vlm.data import find_data, link_data
from galago.evaluate.vlm.harness import Found, Harness, command, found_in
from galago.evaluate.vlm.scores import judged
from galago.evaluate.vlm.serving import route_to
from galago.evaluate.vlm.tasks import Task, tasks_named
from tests.helpers.benchmarks import STAND_INS, picture, write_stand_ins
from tests.helpers.scripted import Scripted, pixels_of, scripted
from tests.helpers.two_routes import both_routes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("lmms_eval") is None, reason="asked by lmms-eval: make evaluate"),
]
CHOSEN = tasks_named(os.environ.get("GALAGO_BENCHMARKS", "all"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stand_ins(tmp_path_factory.mktemp("data"))


@dataclass
class Run:
    server: Scripted
    folder: Path
    harness: Harness

    def found(self, task: Task) -> Found:
        return found_in(self.folder, task)


@pytest.fixture(scope="module")
def asked(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All tasks in one run of lmms-eval."""
    folder = tmp_path_factory.mktemp("work")
    script = {}
    for one in (STAND_INS[task.name] for task in CHOSEN):
        found = find_data(one.repository, data)
        assert found is not None
        link_data(found, folder)
        for question in one.asked:
            start = _start(one.prompt)
            script[start, pixels_of(picture(question.picture))] = question.said
    harness = Harness(sys.executable, tmp_path_factory.mktemp("datasets"))
    with scripted(script) as server:
        route = route_to(server.url, server.key)
        code = harness.start(command(",".join(task.name for task in CHOSEN), route), route, folder)
        assert code == 0, (folder / "log.txt").read_text()[-3000:]
        yield Run(server, folder, harness)


def _start(prompt: str) -> str:
    """What tells a task's prompts from those of others; ScienceQA's hint isn't always there."""
    return prompt.removeprefix("Context: Look at the picture.\n").split("\n")[0]


@pytest.mark.parametrize("task", CHOSEN, ids=lambda task: task.name)
def test_its_prompt_and_its_metric(asked: Run, task: Task) -> None:
    stand_in = STAND_INS[task.name]
    found = asked.found(task)
    assert found.size == len(stand_in.asked) == 12
    first = pixels_of(picture(stand_in.asked[0].picture))
    assert (stand_in.prompt, first) in asked.server.asked
    figure = judged(task, found)
    assert figure.mean == pytest.approx(stand_in.expected, abs=1e-4)
    assert figure.method != "", "its scores are not what lmms-eval counts"
    assert figure.count == sum(one.score is not None for one in stand_in.asked)


@pytest.mark.parametrize("task", CHOSEN, ids=lambda task: task.name)
def test_its_pictures_are_told_apart(asked: Run, task: Task) -> None:
    names = asked.harness.pictures(task, asked.folder)
    (asked.folder / "pictures.json").unlink()
    assert names is not None and len(set(names)) == len(names) == 12


@pytest.mark.model
def test_both_routes_say_the_same(data: Path, tmp_path: Path) -> None:
    """galago's own model by the plug-in, and by the OpenAI client of lmms-eval."""
    plugin, server = both_routes(CHOSEN, data, tmp_path)
    assert plugin == server and all(answer for one in plugin.values() for answer in one.answers)
