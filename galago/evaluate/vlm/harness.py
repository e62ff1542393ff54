"""One run of lmms-eval, as a program of its own: a task, a model, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago.disk import whole_file
from galago.errors import GalagoError
from galago.evaluate.vlm import pictures
from galago.evaluate.vlm.processes import OFFLINE, last_words, started
from galago.evaluate.vlm.tasks import Task

__all__ = ["ANSWERS", "FAILED", "Found", "Harness", "HarnessError", "Route", "command", "found_in"]

FAILED = "[LMMS_EVAL_REQUEST_FAILED"  # how lmms-eval marks an answer that didn't come
ANSWERS = "answers"  # its own cache of them
_OUT, _LOG, _PICTURES = "out", "log.txt", "pictures.json"
_ASKED = re.compile(rb"Model Responding:.{0,40}\| *(\d+)/(\d+) ")
_ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*", re.MULTILINE)
_FOREIGN = ("HF_TOKEN", "OPENAI_", "AZURE_OPENAI_", "LMMS_", "NUM_IMAGE", "API_TYPE")
_NOWHERE = "http://127.0.0.1:9/v1"  # for a judge that is asked all the same


class HarnessError(GalagoError):
    """lmms-eval came to no result."""


@dataclass(frozen=True)
class Route:
    """How lmms-eval reaches the model: which of its own `model`s, with which arguments, and what
    stands in the environment for it."""

    name: str
    model: str
    arguments: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Found:
    """Results of a run: the figures of the task, what was logged of each question, and how many
    questions the task has."""

    figures: Mapping[str, Any]
    samples: tuple[Mapping[str, Any], ...]
    size: int


@dataclass(frozen=True)
class Harness:
    """lmms-eval in the environment of a Python; `datasets` is where that keeps what it has read."""

    python: str
    datasets: Path

    def run(
        self,
        task: Task,
        route: Route,
        folder: Path,
        limit: int | None,
        offset: int = 0,
        asked: Callable[[int, int], None] = lambda done, total: None,
    ) -> Found:
        """Ask questions of a task, from one on, so many or all; in a folder with its data.

        Answers that are there from before aren't asked for.  `asked` hears how many of how many
        have come.  HarnessError where it came to no result, with what it said.
        """
        shutil.rmtree(folder / _OUT, ignore_errors=True)
        part = (
            *(("--limit", str(limit)) if limit is not None else ()),
            *(("--offset", str(offset)) if offset else ()),
        )
        code = self.start([*command(task.name, route), *part], route, folder, asked)
        if code:
            raise HarnessError(_failure(task, folder))
        return found_in(folder, task)

    def start(
        self,
        words: Sequence[str],
        route: Route,
        folder: Path,
        asked: Callable[[int, int], None] = lambda done, total: None,
    ) -> int:
        """Run lmms-eval with these words behind its name: its exit code."""
        program = [self.python, "-m", "lmms_eval", *words]
        variables = self._variables(route)
        with (
            (folder / _LOG).open("wb") as sink,
            started(program, folder, variables, sink.fileno()) as process,
        ):
            assert process.stderr is not None
            rest = b""
            while piece := process.stderr.read1(1 << 16):  # type: ignore[attr-defined]
                sink.write(piece)
                sink.flush()
                rest = (rest + piece)[-4096:]
                if counts := _ASKED.findall(rest):
                    asked(*map(int, counts[-1]))
            return process.wait()

    def pictures(self, task: Task, folder: Path) -> list[str] | None:
        """Which picture each question is about, told once and kept; None where that can't be
        told."""
        kept = folder / _PICTURES
        with contextlib.suppress(OSError, ValueError):
            return [str(name) for name in json.loads(kept.read_text("utf-8"))]
        program = [self.python, "-I", pictures.__file__, task.data, task.config, task.split]
        told = subprocess.run(
            [*program, task.picture],
            cwd=folder,
            env=self._variables(Route("", "", "")),
            capture_output=True,
        )
        with contextlib.suppress(ValueError):
            found = [str(name) for name in json.loads(told.stdout)]
            with whole_file(kept) as sink:
                sink.write(json.dumps(found).encode())
            return found
        return None

    def _variables(self, route: Route) -> dict[str, str]:
        """This process's, but for what would reach others; and where nobody answers."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        if self.python != sys.executable:  # another environment has packages of its own
            own.pop("PYTHONPATH", None)
        kept = {"HF_DATASETS_CACHE": str(self.datasets), "LMMS_IMAGE_ENCODE_FORMAT": "PNG"}
        nobody = {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": _NOWHERE}
        return {**own, **OFFLINE, **kept, **nobody, **route.variables}


def command(tasks: str, route: Route) -> list[str]:
    """What lmms-eval is told to do with tasks, by their names."""
    return [
        *("--model", route.model, "--model_args", route.arguments, "--tasks", tasks),
        *("--batch_size", "1", "--output_path", _OUT, "--log_samples", "--use_cache", ANSWERS),
        # one thread: what MMMU's script draws by lot is drawn in the same order every time
        *("--process_docs_parallel", "1", "--verbosity", "INFO", "--timezone", "UTC"),
    ]


def found_in(folder: Path, task: Task) -> Found:
    """What a run has written about a task.  HarnessError where it came to no result."""
    results = sorted((folder / _OUT).rglob("*_results.json"))
    samples = sorted((folder / _OUT).rglob(f"*_samples_{task.name}.jsonl"))
    if not results or not samples:
        raise HarnessError(_failure(task, folder))
    whole = json.loads(results[-1].read_text("utf-8"))
    lines = samples[-1].read_text("utf-8").splitlines()
    return Found(
        whole["results"][task.name],
        tuple(json.loads(line) for line in lines),
        int(whole["n-samples"][task.name]["original"]),
    )


def _failure(task: Task, folder: Path) -> str:
    """What lmms-eval said, in a line."""
    log = folder / _LOG
    found = _ERROR.search(log.read_text("utf-8", "replace"))
    return f"{task.name}: lmms-eval failed: {found[0] if found else last_words(log)} ({log})"
