"""Tasks that an actor of Ray does, or dies of: a module of its own, as actors import it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galago.errors import OptionError, StorageError
from galago.train.clip.workers import Tell

__all__ = ["begin"]


def begin(folder: str, deaths: int, tell: Tell) -> Callable[[Any, Tell], None]:
    """Tasks are files to be written; in "fatal" so many die, "bad" can't be done, "full" ends
    all."""

    def do(task: str, tell: Tell) -> None:
        tell(f"looks at {task}")
        met = [path for path in Path(folder).iterdir() if path.suffix == ".death"]
        if task == "fatal" and len(met) < deaths:
            (Path(folder) / f"{len(met)}.death").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "bad":
            raise OptionError("it is bad")
        if task == "full":
            raise StorageError("there is no room")
        (Path(folder) / task).touch()

    return do
