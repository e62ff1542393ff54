"""`galago embed`: vectors and captions of any number of pictures, as a table."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli import options
from galago.cli.options import ClipOpening
from galago.cli.terminal import Bar, complain, path_fields, say, shown, stages, write, write_record
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.progress import Stage
    from galago.scale.crew import Crew
    from galago.scale.embed import Summary
    from galago.scale.listing import Listing
    from galago.scale.table import Table
    from galago.scale.worker import Work

__all__ = ["embed", "open_table"]

_NAMED = 5  # pictures that went wrong, named one by one


def embed(
    place: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A folder, a .tar, a .parquet, a .txt with a path or an address a line; or an "
            "address of them (s3://, gs://, hf://).",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="The table: NAME.lance or NAME.parquet.")
    ],
    model: options.ClipModelName = None,
    caption: Annotated[
        str | None,
        typer.Option(metavar="PRESET", help="Captions, too: describe, brief, count …"),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", metavar="TEXT", help="... by a question of your own."),
    ] = None,
    read: Annotated[bool, typer.Option("--read", help="What is written in them, too.")] = False,
    captioner: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The FastVLM for these; the best that is here by default.",
            autocompletion=options.complete_fastvlm,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="By workers of a Ray cluster (HOST:PORT, auto), or of this machine's processors "
            "(local); without it in this process.",
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(metavar="N", help="Pictures that a worker has at once.")
    ] = 64,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many new pictures this time.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a .parquet: which holds pictures or addresses."),
    ] = None,
    float16: Annotated[
        bool, typer.Option("--float16", help="Vectors of half the size, within 0.0005.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="A picture's limit on a processor.", show_default="10"),
    ] = None,
    precision: options.ClipPrecision = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processors of a worker; with --ray 1 (4 with captions), else all.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as a JSON object.")] = False,
    offline: options.Offline = False,
) -> None:
    """Make a table of vectors and captions of pictures, however many, on one machine or a cluster.

    A row a picture: path, size, time, sha256, width, height, vector, caption, models, or the error
    of one that can't be looked at. It may be stopped or killed at any time: the same command
    continues, and no picture is ever two rows. What can't be read now (a bucket that throttles, a
    folder that isn't mounted) gets no row, and is tried again by the next run. Exit code 1 when
    some pictures have an error or couldn't be read. Needs the extra `cluster`.

    \b
    Examples:
      galago embed ~/Pictures pictures.lance
      galago embed shards/ vectors.parquet -m MobileCLIP2-S0 --caption brief --float16
      galago embed urls.txt out.lance --limit 1000
      galago embed s3://bucket/photos s3://bucket/photos.lance --ray auto -m MobileCLIP2-S0
    """
    from galago.scale.listing import Listing

    prompt = _prompt(caption, prompt)
    _check(out, place, ray, threads, (captioner, bool(prompt) or read), offline)
    listing = Listing(place, column or "", out, offline)
    table = open_table(out)
    work = _work(
        model, captioner, prompt, read, table,
        _Chosen(precision, float16, batch, threads, seconds, offline, ray),
    )  # fmt: skip
    try:
        summary = _run(listing, table, work, ray, limit)
    except KeyboardInterrupt:
        say(f"stopped: what is in {table.place} is whole; the same command continues")
        raise typer.Exit(130) from None
    _tell(summary, listing, table, as_json)
    raise typer.Exit(1 if summary.failed or summary.unread or listing.unreadable else 0)


@dataclass(frozen=True)
class _Chosen:
    precision: str
    float16: bool
    batch: int
    threads: int | None
    seconds: float | None
    offline: bool
    ray: str | None


def _prompt(caption: str | None, prompt: str | None) -> str:
    from galago.text.presets import preset_prompt

    if caption is not None and prompt is not None:
        raise OptionError("--caption PRESET and --prompt TEXT exclude each other")
    if prompt is not None and not prompt.strip():
        raise OptionError("--prompt is empty: ask something, or leave it out")
    return preset_prompt(caption) if caption is not None else prompt or ""


def _check(
    out: str, place: str, ray: str | None, threads: int | None, speaking: tuple[str | None, bool],
    offline: bool,
) -> None:  # fmt: skip
    """What contradicts itself, before anything is opened."""
    from galago.scale.addresses import check_offline

    named, speaks = speaking
    if named is not None and not speaks:
        raise OptionError("--captioner MODEL needs --caption PRESET, --prompt TEXT or --read")
    if ray is not None and not ray.strip():
        raise OptionError("--ray is empty: give local, auto or HOST:PORT, or leave it out")
    if threads is not None and threads < 1:
        raise OptionError("--threads takes a number from 1")
    for one in (place, out):
        if offline:
            check_offline(one)


def open_table(out: str) -> Table:
    """OUT as its name says; OptionError for one that says nothing."""
    suffix = os.path.splitext(out.rstrip("/\\"))[1].lower()
    if suffix == ".lance":
        from galago.scale.lance_table import LanceTable

        return LanceTable(out)
    if suffix == ".parquet":
        from galago.scale.parquet_table import ParquetTable

        return ParquetTable(out)
    raise OptionError(f"{out} says no format: call it NAME.lance or NAME.parquet")


def _work(
    model: str | None, captioner: str | None, prompt: str, read: bool, table: Table, chosen: _Chosen
) -> Work:
    """What is done with each picture; models that aren't named are those of the table, or chosen
    once, here, for all machines."""
    from galago.convert.choice import choose_fastvlm
    from galago.hub.resolve import is_offline
    from galago.scale.worker import Work

    threads = chosen.threads
    speaks = bool(prompt) or read
    if threads is None and chosen.ray is not None:
        threads = min(4 if speaks else 1, os.cpu_count() or 1)
    if model is None and table.made is not None:
        model = table.made.model
    name = ClipOpening(model).name()
    spoken = ""
    if speaks:
        spoken = captioner or (table.made.captioner.rpartition(" ")[0] if table.made else "")
        if not spoken:
            spoken = choose_fastvlm("auto").name
            say(f"captions and texts by {spoken}")
    return Work(
        _whole(name), chosen.precision, _whole(spoken), prompt, read,
        "float16" if chosen.float16 else "float32", chosen.batch, threads, chosen.seconds,
        is_offline(chosen.offline or None),
    )  # fmt: skip


def _whole(name: str) -> str:
    """A folder of a model by its whole path, as a worker stands elsewhere."""
    path = os.path.expanduser(name)
    return os.path.abspath(path) if os.path.exists(path) else name


def _run(listing: Listing, table: Table, work: Work, ray: str | None, limit: int | None) -> Summary:
    from galago.scale.embed import embed as embed_all

    with Bar(None, rate=True) as bar:
        total = _Total(listing) if bar.shown else None

        def report(summary: Summary) -> None:
            bad = summary.failed + summary.unread
            stage = f"embedding, {bad:,} bad" if bad else "embedding"
            bar.update(stage, summary.done, total.count if total else None)

        return embed_all(
            listing, table, _crew(work, ray, bar), batch=work.batch, limit=limit, report=report
        )


def _crew(work: Work, ray: str | None, bar: Bar) -> Callable[[], Crew]:
    def tell(stage: Stage, _: float) -> None:
        with bar.aside():
            say(stage)

    def opened() -> Crew:
        from galago.scale.crew import LocalCrew
        from galago.scale.worker import open_worker

        with bar.aside(), stages() as progress:
            if ray is None:
                return LocalCrew(lambda: open_worker(work, progress))
            from galago.scale.ray_crew import RayCrew

            return RayCrew(work, ray, tell)

    return opened


class _Total:
    """How many pictures there are, counted beside the work."""

    def __init__(self, listing: Listing) -> None:
        self.count: int | None = None
        self._listing = type(listing)(listing.place, listing.column, listing.out, listing.offline)
        threading.Thread(target=self._counted, daemon=True).start()

    def _counted(self) -> None:
        count = 0
        try:
            for count, _ in enumerate(self._listing, 1):
                if count % 1000 == 0:
                    time.sleep(0.01)  # the work goes first
        except Exception:  # told by the listing that counts
            return
        self.count = count


def _tell(summary: Summary, listing: Listing, table: Table, as_json: bool) -> None:
    from galago.album.kinds import counted

    for name, reason in [*summary.errors[:_NAMED], *summary.later[:_NAMED]]:
        complain(f"{shown(os.fsdecode(name))}: {reason}")
    for more, what in (
        (summary.failed - _NAMED, "with an error: the column `error` says which"),
        (summary.unread - _NAMED, "not read: the same command tries again"),
    ):
        if more > 0:
            complain(f"{counted(more, 'more picture')} {what}")
    for path, reason in listing.unreadable.items():
        complain(f"{shown(path)} can't be looked into ({reason}): its pictures have no rows")
    if summary.repeated:
        say(f"{counted(summary.repeated, 'picture')} named more than once: a row each all the same")
    if listing.left:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in listing.left.most_common(5))
        say(f"no pictures in the tars: {kinds}")
    if not summary.done:
        say(f"no pictures in {shown(listing.place)}")
    if as_json:
        write_record(_record(summary, table))
        return
    parts = (
        (summary.new - summary.failed, "new"),
        (summary.failed, "with an error"),
        (summary.known, "there before"),
        (summary.unread, "couldn't be read now"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in parts if count) or "nothing new"
    rate = ""
    if summary.new > 20:
        rate = f"; {summary.new / max(summary.seconds, 1e-3):.1f} a second"
    write(f"{shown(table.place)}: {told}{rate}\n")


def _record(summary: Summary, table: Table) -> dict[str, Any]:
    made = summary.made
    return {
        **path_fields(table.place, "out"),
        "new": summary.new,
        "errors": summary.failed,
        "known": summary.known,
        "unread": summary.unread,
        "repeated": summary.repeated,
        "model": made.model if made else None,
        "identity": made.identity if made else None,
        "dim": made.dim if made else None,
        "captioner": made.captioner or None if made else None,
        "seconds": round(summary.seconds, 3),
    }
