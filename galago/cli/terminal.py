"""What the verbs share for talking to a person: the only place that writes to stdout or stderr.

What comes from outside (names, models' words, a hub's answers) passes through `visible` here, also
when no terminal listens now: what is in a log or a file is shown by a terminal sooner or later.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from galago.progress import Progress, Stage
from galago.text.visible import brief, json_safe, visible

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

__all__ = [
    "Bar",
    "ask",
    "columns",
    "complain",
    "one_line",
    "path_fields",
    "say",
    "shown",
    "stages",
    "take_any_letter",
    "without_bars",
    "write",
    "write_drawing",
    "write_path",
    "write_place",
    "write_record",
]


def take_any_letter() -> None:
    """Letters that the code page of stdout or stderr doesn't have are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(*lines: str) -> None:
    """Lines for the person, never part of the result."""
    for line in lines:
        print(visible(brief(line)), file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """One line about what went wrong."""
    say(f"galago: {one_line(text)}")


def one_line(text: str) -> str:
    """An error's words as one line of bearable length."""
    return brief(" ".join(text.split()))


def ask(prompt: str) -> str | None:
    """A line that is typed, None at the end; the prompt goes to stderr, unlike the answers."""
    print(prompt, end="", file=sys.stderr, flush=True)
    try:
        return input()
    except EOFError:
        print(file=sys.stderr)
        return None


def write(text: str) -> None:
    """A piece of the result, at once."""
    sys.stdout.write(visible(text, lines=True))
    sys.stdout.flush()


def columns() -> int | None:
    """How wide the terminal is that reads stdout; None when none does."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write_record(record: object) -> None:
    """One value of JSON on a line: UTF-8, as JSON is, whatever the terminal's code page."""
    line = json_safe(json.dumps(record, ensure_ascii=False)) + "\n"
    _write_bytes(line, line.encode("utf-8"))


def write_place(path: str) -> None:
    """A path that scripts take up: exact for them, as one printable line at a terminal."""
    if sys.stdout.isatty():
        write(f"{shown(path)}\n")
    else:
        _write_bytes(f"{path}\n", _as_bytes(path) + os.linesep.encode())


def write_path(path: str, end: str) -> None:
    """A path for other programs: byte for byte; as one printable line at a terminal."""
    if sys.stdout.isatty():
        write(f"{shown(path)}{end}")
    else:
        _write_bytes(path + end, os.fsencode(path) + end.encode())


def write_drawing(codes: str) -> None:
    """What a terminal makes a picture of; made here, of pixels alone."""
    sys.stdout.write(codes)
    sys.stdout.flush()


def _as_bytes(path: str) -> bytes:
    try:
        return path.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)


def _write_bytes(text: str, data: bytes) -> None:
    """Bytes to stdout, or the same as text where a program has put something else in its place."""
    sys.stdout.flush()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(text)
    sys.stdout.flush()


_bars = True


def without_bars() -> None:
    """From now on stages show none: other processes write to the same terminal."""
    global _bars
    _bars = False


@contextmanager
def stages(*, verbose: bool = False) -> Iterator[Progress]:
    """A callback for the stages of a long job: a bar in a terminal, else (verbose) a line each."""
    last = ""
    bar = _rich_bar() if _bars and sys.stderr.isatty() else None
    task = bar.add_task("", total=1.0, visible=False) if bar else None

    def report(stage: Stage, share: float) -> None:
        nonlocal last
        new, last = stage != last, stage
        if new and (stage.lasting or (verbose and bar is None)):
            _print_above(bar, stage) if bar else say(stage)
        if bar is not None and task is not None:
            words = visible(stage.split(",")[0])
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
            self._bar.update(self._task, description=visible(label[-40:]))

    def update(self, stage: str, done: int, total: int | None) -> None:
        """How far a stage is; a new one has a rate of its own."""
        stage = visible(stage)
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


def _print_above(bar: RichProgress, line: str) -> None:
    """A line that stays, above the bar; as Text: no markup, no emoji, nothing made bold."""
    from rich.text import Text

    bar.console.print(Text(visible(brief(line))), soft_wrap=True)


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
