"""`galago mcp`: describe, read and search for programs that speak the Model Context Protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from galago import catalog
from galago.cli import albums
from galago.cli.missing import missing
from galago.cli.options import Opening, unread
from galago.cli.spread import spread
from galago.errors import GalagoError, ImageError, MissingExtraError, OptionError
from galago.text.languages import language_note
from galago.text.presets import preset_prompt
from galago.version import __version__

if TYPE_CHECKING:
    from galago.cli.desk import AlbumDesk
    from galago.media.pool import PicturePool
    from galago.vlm.fastvlm import FastVLM

__all__ = ["mcp"]


@spread
def mcp(
    album: albums.AlbumName = None,
    *,
    opening: Opening,
) -> None:
    """Let an assistant look at pictures: a server of the Model Context Protocol on stdio.

    Its tools describe a picture, read what is written in one, and search the album. It opens the
    files that the assistant names, with your rights, and answers with words only. Models are loaded
    at the first question.

    \b
    Examples:
      galago mcp                          (an assistant starts this, not a person)
      galago mcp -m apple/FastVLM-0.5B --album holiday
    """
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
    except ImportError:
        raise MissingExtraError("this needs the package mcp: pip install 'galago[mcp]'") from None

    from galago.media.pool import PicturePool

    pool = PicturePool(1)
    tools = Tools(opening, album, pool)
    server = MCPServer("galago", version=__version__, log_level="ERROR")

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except GalagoError as error:
            raise ToolError(str(error)) from None

    @server.tool()
    def describe(path: str, question: str | None = None) -> str:
        """Say what is in a picture file, or answer a question about it."""
        with told():
            return tools.describe(path, question)

    @server.tool()
    def read(path: str) -> str:
        """The text that is written in a picture file."""
        with told():
            return tools.describe(path, preset_prompt("read"))

    @server.tool()
    def search(words: str, count: int = 12) -> list[dict[str, Any]]:
        """Photos of the album that show what the words say, best first; none when none matches.

        The words must be English.
        """
        with told():
            return tools.search(words, count)

    with pool:
        server.run("stdio")


class Tools:
    """What the tools do; each model is opened when it is first needed."""

    def __init__(self, opening: Opening, album: str | None, pool: PicturePool) -> None:
        self._opening, self._album, self._pool = opening, album, pool
        self._vlm = _once(lambda: opening.load(pool=pool))
        self._desk = _once(self._open_desk)

    def describe(self, path: str, question: str | None) -> str:
        """The answer, and behind it in brackets why it isn't whole, or that a demonstration model
        isn't sure."""
        place = os.path.expanduser(path)
        if not os.path.exists(place):
            raise ImageError(missing(path))
        from galago.vlm.reply import why_cut

        vlm: FastVLM = self._vlm()
        text, remarks = "", []
        for chunk in vlm.stream(place, question or preset_prompt("describe")):
            text += chunk.text
            if chunk.stats is not None:
                cut = why_cut(chunk.finish, chunk.stats.tokens)
                doubt = catalog.doubt(vlm.name) if chunk.stats.doubted else None
                remarks = [cut] if cut else []
                if remark := unread(vlm.name, question or "") or doubt:
                    remarks.append(remark)
        return "\n\n".join([text, *(f"({remark})" for remark in remarks)])

    def search(self, words: str, count: int) -> list[dict[str, Any]]:
        """Paths and scores of the photos that match."""
        if not words.strip():
            raise OptionError("say what to look for")
        desk: AlbumDesk = self._desk()
        if note := language_note([words], desk.clip.name):  # an assistant can say it so
            raise OptionError(note)
        guide = desk.guide()
        if guide is None:
            raise OptionError("there is no album yet; make one: galago index FOLDER")
        hits = guide.find([words], k=min(max(count, 1), 200), only_matches=True)
        found: list[dict[str, Any]] = [
            {"path": h.path, "score": round(h.score, 4), "copies": len(h.copies)} for h in hits
        ]
        notes = [catalog.strange(guide.model, hits.strange)]
        notes += [hits.left_out.sentence()] if hits.left_out else []
        return found + [{"note": note} for note in notes if note]

    def _open_desk(self) -> AlbumDesk:
        from galago.cli.desk import AlbumDesk

        threads, offline = self._opening.threads, self._opening.offline
        return AlbumDesk(self._album, None, self._pool, threads=threads, offline=offline)


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    """`make`, called at most once."""
    import threading
    from functools import cache

    lock = threading.Lock()
    kept = cache(make)

    def get() -> Any:
        with lock:
            return kept()

    return get
