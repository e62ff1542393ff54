"""The routes of galago's own page: what there is, the album, labels."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, Field

from galago import catalog
from galago.errors import GalagoError, ImageError
from galago.server.bodies import BodyRoute
from galago.server.fields import Asked
from galago.server.parts import Album, Parts
from galago.server.problems import Problem, readable, responses
from galago.server.service import Service
from galago.text.languages import language_note
from galago.text.presets import LANGUAGES, PRESETS

__all__ = ["page_routes"]

_NO_MATCH = "no photo matches; these are merely the nearest"


class SearchRequest(Asked):
    """At least one of text, image and plus."""

    text: str | None = Field(None, max_length=2000)
    image: str | None = Field(None, description="A picture to find the like of, a data URL.")
    plus: str | None = Field(None, description="Another picture, a data URL.")
    minus: str | None = Field(None, max_length=2000, description="Words for what is not wanted.")
    k: int = Field(12, ge=1, le=200)


class Hit(BaseModel):
    score: float
    match: bool
    close: bool = Field(description="A match that is far better than it must be.")
    name: str
    path: str
    id: int
    thumb: str
    copies: int = Field(description="Other files of the very same content.")


class Hits(BaseModel):
    hits: list[Hit]
    any_match: bool
    note: str | None
    strange: list[str] = Field(description="Words that name nothing the model was taught.")


class ClassifyRequest(Asked):
    image: str = Field(description="A picture, a data URL.")
    labels: list[Annotated[str, Field(max_length=2000)]] = Field(min_length=1, max_length=1000)


class Label(BaseModel):
    label: str
    share: float
    strange: bool = Field(description="Whether it names nothing that the model was taught.")


class Labels(BaseModel):
    """`known`: how probably the picture shows what the model was taught, null where that was never
    measured; `doubt`: a remark when it probably doesn't."""

    labels: list[Label]
    known: float | None
    doubt: str | None
    note: str | None


class SightsRequest(Asked):
    ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(max_length=200)


class Sight(BaseModel):
    """A photo in words: what it probably shows, and the day its file was written.

    `day` is None where the file is gone.
    """

    id: int
    words: list[str]
    day: str | None


class Sights(BaseModel):
    sights: list[Sight]


class PageModel(BaseModel):
    id: str
    kind: str
    demo: bool
    knows: str


class Preset(BaseModel):
    id: str
    prompt: str
    possible: bool = Field(description="False for what the model was never taught.")


class PageAlbum(BaseModel):
    name: str
    photos: int
    model: str


class Page(BaseModel):
    version: str
    models: list[PageModel]
    default: str
    presets: list[Preset]
    album: PageAlbum | None
    album_problem: str | None = Field(description="Why there is an album that can't be searched.")
    languages: list[str]


def page_routes(service: Service, version: str) -> APIRouter:
    """What the page asks for."""
    router = APIRouter(prefix="/api", tags=["galago"], route_class=BodyRoute)

    @router.get("/page", responses=responses())
    def page() -> Page:
        """Models, ready questions, the album."""
        return _page(service.parts, version)

    @router.post("/search", responses=responses(404, 500, 504))
    async def search(request: Request, body: SearchRequest) -> Hits:
        """Photos of the album by words, pictures, or both."""
        return await service.run(request, None, lambda: _search(service, body))

    @router.post("/sights", responses=responses(404, 500, 504))
    async def sights(request: Request, body: SightsRequest) -> Sights:
        """What photos of the album probably show, in a few plain words of English."""
        return await service.run(request, None, lambda: _sights(service, body.ids))

    showing = asyncio.Semaphore(2)  # threads: more would only wait for the pool

    @router.get(
        "/photo/{number}",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
            **responses(404, 500),
        },
    )
    async def photo(
        number: int = InPath(ge=1, le=2**63 - 1), side: int = Query(256, ge=16, le=2048)
    ) -> Response:
        """A photo of the album, at most `side` pixels wide and high."""
        async with showing:
            return await run_in_threadpool(_photo, service, number, side)

    @router.post("/classify", responses=responses(504))
    async def classify(request: Request, body: ClassifyRequest) -> Labels:
        """Which of the labels fits a picture, with shares that add up to 1."""
        service.opener.check(body.image, "image")
        labels = _labels(body.labels)
        return await service.run(request, None, lambda: _classify(service, body.image, labels))

    return router


def _page(parts: Parts, version: str) -> Page:
    album, problem = None, None
    try:
        album = _album(parts.album())
    except GalagoError as error:
        problem = readable(str(error))
    return Page(
        version=version,
        models=[_model(parts.vlm.name, "fastvlm"), _model(parts.clip.name, "mobileclip")],
        default=parts.vlm.name,
        presets=[
            Preset(id=name, prompt=prompt, possible=name not in catalog.cannot(parts.vlm.name))
            for name, prompt in PRESETS.items()
        ],
        album=album,
        album_problem=problem,
        languages=list(LANGUAGES),
    )


def _model(name: str, kind: str) -> PageModel:
    row = catalog.find(name)
    demo = row is not None and row.name == name and row.embedded
    return PageModel(id=name, kind=kind, demo=demo, knows=row.knows if row and demo else "")


def _album(album: Album | None) -> PageAlbum | None:
    if album is None:
        return None
    return PageAlbum(name=album.name, photos=album.count(), model=album.model)


def _open_album(service: Service) -> Album | None:
    try:
        return service.parts.album()
    except GalagoError as error:
        told = f"the album can't be searched: {readable(str(error))}"
        raise Problem(500, told, code="album_closed") from None


def _needed_album(service: Service) -> Album:
    album = _open_album(service)
    if album is None:
        raise Problem(404, "there is no album yet; make one: galago index FOLDER", code="no_album")
    return album


def _sights(service: Service, ids: Sequence[int]) -> Sights:
    album = _needed_album(service)
    found = album.sights(list(dict.fromkeys(ids)))
    return Sights(
        sights=[
            Sight(id=number, words=seen, day=_day(album.photo(number)))
            for number, seen in found.items()
        ]
    )


def _day(path: str | None) -> str | None:
    """When a file was written, as a date here; None when it is gone."""
    try:
        return None if path is None else date.fromtimestamp(os.stat(path).st_mtime).isoformat()
    except (OSError, OverflowError, ValueError):  # years that no calendar has
        return None


def _search(service: Service, body: SearchRequest) -> Hits:
    album = _needed_album(service)
    words = [readable(text) for text in (body.text,) if text and text.strip()]
    minus = [readable(text) for text in (body.minus,) if text and text.strip()]
    urls = [url for url in (body.image, body.plus) if url]
    if not words and not urls:
        raise Problem(400, "say what to look for: text, image or plus")
    for url in urls:
        service.opener.check(url, "image")
    pictures = [service.opener.open(url) for url in urls]
    found = album.find(words, pictures, minus, body.k)
    hits = [
        Hit(
            score=round(one.score, 5),
            match=one.match,
            close=one.close,
            name=readable(Path(one.path).name),
            path=readable(one.path),
            id=one.number,
            thumb=f"/api/photo/{one.number}?side=256",
            copies=len(one.copies),
        )
        for one in found
    ]
    matched = any(hit.match for hit in hits)
    notes = [language_note([*words, *minus], album.model), None if matched else _NO_MATCH]
    notes.insert(1, catalog.strange(album.model, found.strange))
    notes.append(found.left_out.sentence() if found.left_out else None)
    note = "; ".join(filter(None, notes)) or None
    return Hits(hits=hits, any_match=matched, note=note, strange=list(found.strange))


def _photo(service: Service, number: int, side: int) -> Response:
    album = _open_album(service)
    path = album.photo(number) if album is not None else None
    if path is None:
        raise Problem(404, "the album has no such photo")
    try:
        data = service.thumbnail(path, side)
    except ImageError as error:
        raise Problem(404, f"the photo can't be shown: {readable(str(error))}") from None
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})


def _labels(given: Sequence[str]) -> list[str]:
    labels = list(dict.fromkeys(" ".join(readable(label).split()) for label in given))
    if not all(labels) or any(len(label) > 500 for label in labels):
        raise Problem(400, "a label must have 1 to 500 characters", param="labels")
    return labels


def _classify(service: Service, url: str, labels: Sequence[str]) -> Labels:
    data = service.opener.open(url)
    clip = service.parts.clip
    pixel_values = clip.prepare(data)  # before others have to wait for the model
    with service.parts.clip_lock:
        sorted_by = clip.label_set(labels)
        sorting = clip.sort_pixels(pixel_values, sorted_by)
    found = [
        Label(label=label, share=round(share, 6), strange=label in sorted_by.strange)
        for label, share in zip(labels, sorting.shares, strict=True)
    ]
    notes = (language_note(labels, clip.name), catalog.strange(clip.name, sorted_by.strange))
    return Labels(
        labels=sorted(found, key=lambda one: -one.share),
        known=None if sorting.known is None else round(sorting.known, 4),
        doubt=catalog.doubt(clip.name) if sorting.doubted else None,
        note="; ".join(filter(None, notes)) or None,
    )
