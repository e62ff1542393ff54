"""`galago classify`: pictures and labels in, probabilities out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from galago import catalog
from galago.cli import options
from galago.cli.missing import refuse_labels
from galago.cli.options import ClipOpening
from galago.cli.pictures import Picture, expand, for_each
from galago.cli.terminal import Bar, path_fields, say, shown, write, write_record
from galago.errors import OptionError
from galago.text.languages import language_note

if TYPE_CHECKING:
    from galago.clip.labels import LabelSet, Sorting
    from galago.clip.mobileclip import MobileCLIP
    from galago.media.pool import PicturePool

__all__ = ["classify"]

TEMPLATE_NAMES = ("photo", "imagenet", "plain")
_SHOWN = 5
_LARGEST = 16 << 20  # bytes of a file of labels; more is some other file


@dataclass(frozen=True)
class Labelling:
    """A loaded model and its labels, embedded once for all pictures."""

    clip: MobileCLIP
    labels: LabelSet

    @property
    def notes(self) -> list[str]:
        """What the model doesn't make of the labels."""
        name, labels = self.clip.name, self.labels
        found = language_note(labels.labels, name), catalog.strange(name, labels.strange)
        return [note for note in found if note]

    def sort(self, picture: Picture) -> Sorting:
        return self.clip.sort_pixels(self.clip.prepare(picture.source), self.labels)


def _complete_templates(incomplete: str) -> Iterator[str]:
    return (name for name in TEMPLATE_NAMES if name.startswith(incomplete))


def classify(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE", help="Files, folders, globs, or - for a picture on stdin."
        ),
    ],
    labels: Annotated[
        str | None, typer.Option("--labels", "-l", metavar="A,B,…", help="Labels, with commas.")
    ] = None,
    labels_from: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A text file with one label a line (UTF-8)."),
    ] = None,
    templates: Annotated[
        str,
        typer.Option(
            metavar="|".join(TEMPLATE_NAMES),
            help='The sentences labels are put into: "a photo of a …", the mean of the 80 that '
            "ImageNet is tested with (80 times the work, once), or none.",
            autocompletion=_complete_templates,
        ),
    ] = "photo",
    model: options.ClipModelName = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N", help=f"Show the likeliest N labels; {_SHOWN} by default, all with --json."
        ),
    ] = None,
    precision: options.ClipPrecision = "auto",
    threads: options.Threads = None,
    device: options.Device = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="Look in the folders of a folder too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a picture, on a line of its own.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Say which of your labels fits each picture best, with probabilities.

    The probabilities of the labels add up to 1, so one of them always wins: name all that the
    pictures may show, and perhaps "something else".

    \b
    Examples:
      galago classify photo.jpg --labels "cat,dog,car"
      galago classify holiday/ --labels "beach,mountains,city,food" --top 1
      galago classify holiday/ --labels-from places.txt --json > places.jsonl
      galago classify bird.jpg --labels-from birds.txt --templates imagenet -m MobileCLIP2-S4
    """
    if top is not None and top < 1:
        raise OptionError(f"--top {top} is not possible: use 1 or more")
    if templates not in TEMPLATE_NAMES:
        raise OptionError(f"--templates {templates!r}: choose one of {', '.join(TEMPLATE_NAMES)}")
    refuse_labels(pictures, labels)
    names = _labels(labels, labels_from)
    found = expand(pictures, recursive=recursive)
    opening = ClipOpening(model, precision, threads, offline, device)
    most = top or (len(names) if as_json else _SHOWN)

    def load(pool: PicturePool | None) -> Labelling:
        labelling = _embed(opening.load(pool), names, templates)
        for note in labelling.notes:
            say(f"note: {note}")
        return labelling

    def work(labelling: Labelling, picture: Picture, bar: Bar) -> None:
        sorting = labelling.sort(picture)
        ranked = _ranked(labelling.labels.labels, sorting.shares)[:most]
        many = len(found) > 1
        with bar.aside():
            if as_json:
                write_record(_record(labelling, picture, sorting, ranked))
            else:
                write(_lines(picture, ranked, many=many))
            if sorting.doubted:
                options.doubt(labelling.clip.name, f"{shown(picture.label)}: " if many else "")

    raise typer.Exit(for_each(found, load, work, as_json=as_json))


def _labels(listed: str | None, path: str | None) -> list[str]:
    """The labels of both options in order, each once; OptionError when there is none."""
    given = [*(listed or "").split(","), *(_lines_of(path) if path is not None else [])]
    given = [" ".join(label.split()) for label in given]
    given = [label for label in given if label]
    names = list(dict.fromkeys(given))
    if not names:
        raise OptionError(
            'there are no labels: give some, as in --labels "cat,dog,car" or --labels-from FILE'
        )
    if len(names) < len(given):
        say(f"note: {len(given) - len(names)} of the labels came twice and are taken once")
    if len(names) == 1:
        say("note: a single label always gets probability 1; name others, with commas")
    return names


def _lines_of(path: str) -> list[str]:
    """The lines of a file of labels."""
    try:
        if os.path.getsize(path) > _LARGEST:
            raise OptionError(f"{path} is too large for a list of labels: one label a line")
        with open(path, encoding="utf-8-sig") as file:
            return file.read().splitlines()
    except UnicodeDecodeError:
        raise OptionError(f"{path} is no UTF-8 text: write one label a line") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"--labels-from {path} can't be read ({reason})") from None


def _embed(clip: MobileCLIP, names: list[str], templates: str) -> Labelling:
    with Bar(len(names)) as bar:
        bar.name("labels")
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            for _ in range(count - done):
                bar.advance()
            done = count

        return Labelling(clip, clip.label_set(names, templates, progress))


def _ranked(labels: Sequence[str], shares: Sequence[float]) -> list[tuple[str, float]]:
    """Labels with their probabilities, likeliest first."""
    return sorted(zip(labels, shares, strict=True), key=lambda pair: -pair[1])


def _record(
    labelling: Labelling, picture: Picture, sorting: Sorting, ranked: list[tuple[str, float]]
) -> dict[str, object]:
    """The object of --json."""
    name = labelling.clip.name
    record = {
        **path_fields(picture.label, "picture"),
        "model": name,
        "labels": [{"label": label, "probability": round(share, 6)} for label, share in ranked],
        "known": None if sorting.known is None else round(sorting.known, 4),
        "doubt": catalog.doubt(name) if sorting.doubted else None,
    }
    notes = labelling.notes
    return {**record, "note": "; ".join(notes)} if notes else record


def _lines(picture: Picture, ranked: list[tuple[str, float]], *, many: bool) -> str:
    """A label a line; of many pictures, a line a picture."""
    if many:
        parts = ", ".join(f"{label} {share:.1%}" for label, share in ranked)
        return f"{shown(picture.label)}: {parts}\n"
    return "".join(f"{share:6.1%}  {label}\n" for label, share in ranked)
