"""`galago chat`: a conversation about one picture."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.missing import missing
from galago.cli.options import Opening, Sampling
from galago.cli.questions import say_unless_whole
from galago.cli.spread import spread
from galago.cli.terminal import ask, complain, say, shown, write
from galago.errors import ImageError, OptionError
from galago.places import as_path

if TYPE_CHECKING:
    from galago.vlm.fastvlm import Chunk, Conversation, FastVLM
    from galago.vlm.sampling import SamplingOptions

__all__ = ["chat"]

HELP = """\
/new            forget what was said, keep the picture
/open PICTURE   talk about another picture
/quit           leave (so do quit, exit and Ctrl-D)
/help           this list"""


@spread
def chat(
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help="The picture to talk about.")],
    opening: Opening,
    sampling: Sampling,
) -> None:
    """Talk about a picture.

    It is looked at once, and every question knows the ones before. Questions are read line by
    line, from the keyboard or a pipe; answers go to stdout.

    \b
    Examples:
      galago chat photo.jpg
      galago chat receipt.png -m apple/FastVLM-0.5B
      printf 'What is written here?\\nIn which language?\\n' | galago chat sign.jpg
    """
    if picture == "-":
        raise OptionError("chat reads questions from stdin: save the picture to a file first")
    if not os.path.exists(as_path(picture)):
        raise ImageError(missing(picture))
    chosen = sampling.options()
    _Chat(opening.load(), picture, chosen).run()


class _Chat:
    def __init__(self, vlm: FastVLM, picture: str, sampling: SamplingOptions) -> None:
        self.vlm, self.sampling = vlm, sampling
        self.picture = picture
        self.conversation: Conversation = vlm.chat(as_path(picture), sampling)

    def run(self) -> None:
        interactive = sys.stdin.isatty()
        if interactive:
            say(f"Ask about {shown(self.picture)}; /help lists commands.")
            _line_editing()
        while (line := _read(interactive)) is not None:
            line = line.strip()
            if line.lower() in ("/quit", "/exit", "/q", "quit", "exit"):
                return
            if line.startswith("/"):
                self.command(line)
            elif line:
                self.answer(line, interactive)

    def answer(self, line: str, interactive: bool) -> None:
        """Stream one answer; Ctrl-C at the keyboard ends the answer, not the conversation."""
        last: Chunk | None = None
        options.say_unread(self.vlm.name, line)
        try:
            self.make_room(line)
            for chunk in self.conversation.say(line):
                write(chunk.text)
                last = chunk
        except KeyboardInterrupt:
            if not interactive:
                raise
        except OptionError as error:  # a question too long by itself; the next may not be
            complain(str(error))
            return
        write("\n")
        if last is not None and last.stats is not None:
            say_unless_whole(last, self.sampling)
            if last.stats.doubted:
                options.doubt(self.vlm.name)

    def make_room(self, line: str) -> None:
        """Forget the oldest turns when all of it would be too long for the model."""
        gone = self.conversation.shorten(line)
        if gone:
            first = "question and its answer are" if gone == 1 else f"{gone} questions are"
            say(f"(the conversation is too long for the model: the first {first} forgotten)")

    def command(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        if verb == "/new":
            self.open(self.picture)
        elif verb == "/open" and rest.strip():
            self.open(rest.strip())
        else:
            say(*HELP.splitlines())

    def open(self, picture: str) -> None:
        if not os.path.exists(as_path(picture)):
            complain(missing(picture))
            return
        try:
            self.conversation = self.vlm.chat(as_path(picture), self.sampling)
        except ImageError as error:
            complain(str(error))
            return
        self.picture = picture


def _read(interactive: bool) -> str | None:
    """The next line, None at the end."""
    if interactive:
        return ask("> ")
    return sys.stdin.readline() or None


def _line_editing() -> None:
    with contextlib.suppress(ImportError):  # importing is what gives input() editing and history
        import readline  # noqa: F401
