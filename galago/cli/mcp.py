"""`galago mcp`: describe, read and search for programs that speak the Model Context Protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from galago import catalog
from galago.cli import albums
from galago.cli.interpret import lookup_translator
from galago.cli.missing import missing
from galago.cli.options import Opening, unread
from galago.cli.spread import spread
from galago.errors import GalagoError, ImageError, MissingExtraError, OptionError
from galago.text.languages import needs_english
from galago.text.presets import preset_prompt
from galago.text.queries import Query, read, searched_for
from galago.version import __version__

if TYPE_CHECKING:
    from galago.album import Found
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
        raise MissingExtraError("this needs the package mcp", "mcp") from None

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
    def search(
        words: str = "",
        count: int = 12,
        folder: str | None = None,
        since: str | None = None,
        until: str | None = None,
        text_only: bool = False,
    ) -> list[dict[str, Any]]:
        """Photos of the album that show what the words say, best first; none when none matches.

        English words are best; of other languages what was searched for instead is said. With
        text_only they are looked for, as they are, in the text that stands in pictures and in
        captions alone. Only photos in a folder (its path), or taken at a time:
        since and until are dates as 2025, 2025-06, 2025-06-14, yesterday or 7d (days ago). Without
        words those photos are listed, the newest first.
        """
        with told():
            return tools.search(words, count, folder, since, until, text_only)

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

    def search(
        self,
        words: str,
        count: int,
        folder: str | None = None,
        since: str | None = None,
        until: str | None = None,
        text_only: bool = False,
    ) -> list[dict[str, Any]]:
        """Paths, dates, scores and texts of the photos that match."""
        filtered = folder is not None or since is not None or until is not None
        if not words.strip() and (text_only or not filtered):
            raise OptionError("say what to look for")
        desk: AlbumDesk = self._desk()
        query = Query(words, words)
        if words.strip() and not text_only:
            query = self._in_english(words, desk.clip.name)
        if not query.understood:  # an assistant can say it in English
            raise OptionError("; ".join(query.notes))
        guide = desk.guide()
        if guide is None:
            raise OptionError("there is no album yet; make one: galago index FOLDER")
        hits = guide.find(
            [query.text] if words.strip() and not text_only else (),
            k=min(max(count, 1), 200),
            only_matches=True,
            folders=() if folder is None else (folder,),
            since=since,
            until=until,
            text=words if text_only or query.text != words else None,
        )
        found = [_record(hit) for hit in hits]
        if instead := searched_for([query]):
            found.append({"searched_for": instead})
        strange = catalog.strange(guide.model, hits.strange)
        left_out = hits.left_out.sentence() if hits.left_out else None
        note = "; ".join(filter(None, (*query.notes, strange, left_out)))
        return found + ([{"note": note}] if note else [])

    def _in_english(self, words: str, model: str) -> Query:
        translate = None
        if needs_english(words):
            translate = lookup_translator(self._opening, self._vlm)
        return read(words, model, translate)

    def _open_desk(self) -> AlbumDesk:
        from galago.cli.desk import AlbumDesk

        threads, offline = self._opening.threads, self._opening.offline
        device = self._opening.device
        return AlbumDesk(
            self._album, None, self._pool, threads=threads, offline=offline, device=device
        )


def _record(hit: Found) -> dict[str, Any]:
    """A photo for an assistant: a score where one was asked for, the text that was found."""
    record: dict[str, Any] = {"path": hit.path, "taken": hit.taken, "copies": len(hit.copies)}
    if hit.score is not None:
        record["score"] = round(hit.score, 4)
    if hit.text is not None:
        record |= {"text": hit.text, "text_kind": hit.kind}
    return record


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
