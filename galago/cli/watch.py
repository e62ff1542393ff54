"""`galago watch`: live captions of a camera, the screen or a video."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import albums
from galago.cli.captions import Output, Speech, WebVTT
from galago.cli.durations import length_of
from galago.cli.missing import check_address
from galago.cli.options import Opening, Sampling
from galago.cli.questions import Answer, Asked, Question, record_of, since_opened, told
from galago.cli.remember import Memory, introduce, open_keeper
from galago.cli.spread import spread
from galago.cli.terminal import Bar, complain, path_fields, say, write, write_record
from galago.errors import CutShortError, OptionError
from galago.places import as_path

if TYPE_CHECKING:
    from galago.media.camera import Camera, Screen
    from galago.media.changes import ChangeDetector
    from galago.media.frames import Frame
    from galago.media.video import Video
    from galago.vlm.fastvlm import FastVLM

__all__ = ["watch"]


@spread
def watch(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A video file, or screen; a camera by default."),
    ] = None,
    *,
    camera: Annotated[
        str | None,
        typer.Option(metavar="N", help="Which camera: its number or name; 0 is the first."),
    ] = None,
    every: Annotated[
        str, typer.Option(metavar="TIME", help="Look so often (1s, 500ms, 2m; 0: always).")
    ] = "1s",
    stale: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Ask again about a picture that has not changed for so long; 0 asks about every "
            "one and repeats captions.",
        ),
    ] = "30s",
    asked: Asked,
    vtt: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the captions as WebVTT, too.")
    ] = None,
    speak: Annotated[bool, typer.Option("--speak", help="Speak the captions aloud.")] = False,
    album: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Remember each new scene in this album: a small picture, its caption, time and "
            "vector, found by `galago search`.",
            autocompletion=albums.complete_album,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long this album remembers scenes from now on (12h, 7d)."
        ),
    ] = None,
    opening: Opening,
    sampling: Sampling,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a caption, on a line of its own.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Show times, tokens a second and memory on stderr.")
    ] = False,
) -> None:
    """Caption what a camera, the screen or a video shows, as time goes on.

    Each caption has its time in front. A picture that has not changed since it was described is
    not described again; very small changes, such as a word of fine print, may pass for none until
    --stale. Of a camera or the screen always the newest picture is taken; a video is read as fast
    as the computer can. Videos and cameras need the extra video. Ctrl-C ends it.

    Nothing is kept of the pictures unless --album asks for it; `galago forget` undoes that.

    \b
    Examples:
      galago watch --preset brief
      galago watch --camera 1 --preset count --every 500ms --speak
      galago watch lecture.mp4 --every 5s --preset read --vtt lecture.vtt
      galago watch screen --json -m apple/FastVLM-0.5B
      galago watch --album door --keep 7d
    """
    from galago.media.changes import ChangeDetector

    question = asked.question(sampling.options(), as_json=as_json, stats=stats)
    pace, age = _seconds("--every", every), _seconds("--stale", stale)
    limit = None if keep is None else length_of("--keep", keep)
    if limit is not None and album is None:
        raise OptionError(f"--keep {keep} says how long an album remembers: give --album NAME, too")
    folder = None if album is None else albums.folder_of(album)
    with contextlib.ExitStack() as stack:
        outputs: list[Output] = []
        if vtt is not None:
            outputs.append(stack.enter_context(WebVTT(as_path(vtt))))
        if speak:
            outputs.append(stack.enter_context(Speech()))
        seen = _open(source, camera)
        stack.push(seen)
        vlm = opening.load(question.prompt, quickest=True)
        memory = None
        if folder is not None:
            threads, offline = opening.threads, opening.offline
            keeper = open_keeper(folder, limit, threads=threads, offline=offline)
            say(introduce(folder))
            memory = stack.enter_context(Memory(keeper, _begun(source, seen.duration)))
        watcher = _Watch(vlm, seen, question, ChangeDetector(max_age=age), outputs, memory)
        code = watcher.run(pace)
    # Behind the block: any exception in it breaks off the last caption that is spoken.
    raise typer.Exit(code)


def _seconds(option: str, text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *(ms|s|m|)", text.strip().lower())
    if not found:
        raise OptionError(f"{option} {text!r} is no time; write 1s, 500ms or 2m")
    return float(found[1]) * {"ms": 0.001, "m": 60.0}.get(found[2], 1.0)


def _begun(source: str | None, length: float | None) -> datetime | None:
    """When a video file's first picture was taken; None for a camera and the screen.

    What is known of it is when the file was written, which is the end of a recording.
    """
    if source is None or source == "screen":
        return None
    return datetime.fromtimestamp(max(0.0, os.stat(as_path(source)).st_mtime - (length or 0)))


def _open(source: str | None, camera: str | None) -> Camera | Screen | Video:
    if source is not None and camera is not None:
        raise OptionError(f"give {source} or --camera {camera}, not both")
    if source is not None and source != "screen":
        from galago.media.video import Video

        check_address(source)
        if (source.isdecimal() or source in ("camera", "webcam")) and not os.path.exists(source):
            number = source if source.isdecimal() else "0"
            raise OptionError(f"no such video: {source}; a camera is --camera {number}")
        return Video(os.fspath(as_path(source)), name=source)
    from galago.media.camera import Camera, Screen

    return Screen() if source == "screen" else Camera(camera or "0")


@dataclass
class _Watch:
    """The frames of one source, and what was said of the last that was described."""

    vlm: FastVLM
    source: Camera | Screen | Video
    question: Question
    still: ChangeDetector
    outputs: Sequence[Output]
    memory: Memory | None = None
    looked: int = 0
    said: str | None = None
    described: int = field(default=0)

    def run(self, pace: float) -> int:
        """0, or 1 when a video could be read only in part."""
        length = self.source.duration
        started, code = time.perf_counter(), 0
        with Bar(int(length) if length else 0) as bar:
            # With a bar on the screen a caption is written whole, else as it comes.
            try:
                for frame in self.source.frames(pace):
                    self.see(frame, bar)
                    speed = frame.at / (time.perf_counter() - started)
                    bar.name(f"{speed:.1f}x real time")
                    bar.update("", int(frame.at), int(length or 0))
                if length:
                    for output in self.outputs:
                        output.tick(length)
            except CutShortError as error:
                code = 1
                with bar.aside():
                    complain(str(error))
        if self.question.stats:
            say(f"{self.looked} pictures looked at, {self.described} of them described")
            if self.memory is not None:
                say(self.memory.figures())
        return code

    def see(self, frame: Frame, bar: Bar) -> None:
        from galago.media.frames import clock

        self.looked += 1
        for output in self.outputs:
            output.tick(frame.at)
        thumbnail = frame.grey()
        if self.still.unchanged(thumbnail, frame.at):
            return
        seen = time.time()
        answer = self.ask(frame, bar)
        self.still.keep(thumbnail, frame.at)
        self.described += 1
        if answer.text != self.said or not self.still.max_age:
            self.said = answer.text
            for output in self.outputs:
                output.show(frame.at, answer.text)
        with bar.aside():
            told(self.vlm, self.question, answer, f"{clock(frame.at)}: ")
            if self.memory is not None and self.memory.is_new(frame, answer.text):
                self.memory.take(frame.image(), answer.text, frame.at, seen)

    def ask(self, frame: Frame, bar: Bar) -> Answer:
        """The caption; on stdout unless it is the one that stands there already."""
        line = _Line(frame.at, self.said if self.still.max_age else None)
        live = not bar.shown and not self.question.as_json
        image, last = self.vlm.encode(frame.image()), None
        for chunk in self.vlm.stream(image, self.question.prompt, self.question.options):
            line.add(chunk.text)
            if live:
                line.write()
            last = since_opened(chunk, image)
        answer = Answer(image, line.text, last)
        if line.text != line.before:
            with bar.aside():
                if self.question.as_json:
                    name = path_fields(self.source.name, "source") | {"start": round(frame.at, 3)}
                    write_record(record_of(self.vlm, name, self.question, answer))
                else:
                    line.write(end=True)
        return answer


class _Line:
    """A caption as it grows; held back for as long as it may turn out to be the one before."""

    def __init__(self, at: float, before: str | None) -> None:
        self.at, self.before = at, before
        self.text = ""
        self._written = -1

    def add(self, text: str) -> None:
        self.text += text

    def write(self, *, end: bool = False) -> None:
        from galago.media.frames import clock

        if not end and (not self.text or (self.before or "").startswith(self.text)):
            return
        if self._written < 0:
            self._written = 0
            write(f"{clock(self.at)}  ")
        write(self.text[self._written :] + ("\n" if end else ""))
        self._written = len(self.text)
