"""`galago describe`: pictures and videos in, words out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli.missing import check_address, refuse_questions
from galago.cli.options import Opening, Sampling
from galago.cli.pictures import Picture, expand, for_each
from galago.cli.questions import Answer, Asked, Question, record_of, since_opened, told
from galago.cli.schema import Formed, SchemaFile, in_form
from galago.cli.spread import spread
from galago.cli.terminal import Bar, path_fields, shown, write, write_record

if TYPE_CHECKING:
    from galago.media.pool import PicturePool
    from galago.vlm.fastvlm import Chunk, EncodedImage, FastVLM

__all__ = ["describe"]


@spread
def describe(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE",
            help="Files (videos too), folders, globs, or - for a picture on stdin.",
        ),
    ],
    asked: Asked,
    opening: Opening,
    sampling: Sampling,
    schema: SchemaFile = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="Look in the folders of a folder too.")
    ] = False,
    page: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of a file with several pictures (TIFF, animations) look at this one, from 1.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a picture, on a line of its own.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Show times, tokens a second and memory on stderr.")
    ] = False,
) -> None:
    """Say what is in pictures, or answer a question about each.

    The answer streams to stdout; everything else goes to stderr. Of many pictures a few are
    answered at the same time, in their order; --stats goes one by one. With --schema (needs the
    extra structured) an answer is JSON of your schema, printed when it is whole; the schema's
    descriptions are told to the model. A video (needs the extra video) gets an answer for each of
    its scenes; those in a folder are left out unless a glob names them.

    \b
    Examples:
      galago describe photo.jpg
      galago describe note.jpg --preset read
      galago describe hand.jpg --prompt "How many fingers are raised?"
      galago describe holiday/ --preset brief --json > holiday.jsonl
      galago describe card.jpg --schema person.json -p "Who is this?"
      galago describe clip.mp4 --preset brief
      galago describe sign.png --preset translate --to German -m apple/FastVLM-0.5B
      curl -s URL | galago describe -
    """
    options = in_form(sampling.options(), schema)
    question = replace(asked.question(options, as_json=as_json, stats=stats), page=page)
    refuse_questions(pictures)
    found = expand(pictures, recursive=recursive, videos=True)
    _look_ahead(found)
    many = len(found) > 1
    formed = Formed(question, lone=not (many or found[0].is_video)) if schema else None

    def work(vlm: FastVLM, picture: Picture, bar: Bar) -> None:
        name = path_fields(picture.label, "picture")
        if picture.is_video:
            _describe_scenes(vlm, picture, question, bar, formed, many=many)
        else:
            head = f"{shown(picture.label)}: " if many else ""
            source = picture.source
            if not isinstance(source, Answer):
                source = vlm.prepare(source, page=page)
            _tell(vlm, source, head, name, question, bar, formed, many=many)

    def load(pool: PicturePool | None) -> FastVLM:
        return opening.load(question.prompt, pool)

    # Times of a picture mean little while others are at work.
    together = None if stats else _Ahead(question)
    code = for_each(found, load, work, as_json=as_json, ready=together)
    raise typer.Exit(formed.code(code) if formed else code)


def _look_ahead(found: list[Picture]) -> None:
    """A lone video that can't be opened is told before a model is loaded for it."""
    if len(found) == 1 and found[0].is_video:
        from galago.media.video import Video

        check_address(found[0].label)
        with Video(found[0].path, name=found[0].label):
            pass


class _Ahead:
    """Answers made before their turn, each in a thread of its own."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._looking = Lock()

    def __call__(self, vlm: FastVLM, picture: Picture, stop: Event) -> Any:
        """A picture's answer, None after `stop`; a video, which is read when its turn comes."""
        if picture.is_video:
            return picture.source
        prepared = vlm.prepare(picture.source, page=self._question.page)
        # The model looks at one picture at a time; whoever waits for that here sees the stop.
        with self._looking:
            image = None if stop.is_set() else vlm.encode(prepared)
        if image is None or stop.is_set():
            return None
        return _answer(vlm, image, self._question, stop)


def _answer(
    vlm: FastVLM,
    image: EncodedImage,
    question: Question,
    stop: Event | None = None,
    hear: Callable[[str], None] | None = None,
) -> Answer:
    """The answer, which `hear` gets piece by piece; broken off after `stop`.

    Its times count from when the picture was opened.
    """
    parts: list[str] = []
    last: Chunk | None = None
    for chunk in vlm.stream(image, question.prompt, question.options):
        if hear is not None:
            hear(chunk.text)
        parts.append(chunk.text)
        last = since_opened(chunk, image) if chunk.stats is not None else None
        if stop is not None and stop.is_set():
            break
    return Answer(image, "".join(parts), last)


def _describe_scenes(
    vlm: FastVLM,
    picture: Picture,
    question: Question,
    bar: Bar,
    formed: Formed | None,
    *,
    many: bool,
) -> None:
    """One answer for each scene of a video, as soon as the scene is over."""
    from galago.media.frames import clock
    from galago.media.scenes import INTERVAL, scenes
    from galago.media.video import Video

    with Video(picture.path, name=picture.label) as video:
        for scene in scenes(video.frames(INTERVAL), lambda: video.end):
            times = f"{clock(scene.start)}-{clock(scene.end)}"
            head = f"{shown(picture.label)} {times}: " if many else f"{times}  "
            name = path_fields(picture.label, "picture") | {
                "start": round(scene.start, 3),
                "end": round(scene.end, 3),
                "frame": round(scene.frame.at, 3),
            }
            _tell(vlm, scene.frame.image(), head, name, question, bar, formed, many=many)


def _tell(
    vlm: FastVLM,
    source: Any,
    head: str,
    name: dict[str, Any],
    question: Question,
    bar: Bar,
    formed: Formed | None,
    *,
    many: bool,
) -> None:
    """Write one answer behind its head; a picture without one is asked about now.

    That streams, unless there is a bar to take aside for it.
    """
    quiet = question.as_json or formed is not None
    live = not (quiet or isinstance(source, Answer) or (many and sys.stderr.isatty()))
    begun = False

    def hear(text: str) -> None:
        nonlocal begun
        write(text if begun else head + text)
        begun = True

    if isinstance(source, Answer):
        answer = source
    else:
        answer = _answer(vlm, vlm.encode(source), question, hear=hear if live else None)
    aside = f"{head.rstrip(' :')}: " if head else ""
    with bar.aside():
        value, why = formed.value(answer) if formed is not None else (None, None)
        if question.as_json:
            data = {} if formed is None else {"data": value}
            write_record(record_of(vlm, name | data, question, answer))
        elif formed is None:
            write("\n" if live else f"{head}{answer.text}\n")
        elif why is None:
            write(head)
            write_record(value)
        told(vlm, question, answer, aside)
        if formed is not None and why is not None:
            formed.tell(why, aside)
