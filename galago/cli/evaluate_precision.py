"""`galago evaluate precision`: what each precision and resolution of a model costs in quality."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.evaluate_items import items_asked
from galago.cli.evaluations import share, table
from galago.cli.stopping import stoppable
from galago.cli.terminal import Bar, complain, say, stages, write, write_record
from galago.errors import GalagoError, OptionError
from galago.specs import CLIP_PRECISIONS, PRECISIONS

if TYPE_CHECKING:
    from galago.evaluate.precision import Setting, Trial

__all__ = ["precision"]


@dataclass(frozen=True)
class _Asked:
    """What all trials are asked, and how: words behind `galago evaluate own`."""

    model: str
    data: str
    more: tuple[str, ...]
    shipped: bool


@dataclass(frozen=True)
class _Found:
    """What came of the trials; why settings can't be tried; what couldn't be asked, and why, of
    the first one: the others leave out the same rows."""

    trials: list[Trial]
    failed: dict[Setting, str]
    unasked: list[str]


def precision(
    model: options.SourceModel,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="What is asked, as of `galago evaluate own`.",
            show_default="the examples that come with galago",
        ),
    ] = None,
    precisions: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            metavar="P",
            help="Try these alone (may be repeated).",
            show_default="all",
        ),
    ] = None,
    resolutions: Annotated[
        list[int] | None,
        typer.Option(
            "--resolution",
            "-r",
            metavar="N",
            help="Try these sides in pixels, each in each precision (may be repeated).",
            show_default="the model's own, and less in what auto chooses",
        ),
    ] = None,
    images: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the data's pictures are.")
    ] = None,
    question: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Asked where data has answers alone.")
    ] = None,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="Of rows that name none, as of evaluate own.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Ask only so many rows, drawn with --seed.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the rows that are drawn.")] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave faulty rows out.")] = False,
    max_tokens: options.MaxTokens = 128,
    threads: options.Threads = None,
    again: Annotated[bool, typer.Option("--again", help="Ask what was asked before, too.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a trial, on a line of its own.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Try every precision and resolution of a model on your own data: what each costs in quality.

    Each is asked the same questions, in a process of its own: how often it is right, how many
    answers are those of full precision, the time to the first word, and memory. The quickest that
    isn't worse is recommended. Answers are kept: the same command goes on where it was stopped.
    Nothing is sent anywhere.

    \b
    Examples:
      galago evaluate precision apple/FastVLM-0.5B
      galago evaluate precision apple/FastVLM-0.5B questions.csv --images photos/ --limit 200
      galago evaluate precision ./mine test.jsonl --precision int8 --precision int8-int8
      galago evaluate precision mobileclip2-nano photos/
    """
    from galago.evaluate.items import Asking

    asking = Asking(metric, limit, seed, skip_bad)
    if data is not None:  # before a model is fetched and converted for it
        items_asked(data, images, question, asking)
    more: list[str] = ["--seed", str(seed), "--max-tokens", str(max_tokens)]
    given = {"--images": images, "--question": question, "--limit": limit, "--threads": threads}
    for name, value in given.items():
        more += [name, str(value)] if value is not None else []
    more += ["--metric", metric] if metric else []
    more += ["--skip-bad"] if skip_bad else []
    more += ["--again"] if again else []
    more += ["--offline"] if offline else []
    kind, settings = _settings(model, precisions, resolutions, offline)
    asked = _Asked(model, data or _shipped(kind), tuple(more), data is None)
    with stoppable(), tempfile.TemporaryDirectory(prefix="galago-precision-") as folder:
        found = _tried(asked, settings, kind, Path(folder), offline)
    _tell(asked, found, as_json)
    raise typer.Exit(1 if found.failed or found.unasked else 0)


def _settings(
    model: str, precisions: list[str] | None, resolutions: list[int] | None, offline: bool
) -> tuple[str, list[Setting]]:
    """What a model is for, and what is tried of it, full precision first."""
    from galago.checkpoints.vlm import open_spec
    from galago.convert.folder import is_converted
    from galago.engine.precision import check_clip_precision, check_precision
    from galago.engine.processor import precision_here
    from galago.evaluate.precision import crossed, sides
    from galago.hub.fetched import fetched

    with stages() as progress:
        source = fetched(model, offline=offline or None, progress=progress)
    if is_converted(source.folder):
        raise OptionError(
            f"{model} is converted, which runs in one precision: name the model it was made from"
        )
    if source.kind == "mobileclip":
        if resolutions:
            raise OptionError("--resolution is for a FastVLM: a MobileCLIP has one")
        for one in precisions or []:
            check_clip_precision(one)
        return "mobileclip", crossed(precisions or CLIP_PRECISIONS[1:], [None], None)
    for one in precisions or []:
        check_precision(one)
    every = precisions or PRECISIONS[1:]
    if precisions or resolutions:
        return "fastvlm", crossed(every, resolutions or [None], None)
    spec = open_spec(source.folder)
    auto = precision_here("auto", spec)
    middle = next((one for one in every if auto.answers(one)), "auto")
    return "fastvlm", crossed(every, sides(spec.image.side), middle)


def _shipped(kind: str) -> str:
    from galago.places import EXAMPLES

    name = "labels.csv" if kind == "mobileclip" else "questions.jsonl"
    path = EXAMPLES / "evaluate" / name
    if not path.is_file():
        raise OptionError("the examples didn't come with this galago: name DATA")
    return str(path)


def _tried(
    asked: _Asked, settings: Sequence[Setting], kind: str, folder: Path, offline: bool
) -> _Found:
    """All settings tried; without the first there is nothing to compare."""
    from galago.evaluate.precision import trial_of

    found = _Found([], {}, [])
    first = folder / "0"
    with Bar(len(settings)) as bar:
        for number, setting in enumerate(settings):
            bar.name(f"{setting.precision} {setting.side or ''}".strip())
            try:
                if kind == "fastvlm":
                    with bar.aside():
                        _convert(asked.model, setting.precision, offline)
                told = _ask(asked, setting, folder / str(number))
                found.unasked.extend(told if number == 0 else [])
                found.trials.append(trial_of(setting, folder / str(number), first))
            except GalagoError as error:
                if number == 0:
                    raise
                found.failed[setting] = str(error)
            except KeyboardInterrupt:
                say("stopped; the same command goes on: answers are kept")
                raise
            bar.advance()
    return found


def _convert(model: str, wanted: str, offline: bool) -> None:
    """Here, so that a trial's memory is none of the conversion's."""
    from galago.convert.store import prepare

    with stages() as progress:
        prepare(model, precision=wanted, offline=offline or None, progress=progress)


def _ask(asked: _Asked, setting: Setting, out: Path) -> list[str]:
    """`galago evaluate own` in a process of its own: what it complained of.

    OptionError with its line where it failed.
    """
    command = [sys.executable, "-m", "galago", "evaluate", "own", asked.data, "-m", asked.model]
    command += ["--precision", setting.precision, "--out", str(out), "--json", *asked.more]
    if setting.side is not None:
        command += ["--resolution", str(setting.side)]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    told = [line.removeprefix("galago: ") for line in lines if line.startswith("galago: ")]
    if done.returncode not in (0, 1):
        raise OptionError(told[-1] if told else f"exit code {done.returncode}")
    return told


def _tell(asked: _Asked, found: _Found, as_json: bool) -> None:
    from galago.evaluate.precision import advice, recommended

    model, trials = asked.model, found.trials
    best = recommended(trials)
    if as_json:
        for one in trials:
            write_record(
                {"model": model, "data": asked.data, **one.to_json(), "recommended": one is best}
            )
    for line in found.unasked:
        complain(line)
    for setting, why in found.failed.items():
        side = f" at {setting.side}" if setting.side else ""
        complain(f"{setting.precision}{side} can't be tried: {why}")
    if as_json:
        return
    write(f"\n{model}, {trials[0].right.count:,} questions of {asked.data}\n\n")
    heads = ("precision", "px", "right", "95 % interval", "as fp32", "first word", "memory")
    write(table(heads, [_row(one) for one in trials], 1))
    write(f"{advice(trials)}\n")
    if asked.shipped:
        mine = f"galago evaluate precision {shlex.quote(model)} DATA"
        write(f"these are galago's examples; what counts is your own data: {mine}\n")


def _row(one: Trial) -> tuple[str, ...]:
    interval = f"{share(one.right.low)} to {share(one.right.high)}" if one.right.method else ""
    return (
        one.setting.precision
        if one.precision == one.setting.precision
        else f"{one.setting.precision} ({one.precision})",
        str(one.setting.side or "own"),
        share(one.right.mean),
        interval,
        share(one.same),
        f"{one.first * 1e3:,.0f} ms",
        f"{one.memory / 1e6:,.0f} MB" if one.memory else "",
    )
