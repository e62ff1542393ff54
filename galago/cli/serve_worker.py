"""One of the processes of `galago serve --workers`; nothing imports it, it is started."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from galago import memory
from galago.cli.announcing import leave
from galago.cli.main import guarded
from galago.cli.options import Opening
from galago.cli.serving import Serving, opened
from galago.cli.terminal import without_bars

if TYPE_CHECKING:
    from galago.server.run import Server
    from galago.server.worker import Place

__all__ = ["main"]


def main() -> int:
    """One of the workers; its exit code."""
    from galago.server.worker import take_place

    try:
        place = take_place()  # before anything may be written
    except EOFError:  # all end, or who started this one has
        return 0
    return guarded(lambda: _work(place))


def _work(place: Place) -> None:
    from galago.server.run import serve as run

    begun = place.given["begun"]
    if begun:
        without_bars()
    serving, opening = Serving(**place.given["serving"]), Opening(**place.given["opening"])
    opening = replace(opening, model=opening.name())
    with opened(serving, opening, colleagues=place.colleagues, begun=begun) as (app, said):

        def answers(server: Server) -> None:
            place.stop = server.stop
            own = {"model": opening.model, "own": memory.unshared()}
            place.ready({"said": asdict(said), **own})

        run(
            app, place.listening, leave,
            grace=serving.grace, log=place.given["log"], worker=place.number, begun=answers,
        )  # fmt: skip
    leave()
