"""`/api/search`: photos of the album by words, pictures, folders, dates and what stands in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from galago import catalog
from galago.server.fields import Asked, Flag
from galago.server.parts import Album, Photo
from galago.server.problems import Problem, readable
from galago.server.queries import Spoken, in_english
from galago.server.service import Service

__all__ = ["Hits", "SearchRequest", "search_album"]

_NO_MATCH = "no photo matches; these are merely the nearest"
_NONE_THERE = "no photo from there or then was found"
_NO_TEXT = "no picture has these words in its text or caption"


class SearchRequest(Asked):
    """At least one of text, image, plus, folder, since and until.

    A folder or dates alone list what there is, the newest first.
    """

    text: str | None = Field(None, max_length=2000)
    image: str | None = Field(None, description="A picture to find the like of, a data URL.")
    plus: str | None = Field(None, description="Another picture, a data URL.")
    minus: str | None = Field(None, max_length=2000, description="Words for what is not wanted.")
    k: int = Field(12, ge=1, le=200)
    as_is: Flag = Field(False, description="Search with the words as they are, in any language.")
    folder: str | None = Field(
        None, max_length=4096, description="Only photos in this folder or below: a full path."
    )
    since: str | None = Field(
        None,
        max_length=40,
        description="Only photos taken since then, by the camera's clock: 2025, 2025-06, "
        "2025-06-14, 2025-06-14 18:30, today, yesterday, 7d or 2w.",
    )
    until: str | None = Field(
        None, max_length=40, description="Only photos taken until then, that day included."
    )
    text_only: Flag = Field(
        False, description="Look for the words in pictures' text and in captions only."
    )


class Hit(BaseModel):
    score: float | None = Field(description="None where texts or dates alone were asked for.")
    match: bool
    close: bool = Field(description="A match that is far better than it must be.")
    name: str
    path: str
    id: int
    thumb: str
    copies: int = Field(description="Other files of the very same content.")
    taken: str = Field(description="When, as 2025-06-14 18:30:05.")
    taken_by: Literal["camera", "file"] = Field(
        description="Whose clock says so: the camera's, or (where it doesn't say) the file's."
    )
    caption: str | None = Field(description="What was said of it when a camera saw it.")
    text: str | None = Field(description="A line with the words that were looked for.")
    text_kind: str | None = Field(description="Where that is from: read (in it), or caption.")
    second: float | None = Field(description="Of a video, the moment that fits best; else null.")


class Hits(BaseModel):
    hits: list[Hit]
    any_match: bool
    note: str | None
    searched_for: str | None = Field(
        description="The words in English, where other words were searched for than those given."
    )
    strange: list[str] = Field(description="Words that name nothing the model was taught.")


def search_album(service: Service, album: Album, body: SearchRequest) -> Hits:
    """Runs in a thread; raises Problem, GalagoError."""
    words = [readable(text) for text in (body.text,) if text and text.strip()]
    minus = [readable(text) for text in (body.minus,) if text and text.strip()]
    urls = [url for url in (body.image, body.plus) if url]
    filtered = body.folder is not None or body.since is not None or body.until is not None
    _check_search(body, bool(words), bool(urls), bool(minus), filtered)
    for url in urls:
        service.opener.check(url, "image")
    pictures = [service.opener.open(url) for url in urls]
    if body.text_only:  # what stands in pictures is looked for as it was typed
        spoken = Spoken([], minus, None, [])
    else:
        spoken = in_english(service.parts, album.model, words, minus, body.as_is)
    typed = body.text_only or (spoken.words != words and not urls)
    found = album.find(
        spoken.words,
        pictures,
        spoken.minus,
        body.k,
        folders=() if body.folder is None else (body.folder,),
        since=body.since,
        until=body.until,
        text=" ".join(words) if typed else None,
    )
    hits = [
        Hit(
            score=None if one.score is None else round(one.score, 5),
            match=one.match,
            close=one.close,
            name=readable(Path(one.path).name),
            path=readable(one.path),
            id=one.number,
            thumb=_thumb(one),
            copies=len(one.copies),
            taken=one.taken,
            taken_by="file" if one.by_file else "camera",
            caption=None if one.caption is None else readable(one.caption),
            text=None if one.text is None else readable(one.text),
            text_kind=one.kind,
            second=one.second,
        )
        for one in found
    ]
    matched = any(hit.match for hit in hits)
    notes: list[str | None] = [*spoken.notes, catalog.strange(album.model, found.strange)]
    notes.append(None if matched or not hits else _NO_MATCH)
    if not hits:
        notes.append(_NONE_THERE if filtered else _NO_TEXT if body.text_only else _NO_MATCH)
    notes.append(found.left_out.sentence() if found.left_out else None)
    note = "; ".join(filter(None, notes)) or None
    return Hits(
        hits=hits,
        any_match=matched,
        note=note,
        searched_for=spoken.instead,
        strange=list(found.strange),
    )


def _thumb(found: Photo) -> str:
    moment = "" if found.second is None else f"&second={found.second:.3f}"
    return f"/api/photo/{found.number}?side=256{moment}"


def _check_search(
    body: SearchRequest, words: bool, pictures: bool, minus: bool, filtered: bool
) -> None:
    """Problem for a search that asks for nothing, or for what can't be had together."""
    if body.text_only and (pictures or not words):
        raise Problem(400, "text_only looks for words alone: give text, and no picture")
    if not words and not pictures and (minus or not filtered):
        raise Problem(400, "say what to look for: text, image or plus; or folder, since or until")
    if body.folder is not None and not os.path.isabs(os.path.expanduser(body.folder)):
        raise Problem(400, "folder must be a full path", param="folder")
