"""What `galago serve` serves and how, as data; and the application of that, in any process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli import albums, options
from galago.cli.album_work import DeskIndexer, desk_duplicates
from galago.cli.desk import AlbumDesk
from galago.cli.durations import length_of
from galago.cli.interpret import loaded_translator
from galago.cli.live_model import live_beside
from galago.cli.options import ClipOpening, Opening
from galago.errors import OptionError
from galago.version import __version__

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from galago.media.pool import PicturePool
    from galago.server.colleagues import Colleagues
    from galago.server.settings import Settings

__all__ = ["KEY", "LOOPBACK", "Said", "Serving", "opened", "processors", "threads_each"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY = "GALAGO_API_KEY"


@dataclass(frozen=True)
class Serving:
    """The options of a server but its models', as they were typed."""

    clip: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A MobileCLIP; the album's own by default, the best that is here without one.",
            autocompletion=options.complete_clip,
        ),
    ] = None
    album: albums.AlbumName = None
    remember: Annotated[
        bool,
        typer.Option(
            "--remember",
            help="Let Live on the page keep each new scene in the album, when its switch is on.",
        ),
    ] = False
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long this album remembers scenes from now on (12h, 7d)."
        ),
    ] = None
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; others need --api-key.")
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(metavar="N", help="0 takes a free one.")] = 8000
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar=KEY,
            help="What requests must bring along (better in the environment: others see options).",
        ),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Answer to this name too (may be repeated)."),
    ] = None
    allow_remote_images: Annotated[
        bool,
        typer.Option(
            "--allow-remote-images", help="Fetch pictures from public addresses when asked to."
        ),
    ] = False
    parallel: Annotated[int, typer.Option(metavar="N", help="Answers at the same time.")] = 4
    queue: Annotated[int, typer.Option(metavar="N", help="Requests that may wait.")] = 64
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="For one request, the wait included.")
    ] = 300.0
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="For answers on their way when it is stopped.")
    ] = 10.0

    def check(self) -> None:
        """OptionError before anything is opened."""
        if self.host not in LOOPBACK and not self.api_key:
            raise OptionError(
                f"--host {self.host} lets other computers in: give an --api-key (or {KEY}) that "
                "they need"
            )
        key = self.api_key
        if key is not None and (not key.strip() or not key.isascii()):
            raise OptionError("--api-key must be ASCII characters, and not empty")
        if not 1 <= self.parallel <= 64:
            raise OptionError(f"--parallel {self.parallel} is not possible: use 1 to 64")
        if not 0 <= self.queue <= 10_000:
            raise OptionError(f"--queue {self.queue} is not possible: use 0 to 10000")
        if not 1 <= self.timeout <= 86_400:
            raise OptionError(f"--timeout {self.timeout} is not possible: use 1 to 86400 seconds")
        if not 0.1 <= self.grace <= 3600:
            raise OptionError(f"--grace {self.grace} is not possible: use 0.1 to 3600 seconds")
        if self.keep is not None and not self.remember:
            raise OptionError(f"--keep {self.keep} says how long scenes stay: give --remember, too")
        self.kept_for()

    def kept_for(self) -> float | None:
        """Seconds that scenes stay; OptionError for what is no length of time."""
        return None if self.keep is None else length_of("--keep", self.keep)

    def settings(self, context: int) -> Settings:
        """The limits of the server; `context`: positions of its model."""
        from galago.server import Settings

        local = self.host in LOOPBACK
        more = tuple(self.allow_host or ())
        return Settings(
            api_key=None
            if self.api_key is None
            else self.api_key.strip(),  # files end in a newline
            hosts=more if local else (*_names(self.host), *more),
            any_address=not local,
            allow_remote_images=self.allow_remote_images,
            context=context,
            parallel=self.parallel,
            queue=self.queue,
            timeout=self.timeout,
            grace=self.grace,
        )


@dataclass(frozen=True)
class Said:
    """What people are told of a server, as values of JSON: names of its models, why the album can't
    be searched, the folder in which scenes are kept.  `clip_source` opens the MobileCLIP again."""

    vlm: str
    clip: str
    clip_source: str
    live: str | None
    refusal: str | None
    kept_in: str | None

    @property
    def models(self) -> str:
        return f"{self.vlm}, {self.clip}"


@contextlib.contextmanager
def opened(
    serving: Serving,
    opening: Opening,
    *,
    colleagues: Colleagues | None = None,
    album: bool = True,
    begun: bool = False,
) -> Iterator[tuple[ASGIApp, Said]]:
    """The application with its models in memory, one of several processes where it has colleagues.

    Without `album` it has none, and one model for all, as with colleagues: a second, quick one
    would be in memory for each of them.  `begun`: a colleague has opened the album to write it.
    """
    from galago.media.pool import PicturePool
    from galago.server import Parts
    from galago.server.app import create_app

    openers = max(1, processors() // (colleagues.count if colleagues is not None else 1))
    with PicturePool(min(4, openers)).warm() as pool:
        vlm = opening.load(pool=pool)
        vlm.keep_caches(max(2, serving.parallel))
        if album:
            more, said = _with_album(serving, opening, pool, begun)
        else:
            more, said = _without_album(serving, opening, pool)
        alone = album and colleagues is None
        live = live_beside(vlm, opening, pool) if alone else None
        parts = Parts(vlm, pool=pool, translate=loaded_translator(vlm), live=live, **more)
        settings = serving.settings(vlm.spec.text.positions)
        yield (
            create_app(parts, settings, __version__, colleagues),
            replace(said, vlm=vlm.name, live=live.name if live is not None else None),
        )


def _with_album(
    serving: Serving, opening: Opening, pool: PicturePool, begun: bool
) -> tuple[dict[str, Any], Said]:
    """What Parts has of an album, and of the MobileCLIP that it is searched with."""
    desk = AlbumDesk(
        serving.album,
        serving.clip,
        pool,
        threads=opening.threads,
        offline=opening.offline,
        device=opening.device,
        may_be_new=serving.remember,
    )
    # Who comes later waits for nobody who writes the album just now, which may be the first.
    seen = desk.keeper(serving.kept_for(), begun=begun) if serving.remember else None
    kept_in = str(seen.folder) if seen is not None else None
    parts = {
        "clip": desk.clip,
        "album": desk.guide,
        "clip_lock": desk.lock,
        "seen": seen,
        "indexer": DeskIndexer(desk),
        "duplicates": desk_duplicates(desk),
    }
    return parts, Said("", desk.clip.name, desk.source, None, desk.refusal, kept_in)


def _without_album(
    serving: Serving, opening: Opening, pool: PicturePool
) -> tuple[dict[str, Any], Said]:
    source = albums.source_of(serving.clip) if serving.clip else None
    more = ClipOpening(
        source, threads=opening.threads, offline=opening.offline, device=opening.device
    )
    clip = more.load(pool)
    return {"clip": clip}, Said("", clip.name, source or clip.name, None, None, None)


def processors() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def threads_each(processors: int, workers: int) -> int:
    """Threads of a worker, so that all together have a processor each, as far as there are."""
    return max(1, processors // workers)


def _names(host: str) -> tuple[str, ...]:
    """What this computer may be called by others."""
    import socket

    own = socket.gethostname()
    return host, own, f"{own}.local"
