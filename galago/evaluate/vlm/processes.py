"""Programs that are started for an evaluation, and stopped with it whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["OFFLINE", "last_words", "started"]

_GRACE = 15.0  # seconds for a program to end by itself

# Of huggingface_hub, datasets, transformers, evaluate and wandb, and the sign that several heed.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "disabled",
    "DO_NOT_TRACK": "1",
}


@contextlib.contextmanager
def started(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], output: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a folder; its stdout goes to the file of that number, its stderr is read here;
    without a number both are, as its stdout.

    In a session of its own: Ctrl-C reaches it through us, with all that it started.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if output is None else output,
        stderr=subprocess.STDOUT if output is None else subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, and what it started."""
    for way in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, way)
            else:
                process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def last_words(log: Path) -> str:
    """The last line that a program wrote to its log."""
    lines = log.read_text("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
