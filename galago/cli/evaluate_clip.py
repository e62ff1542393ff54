"""`galago evaluate clip`: a MobileCLIP on the field's benchmarks, beside what is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.catalog import find
from galago.cli import options
from galago.cli.evaluations import share, table
from galago.cli.options import ClipOpening
from galago.cli.terminal import Bar, complain, say, write, write_record
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.clip.mobileclip import MobileCLIP
    from galago.evaluate.clip.published import Published
    from galago.evaluate.clip.score import Score
    from galago.evaluate.clip.sets import Place

__all__ = ["clip"]


def clip(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="The folder that benchmarks lie in, or one of them: WebDataset tars as the hub "
            "has them, or clip_benchmark's folders.",
        ),
    ],
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Benchmarks with commas between them, such as imagenet1k,food101; datacomp are "
            "the papers' 38, robustness ImageNet's shifts, retrieval Flickr30k and COCO.",
            show_default="all that lie in DATA",
        ),
    ] = None,
    model: options.ClipModelName = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Look at N pictures of each, drawn with --seed."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the pictures that are drawn.")] = 0,
    precision: options.ClipPrecision = "auto",
    threads: options.Threads = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure what was measured before, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a benchmark, on a line of its own.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Measure a MobileCLIP on the field's benchmarks: ImageNet, DataComp's 38, retrieval.

    Data, sentences and metrics are clip_benchmark's, vectors galago's; each figure has its 95 %
    interval and stands beside the published one. Nothing is fetched: of a benchmark that isn't in
    DATA the line that fetches it is told. What is done is kept in galago's cache, and the same
    command goes on where it was stopped. Needs the extra evaluate-clip.

    \b
    Examples:
      galago evaluate clip benchmarks/ -m MobileCLIP2-S0
      galago evaluate clip benchmarks/ -m MobileCLIP2-S0 --tasks imagenet1k,retrieval
      galago evaluate clip benchmarks/ -m MobileCLIP2-B --tasks datacomp --limit 1000
    """
    from galago.evaluate.clip.published import published

    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise OptionError(f"{data} is no folder")
    if limit is not None and limit < 1:
        raise OptionError(f"--limit {limit} leaves no picture: use 1 or more")
    places, absent = _places(tasks, folder)
    if not places:
        raise OptionError(f"no benchmark lies in {data}: docs/evaluate.md tells where they are")
    opening = ClipOpening(model, precision, threads, offline)
    opened, row = opening.load(), find(opening.name())
    # By the catalogue's row alone: a folder may be called anything.
    theirs = published(row.name) if row is not None else None
    failed = _measure(opened, places, theirs, limit, seed, again, as_json)
    raise typer.Exit(2 if failed == len(places) else 1 if failed or absent else 0)


def _places(tasks: str | None, folder: Path) -> tuple[list[Place], int]:
    """The benchmarks that are here, and how many are not; what to do for those is told."""
    from galago.evaluate.clip.sets import chosen, find_place, wanting

    words = [word.strip() for word in (tasks or "").split(",") if word.strip()]
    if tasks is not None and not words:
        raise OptionError("--tasks names no benchmark")
    places, absent = [], 0
    for one in chosen(words, folder):
        if place := find_place(one, folder):
            places.append(place)
        else:
            absent += 1
            say(wanting(one, folder))
    return places, absent


def _measure(
    clip: MobileCLIP,
    places: list[Place],
    row: Published | None,
    limit: int | None,
    seed: int,
    again: bool,
    as_json: bool,
) -> int:
    """All benchmarks, told as they come and together at the end; how many failed."""
    from galago.evaluate.clip.run import Scores
    from galago.places import cache_dir

    scores, before = [], 0
    with (
        Scores(
            cache_dir() / "evaluate" / "clip", clip, limit=limit, seed=seed, again=again
        ) as all_,
        Bar(None, rate=True) as bar,
    ):
        for place in places:
            try:
                score, known = all_.of(place, bar.update)
            except OptionError as error:
                with bar.aside():
                    complain(f"{place.of.name}: {error}")
                continue
            except KeyboardInterrupt:
                say("stopped; the same command goes on: vectors are kept")
                raise
            before += known
            scores.append(score)
            if as_json:
                with bar.aside():
                    write_record(_record(clip, score, row))
    if before:
        were = "figure was" if before == 1 else "figures were"
        say(f"{before} {were} there from before; --again measures anew")
    if scores and not as_json:
        _tell(clip, scores, row)
    return len(places) - len(scores)


def _record(clip: MobileCLIP, score: Score, row: Published | None) -> dict[str, Any]:
    from galago.evaluate.clip.beside import published_of

    return {
        "model": clip.name,
        "precision": clip.precision,
        **score.to_json(),
        "published": published_of(score, row),
        "source": row.source if row else None,
    }


def _tell(clip: MobileCLIP, scores: list[Score], row: Published | None) -> None:
    from galago.evaluate.clip.beside import mean_of_datacomp, mean_sentence, published_of, sentence

    rows = []
    for one in scores:
        theirs = published_of(one, row)
        interval = f"{share(one.figure.low)} to {share(one.figure.high)}"
        rows.append(
            (
                one.title,
                one.metric,
                share(one.figure.mean),
                interval if one.figure.method else "",
                f"{one.figure.count:,} of {one.of:,}"
                if one.figure.count < one.of
                else f"{one.of:,}",
                share(theirs) if theirs is not None else "",
            )
        )
    write(f"\n{clip.name}, {clip.precision}\n\n")
    heads = ("benchmark", "metric", "here", "95 % interval", "pictures", "published")
    write(table(heads, rows, 2))
    for one in scores:
        if line := sentence(one, row):
            write(f"{line}\n")
    if mean := mean_of_datacomp(scores):
        write(f"{mean_sentence(mean, row)}\n")
