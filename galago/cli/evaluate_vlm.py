"""`galago evaluate vlm`: the papers' benchmarks, beside what was published of the same model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli.evaluate_vlm_tables import tell_benchmarks, write_benchmarks
from galago.cli.evaluations import place_for
from galago.cli.options import Opening
from galago.cli.spread import spread
from galago.cli.stopping import stoppable
from galago.cli.terminal import Bar, complain, say, stages, write, write_record
from galago.errors import GalagoError, OptionError

if TYPE_CHECKING:
    from galago.evaluate.vlm.data import DataSet
    from galago.evaluate.vlm.harness import Harness, Route
    from galago.evaluate.vlm.report import TaskReport
    from galago.evaluate.vlm.tasks import Task

__all__ = ["vlm"]

_ROUTES = ("plugin", "server")


@dataclass(frozen=True)
class _Model:
    """A model that is ready: its name for people, for the programs that open it, and in the
    catalogue ("" of one that isn't there: published figures are none of its own); what its answers
    depend on."""

    name: str
    opened_as: str
    published: str
    identity: Mapping[str, Any]


@spread
def vlm(
    tasks: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="With commas between them: gqa, textvqa_val, seedbench, docvqa_val, chartqa, "
            "ocrbench, pope, mmmu_val, ai2d, scienceqa_img.",
        ),
    ] = "all",
    *,
    opening: Opening,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Ask the first N questions of each alone.")
    ] = None,
    route: Annotated[
        str,
        typer.Option(
            metavar="plugin|server",
            help="How lmms-eval asks: in its own process, or by its OpenAI client a galago serve "
            "that is started for it.",
            show_default="plugin; server with --environment",
        ),
    ] = "",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the data sets are, as owner/name in it; the cache of the hub's own client "
            "by default.",
        ),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Run lmms-eval from an environment of its own in this folder, made if it isn't "
            "there (minutes, some GB).",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask what was asked before, too.")] = False,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Write results.json, and what was said to each question."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a task, on a line of its own.")
    ] = False,
) -> None:
    """Ask a FastVLM the questions of the papers' benchmarks, by lmms-eval, unchanged.

    Beside each figure stand its 95 % interval and what was published of the same model. Nothing is
    sent anywhere, and nothing fetched but the model: a data set that isn't here is told with the
    command that fetches it. Answers are kept; the same command goes on where it was stopped.

    \b
    Examples:
      galago evaluate vlm --tasks textvqa_val,pope -m apple/FastVLM-0.5B
      galago evaluate vlm --tasks gqa --limit 500 --data benchmarks --out results
      galago evaluate vlm --tasks chartqa --environment ~/lmms-eval
    """
    from galago.evaluate.vlm.tasks import tasks_named

    wanted = tasks_named(tasks)
    if limit is not None and limit < 1:
        raise OptionError(f"--limit {limit} is not possible: use 1 or more")
    way = _way(route, environment)
    ready, left_out = _with_data(wanted, data)
    if not ready:
        raise typer.Exit(2)
    harness, version = _harness(environment)
    place = place_for(out, 1, 1, "vlm")
    model = _model(opening, {"route": way, "lmms_eval": version})
    about = {"name": model.name, "limit": limit, **model.identity}
    reports: list[TaskReport] = []
    records: list[dict[str, Any]] = []
    with stoppable(), _routes(way, model, opening) as asks:
        for task, found in ready.items():
            try:
                report, samples = _asked(harness, task, asks, model, found, (limit, again))
            except GalagoError as error:
                complain(str(error))
                continue
            reports.append(report)
            records.append({**about, **report.to_json()})
            if as_json:
                write_record(records[-1])
            if place is not None:
                write_benchmarks(place, records, task.name, samples)
    if reports and not as_json:
        side = "" if opening.resolution is None else f" at {opening.resolution} px"
        tell_benchmarks(f"{model.name}, {opening.precision}{side}, by lmms-eval {version}", reports)
        if side and any(one.published for one in reports):
            write("the published figures are at the model's own side\n")
    failed = len(reports) < len(ready) or left_out or any(one.failed for one in reports)
    raise typer.Exit(2 if not reports else 1 if failed else 0)


def _way(route: str, environment: str | None) -> str:
    """OptionError for a route that isn't there, or can't be taken."""
    way = route or ("plugin" if environment is None else "server")
    if way not in _ROUTES:
        raise OptionError(f"--route {way!r}: choose {' or '.join(_ROUTES)}")
    if way == "plugin" and environment is not None:
        raise OptionError(
            "--route plugin runs in galago's own environment: leave --environment out, or take "
            "--route server"
        )
    return way


def _harness(environment: str | None) -> tuple[Harness, str]:
    """lmms-eval, and its version; its environment is made if need be."""
    from galago.evaluate.vlm import environment as environments
    from galago.evaluate.vlm.harness import Harness
    from galago.places import as_path, cache_dir

    datasets = cache_dir() / "evaluate" / "datasets"
    if environment is None:
        return Harness(sys.executable, datasets), environments.version_here()
    folder = as_path(environment).absolute()
    version = environments.version_of(folder)
    if version is None:
        with stoppable(), stages() as progress:
            version = environments.made(folder, progress)
    return Harness(str(environments.python_of(folder)), datasets), version


def _with_data(wanted: tuple[Task, ...], data: str | None) -> tuple[dict[Task, DataSet], bool]:
    """The tasks whose data is here; of the others a line is told each."""
    from galago.evaluate.vlm.data import find_data, missing_line
    from galago.places import as_path

    folder = None if data is None else as_path(data).absolute()
    ready = {}
    for task in wanted:
        found = find_data(task.data, folder)
        if found is None:
            complain(missing_line(task, folder))
        else:
            ready[task] = found
    return ready, len(ready) < len(wanted)


def _model(opening: Opening, identity: Mapping[str, Any]) -> _Model:
    """The model, fetched and converted, not opened: that is done by who asks it."""
    from galago.convert.store import prepare
    from galago.engine.precision import check_precision, check_threads
    from galago.hub.resolve import understand
    from galago.version import __version__
    from galago.vlm.loading import Where, weights_of

    check_precision(opening.precision)
    check_threads(opening.threads)
    Where(opening.device, opening.vision_device).devices()  # one that isn't here is told at once
    named = understand(opening.name())
    with stages() as progress:
        ready = prepare(
            named, precision=opening.precision, offline=opening.offline or None, progress=progress
        )
    absolute = str(named.folder.absolute()) if named.folder is not None else named.name
    settings = {
        "model": ready.name,
        "weights": weights_of(ready.folder),
        "precision": opening.precision,
        "resolution": opening.resolution,
        "icc": not opening.no_icc,
        "threads": opening.threads,
        "galago": __version__,
    }
    devices = {"device": opening.device, "vision_device": opening.vision_device}
    settings |= {name: value for name, value in devices.items() if value is not None}
    known = named.row.name if named.row is not None else ""
    return _Model(ready.name, absolute, known, {**settings, **identity})


@contextmanager
def _routes(way: str, model: _Model, opening: Opening) -> Iterator[Route]:
    """How lmms-eval reaches the model; a server lives as long as the block."""
    from galago.evaluate.vlm.harness import Route
    from galago.evaluate.vlm.serving import PARALLEL, served
    from galago.places import cache_dir

    chosen = {
        "precision": opening.precision,
        "resolution": opening.resolution,
        "threads": opening.threads,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    icc = {"GALAGO_ICC": "0"} if opening.no_icc else {}
    devices = (("runs_on", opening.device), ("vision_on", opening.vision_device))
    if way == "plugin":
        given |= {name: value.replace(",", "+") for name, value in devices if value is not None}
        arguments = ",".join(f"{name}={value}" for name, value in given.items())
        told = {"GALAGO_MODEL": model.opened_as, **icc}
        yield Route("plugin", "galago", f"parallel={PARALLEL},{arguments}", told)
        return
    options = ["-m", model.opened_as]
    for name, value in given.items():
        options += [f"--{name}", str(value)]
    for name, (_, device) in zip(("--device", "--vision-device"), devices, strict=True):
        options += [name, device] if device is not None else []
    if opening.no_icc:
        options.append("--no-icc")
    with served(options, cache_dir() / "evaluate" / "serve") as found:
        yield found


def _asked(
    harness: Harness,
    task: Task,
    route: Route,
    model: _Model,
    data: DataSet,
    wish: tuple[int | None, bool],
) -> tuple[TaskReport, Sequence[Mapping[str, Any]]]:
    """A task's report, and what lmms-eval logged of each question."""
    from galago.evaluate.vlm.report import reported
    from galago.evaluate.vlm.run import asked, place_of
    from galago.evaluate.vlm.scores import judged
    from galago.places import cache_dir

    limit, again = wish
    home = cache_dir() / "evaluate" / "vlm"

    def waiting() -> None:
        say(f"another galago asks this model {task.name}: waiting until it has done so")

    with place_of(home, task, model.identity, data, again=again, waiting=waiting) as place:
        with Bar(limit, rate=True) as bar:
            try:
                found = asked(
                    *(harness, task, route, place, limit),
                    lambda done, total: bar.update(task.name, done, total),
                )
            except KeyboardInterrupt:
                say("stopped; the same command goes on: answers are kept from step to step")
                raise
        pictures = harness.pictures(task, place.folder)
    if pictures is None:
        say(f"{task.name}: which questions share a picture can't be told; each counts for itself")
    figure = judged(task, found, pictures)
    report = reported(task, found, figure, model.published)
    if report.failed:
        complain(
            f"{task.name}: {len(report.failed)} questions got no answer and count as wrong: "
            f"{report.failed[0]}"
        )
    return report, found.samples
