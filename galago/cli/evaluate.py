"""`galago evaluate`: how good models are, by questions whose answers are known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.evaluate_clip import clip
from galago.cli.evaluate_items import items_asked
from galago.cli.evaluate_precision import precision
from galago.cli.evaluate_vlm import vlm
from galago.cli.evaluations import place_for, tell_comparison, tell_report, write_results
from galago.cli.groups import Group
from galago.cli.options import ClipOpening, Opening
from galago.cli.terminal import Bar, complain, say, stages, write_record
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.evaluate.asking import Asker
    from galago.evaluate.compare import Comparison, Judged
    from galago.evaluate.items import Items
    from galago.evaluate.outcomes import Failure, Outcome, Run
    from galago.evaluate.report import Report
    from galago.media.pool import PicturePool

__all__ = ["evaluate"]


class _Whats(Group):
    """What can be evaluated, with a hint for whoever leaves the word out."""

    def unknown(self, name: str) -> str:
        """With the word that was left out, where a path stands in its place."""
        if os.path.exists(os.path.expanduser(name)):
            return f"did you mean galago evaluate own {name}?"
        return f"{name!r} can't be evaluated; there is: {', '.join(self.commands)}"


evaluate = typer.Typer(
    name="evaluate",
    cls=_Whats,
    help="Tell how good models are, by questions whose answers are known.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@evaluate.callback(
    epilog="How fast they are: galago bench. What each figure means: docs/evaluate.md."
)
def _evaluate() -> None:
    """Tell how good models are, by questions whose answers are known."""


evaluate.command("clip")(clip)
evaluate.command("precision")(precision)
evaluate.command("vlm")(vlm)


@dataclass(frozen=True)
class _Setting:
    """One of the runs: a model and what it is for, a precision, and what is said behind each
    question."""

    model: str | None
    kind: str | None
    precision: str
    suffix: str


@dataclass(frozen=True)
class _Way:
    """How all runs are made."""

    resolution: str | None
    templates: str
    max_tokens: int
    threads: int | None
    again: bool
    offline: bool


@evaluate.command("own")
def own(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder of folders named after what their pictures show, a CSV or TSV, JSON or "
            "JSON lines, a data set of save_to_disk, or WebDataset tars.",
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A FastVLM, or of data with labels a MobileCLIP (may be repeated: each is "
            "compared with the first); the best FastVLM that is here unless `galago use` says "
            "otherwise.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    precisions: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            metavar="P",
            help="Arithmetic, as of describe and classify (may be repeated).",
            show_default="auto",
        ),
    ] = None,
    suffixes: Annotated[
        list[str] | None,
        typer.Option(
            "--suffix",
            metavar="TEXT",
            help='Said on a line behind each question, such as "Answer with one word." (may be '
            'repeated; "" is none).',
        ),
    ] = None,
    images: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the data's pictures are.")
    ] = None,
    question: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Asked where data has answers alone.")
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of rows that name none: exact, any-of, contains, anls, relaxed, choice, verbatim "
            "or characters.",
            show_default="exact; choice where a row has choices",
        ),
    ] = "",
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Ask only so many rows, drawn with --seed.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the rows that are drawn.")] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave faulty rows out.")] = False,
    resolution: options.Resolution = None,
    templates: Annotated[
        str,
        typer.Option(
            metavar="photo|imagenet|plain",
            help="MobileCLIP: the sentences labels are put into, as of classify.",
        ),
    ] = "photo",
    max_tokens: options.MaxTokens = 128,
    threads: options.Threads = None,
    again: Annotated[bool, typer.Option("--again", help="Ask what was asked before, too.")] = False,
    compare: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Compare with a run that --out has written."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write results.json, answers.jsonl, and worst.html: twenty wrong answers with "
            "their pictures.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a run, on a line of its own.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Ask models the questions of your own data, and count the right answers.

    Each figure has its 95 % interval. Of labels it is told which are taken for which; of every
    model whether it is right when it is sure. With several models, precisions or suffixes each run
    is compared with the first, answer by answer. A row may say how it is judged (metric), what can
    be chosen (choices) and what it counts under (task). Answers are kept in galago's cache as they
    come: what was asked once isn't asked again, and the same command goes on where it was stopped.
    Nothing is sent anywhere.

    \b
    Examples:
      galago evaluate own photos/ -m mobileclip2-nano
      galago evaluate own questions.csv --images photos/ -m apple/FastVLM-0.5B --out results
      galago evaluate own photos/ --question "Which fruit is it?" --metric contains
      galago evaluate own test.jsonl -m apple/FastVLM-0.5B -m ./my-finetuned-fastvlm
      galago evaluate own test.jsonl --precision int8 --precision fp32 --limit 500
    """
    from galago.evaluate.items import Asking

    asking = Asking(metric, limit, seed, skip_bad)
    if max_tokens < 1:
        raise OptionError(f"--max-tokens {max_tokens} leaves no answer: use 1 or more")
    named: list[str | None] = [*models] if models else [None]
    before = _earlier(compare)
    items = items_asked(data, images, question, asking, before)
    way = _Way(resolution, templates, max_tokens, threads, again, offline)
    # All models before the first is asked: hours later is late for a name that isn't there.
    kinds = {model: _kind(model, items, way) for model in named}
    _check_options(set(kinds.values()), precisions or [], suffixes or [], way)
    every = product(named, precisions or ["auto"], suffixes or [""])
    settings = [_Setting(model, kinds[model], *rest) for model, *rest in every]
    places = [place_for(out, number, len(settings)) for number in range(1, len(settings) + 1)]
    codes = []
    with _pool() as pool:
        for setting, place in zip(settings, places, strict=True):
            asked = _run(items, setting, way, pool, alone=len(settings) == 1)
            codes.append(1 if asked.failures else 0)
            if not asked.outcomes:
                complain("no row could be asked")
                codes[-1] = 2
                continue
            name = _named(asked, setting, settings)
            done, comparison = _judged(asked, items, name, before)
            before = before or (name, _of(asked))
            record = {"name": name, "data": data, **done.to_json()}
            record["comparison"] = comparison.to_json() if comparison else None
            if place is not None:
                write_results(place, record, asked, name, pool)
            write_record(record) if as_json else _tell(name, done, comparison)
    raise typer.Exit(max(codes))


def _tell(name: str, done: Report, comparison: Comparison | None) -> None:
    tell_report(name, done)
    if comparison is not None:
        tell_comparison(comparison)


def _earlier(folder: str | None) -> tuple[str, list[Judged]] | None:
    if folder is None:
        return None
    from galago.evaluate.compare import earlier

    return earlier(Path(folder).expanduser())


@contextmanager
def _pool() -> Iterator[PicturePool]:
    """Many pictures may be anyone's: they are opened in a process of their own."""
    from galago.media.pool import PicturePool

    with PicturePool(1).warm() as pool:
        yield pool


def _run(
    items: Items, setting: _Setting, way: _Way, pool: PicturePool, *, alone: bool = False
) -> Run:
    """All items asked; a failure is told when it comes.  `alone`: no other model is opened."""
    from galago.evaluate.kept import KeptAnswers
    from galago.evaluate.outcomes import Failure, run
    from galago.memory import peak_memory
    from galago.places import cache_dir

    asked = [item.behind(setting.suffix) for item in items.items]
    asker = _asker(items, setting, way, pool)
    with (
        # Their times are kept with them, which are of so many threads.
        KeptAnswers(
            cache_dir() / "evaluate",
            {**asker.identity, **({"threads": way.threads} if way.threads else {})},
        ) as kept,
        Bar(len(asked), rate=True) as bar,
    ):
        bar.name(asker.name)

        def heard(one: Outcome | Failure) -> None:
            if isinstance(one, Failure):
                with bar.aside():
                    complain(f"{one.item.row.where}: {one.why}")
            bar.advance()

        try:
            done = run(asked, asker, kept, again=way.again, heard=heard)
        except KeyboardInterrupt:
            say("stopped; the same command goes on: answers are kept")
            raise
        if alone and done.asked:
            kept.put_peak(peak_memory())
        done = replace(done, memory=kept.peak)
    if before := len(done.outcomes) - done.asked:
        were = "answer was" if before == 1 else "answers were"
        say(f"{before:,} {were} there from before; --again asks anew")
    if done.failures:
        complain(f"{len(done.failures)} of {len(asked)} rows could not be asked")
    return done


def _asker(items: Items, setting: _Setting, way: _Way, pool: PicturePool) -> Asker:
    """The model, opened."""
    from galago.evaluate.asking import ClipAsker, VlmAsker

    if setting.kind == "mobileclip":
        clip = ClipOpening(setting.model, setting.precision, way.threads, way.offline).load(pool)
        return ClipAsker(clip, items.labels, way.templates)
    opening = Opening(
        setting.model, way.resolution, setting.precision, way.threads, offline=way.offline
    )
    vlm = opening.load(pool=pool)
    return VlmAsker(vlm, way.max_tokens, "auto" if way.resolution == "auto" else None)


def _kind(model: str | None, items: Items, way: _Way) -> str | None:
    """What a model is for; of one that isn't here its files tell, which are fetched.

    OptionError for a MobileCLIP where there are no labels to choose among.
    """
    from galago.convert.store import kind_of
    from galago.hub.fetched import fetched

    if model is None:
        return "fastvlm"
    if (kind := kind_of(model)) is None:
        with stages() as progress:
            kind = fetched(model, offline=way.offline or None, progress=progress).kind
    if kind == "mobileclip" and not items.labels:
        raise OptionError(
            f"{model} chooses among labels, and this data has questions, or answers that don't "
            "come again: use a FastVLM"
        )
    return kind


def _check_options(
    kinds: set[str | None], precisions: list[str], suffixes: list[str], way: _Way
) -> None:
    """OptionError for an option that one of the models can't have, or none would heed."""
    from galago.engine.precision import check_clip_precision, check_precision

    for one in precisions:
        if "mobileclip" in kinds:
            check_clip_precision(one)
        if kinds != {"mobileclip"}:
            check_precision(one)
    if kinds == {"mobileclip"} and (suffixes or way.resolution is not None):
        option = "--suffix" if suffixes else "--resolution"
        raise OptionError(f"{option} is for a FastVLM: a MobileCLIP chooses among labels")
    if "mobileclip" not in kinds and way.templates != "photo":
        raise OptionError("--templates is for a MobileCLIP: a FastVLM is asked a --question")


def _named(run: Run, setting: _Setting, settings: list[_Setting]) -> str:
    """What a run is called: its model and precision, and what else tells it from the others."""
    name = f"{run.model}, {run.settings['precision']}"
    several = len({one.suffix for one in settings}) > 1
    return f"{name}, {setting.suffix.strip() or 'no suffix'!r}" if several else name


def _judged(
    run: Run, items: Items, name: str, before: tuple[str, list[Judged]] | None
) -> tuple[Report, Comparison | None]:
    from galago.evaluate.compare import compared
    from galago.evaluate.report import report

    done = report(run, items.labels)
    return done, None if before is None else compared(before, (name, _of(run)))


def _of(run: Run) -> list[Judged]:
    from galago.evaluate.compare import judged_of

    return judged_of(run.outcomes)
