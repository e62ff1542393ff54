"""Where captions with times go besides stdout: a WebVTT file, and the loudspeaker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Protocol

from galago.cli.terminal import complain
from galago.errors import OptionError, StorageError
from galago.text.visible import visible

__all__ = ["Output", "Speech", "WebVTT"]


class Output(Protocol):
    """Hears every caption and how time goes on; times in seconds from the start."""

    def show(self, at: float, text: str) -> None: ...

    def tick(self, at: float) -> None: ...


class WebVTT:
    """Captions as a WebVTT file (https://www.w3.org/TR/webvtt1/); a context manager.

    A cue is appended whole when it is over, so that the file is valid at any moment, and can be
    read while it grows. It is not touched before the first caption.
    """

    def __init__(self, path: Path) -> None:
        """OptionError for a file that isn't WebVTT; StorageError where none can be written."""
        self._path = path
        self._file: IO[str] | None = None
        self._open: tuple[float, str] | None = None
        self._now = 0.0
        if not path.parent.is_dir():
            raise StorageError(f"{path} can't be written: there is no folder {path.parent}")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise StorageError(f"{path} can't be written; give another file")
        if path.is_file() and path.stat().st_size and not _is_vtt(path):
            raise OptionError(f"{path} is there and not a WebVTT file; give --vtt another name")

    def __enter__(self) -> WebVTT:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_cue(self._now)
        if self._file is not None:
            self._file.close()

    def show(self, at: float, text: str) -> None:
        self._end_cue(at)
        self._open = (at, text)
        if self._file is None:
            self._append("WEBVTT\n\n")

    def tick(self, at: float) -> None:
        self._now = at

    def _end_cue(self, at: float) -> None:
        if self._open is None:
            return
        start, text = self._open[0], visible(self._open[1], lines=True)
        # A blank line would end the cue, and these three letters are markup.
        for letter, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(letter, name)
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        times = f"{_stamp(start)} --> {_stamp(max(at, start + 0.1))}"
        cue = "\n".join([times, *lines, "", ""]) if lines else ""
        self._open = None  # as late as can be: an interrupt up to here leaves the cue to __exit__
        self._append(cue)

    def _append(self, text: str) -> None:
        try:
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8", newline="\n")
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{self._path} can't be written: {reason}") from error


def _is_vtt(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16).removeprefix(b"\xef\xbb\xbf").startswith(b"WEBVTT")


def _stamp(seconds: float) -> str:
    whole = round(seconds * 1000)
    minutes, milliseconds = divmod(whole, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


_SAPI = (
    "[Console]::InputEncoding = [Text.Encoding]::UTF8; Add-Type -AssemblyName System.Speech; "
    "(New-Object System.Speech.Synthesis.SpeechSynthesizer).Speak([Console]::In.ReadToEnd())"
)
# All read what they say from stdin: a caption is never part of a command line.
_SPEAKERS = {
    "darwin": (["say", "-f", "-"],),
    "win32": (["powershell", "-NoProfile", "-NonInteractive", "-Command", _SAPI],),
}
_OTHERS = (["spd-say", "--wait", "--pipe-mode"], ["espeak-ng", "--stdin"], ["espeak", "--stdin"])


class Speech:
    """Speaks captions with the system's own voice; a context manager.

    While one is spoken only the newest of those that come is kept: speech never falls behind.
    """

    def __init__(self) -> None:
        """OptionError when the system has none of the programs that speak."""
        choices = _SPEAKERS.get(sys.platform, _OTHERS)
        command = next((one for one in choices if shutil.which(one[0])), None)
        if command is None:
            raise OptionError(
                f"--speak needs {' or '.join(one[0] for one in choices)}, and it isn't installed"
            )
        self._command = command
        self._speaking: subprocess.Popen[bytes] | None = None
        self._waiting = ""
        self._complained = False

    def __enter__(self) -> Speech:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._speaking is not None:
            self._speaking.kill()
            self._waiting = ""
        while self._speaking is not None:
            self._speaking.wait()
            self._next()

    def show(self, at: float, text: str) -> None:
        self._waiting = text
        self._next()

    def tick(self, at: float) -> None:
        self._next()

    def _next(self) -> None:
        if self._speaking is not None:
            if self._speaking.poll() is None:
                return
            # A negative code is a signal: Ctrl-C reaches the speaking program too.
            if self._speaking.returncode > 0 and not self._complained:
                self._complained = True
                complain(f"{self._command[0]} could not speak (exit {self._speaking.returncode})")
            self._speaking = None
        text, self._waiting = self._waiting.strip(), ""
        if text:
            self._speaking = self._start(text)

    def _start(self, text: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
        assert process.stdin is not None
        try:
            process.stdin.write(text.encode("utf-8", "replace") + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass  # its exit code is told when it has ended
        return process
