"""What the verbs share for talking to a person: all of it goes to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from galago.progress import Progress, Stage

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

__all__ = ["Bar", "complain", "path_fields", "say", "shown", "stages", "write", "write_record"]


def say(text: str) -> None:
    """A line for the person, never part of the result."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """One line about what went wrong."""
    say(f"galago: {' '.join(text.split())}")


def write(text: str) -> None:
    """A piece of the result, at once; control codes never reach a terminal."""
    if sys.stdout.isatty():
        text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a file's name with bytes that are no text, or a narrow code page
        narrow = sys.stdout.encoding
        sys.stdout.write(text.encode(narrow, "backslashreplace").decode(narrow))
    sys.stdout.flush()


def write_record(record: Mapping[str, object]) -> None:
    """One JSON object on a line; bytes of a name that are no text stand as JSON's escapes."""
    text = json.dumps(record, ensure_ascii=False)
    write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


@contextmanager
def stages(*, verbose: bool = False) -> Iterator[Progress]:
    """A callback for the stages of a long job: a bar in a terminal, else (verbose) a line each."""
    last = ""
    bar = _rich_bar() if sys.stderr.isatty() else None
    task = bar.add_task("", total=1.0, visible=False) if bar else None

    def report(stage: Stage, share: float) -> None:
        nonlocal last
        new, last = stage != last, stage
        if new and (stage.lasting or (verbose and bar is None)):
            bar.console.print(stage, soft_wrap=True, markup=False) if bar else say(stage)
        if bar is not None and task is not None:
            words = stage.split(",")[0]
            bar.update(task, description=words, completed=share, visible=share < 1.0)

    if bar is None:
        yield report
    else:
        with bar:
            yield report


class Bar:
    """A progress bar on stderr for many pictures; silent when stderr is no terminal.

    `aside()` takes the bar off the screen while something else is written there. A total of None
    is not known yet (`update` brings it); `rate` shows how many a second.
    """

    def __init__(self, total: int | None, *, rate: bool = False) -> None:
        wanted = (total is None or total > 1) and sys.stderr.isatty()
        self._bar = _rich_bar(count=True, rate=rate) if wanted else None
        self._stage = ""
        self._task = self._bar.add_task("", total=total) if self._bar else None

    def __enter__(self) -> Bar:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    @property
    def shown(self) -> bool:
        """Whether there is a bar at all."""
        return self._bar is not None

    def name(self, label: str) -> None:
        """Show which picture is at work."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=label[-40:])

    def update(self, stage: str, done: int, total: int | None) -> None:
        """How far a stage is; a new one has a rate of its own."""
        if self._bar and self._task is not None:
            if stage != self._stage:
                self._stage = stage
                self._bar.reset(self._task, total=total, description=stage)
            self._bar.update(self._task, completed=done, total=total)

    def advance(self) -> None:
        if self._bar and self._task is not None:
            self._bar.advance(self._task)

    @contextmanager
    def aside(self) -> Iterator[None]:
        if self._bar:
            self._bar.stop()
        try:
            yield
        finally:
            if self._bar:
                self._bar.start()


def _rich_bar(count: bool = False, rate: bool = False) -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn() if count else TaskProgressColumn(),
        *([Rate()] if rate else []),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def shown(path: str) -> str:
    """A path as one printable line; an odd one in the quotes that shells read ($'new\\nline')."""
    if path.isprintable():
        return path
    return "$'" + "".join(_escaped(letter) for letter in path) + "'"


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(letter))


def path_fields(path: str, field: str = "path") -> dict[str, Any]:
    """A path for JSON; one that is no text also by its bytes, in hexadecimal."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        readable = os.fsencode(path).decode("utf-8", "replace")
        return {field: readable, f"{field}_bytes": os.fsencode(path).hex()}
    return {field: path}
