"""The routes of galago's own page: what there is, the album, labels."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import date
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
from galago.server.parts import Album
from galago.server.problems import Problem, readable, responses, words_of
from galago.server.search_routes import Hits, SearchRequest, search_album
from galago.server.service import Service
from galago.text.languages import language_note
from galago.text.presets import PRESETS
from galago.text.tongues import TONGUES

__all__ = ["page_routes"]

_MOST_FOLDERS = 500


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


class Language(BaseModel):
    name: str = Field(description="In English, as a prompt has it.")
    code: str
    called: list[str] = Field(description="What else it is called, in its own words first.")


class PageAlbum(BaseModel):
    name: str
    photos: int
    model: str
    folders: list[str] = Field(description="Those that hold photos; the first 500.")


class Remember(BaseModel):
    keep_seconds: float | None = Field(description="How long scenes stay; null: until forgotten.")


class Page(BaseModel):
    version: str
    models: list[PageModel]
    default: str
    live: str | None = Field(description="A quicker model for live pictures, where there is one.")
    presets: list[Preset]
    album: PageAlbum | None
    album_problem: str | None = Field(description="Why there is an album that can't be searched.")
    remember: Remember | None = Field(description="Whether what a camera sees may be kept.")
    languages: list[Language]


def page_routes(service: Service, version: str) -> APIRouter:
    """What the page asks for."""
    router = APIRouter(prefix="/api", tags=["galago"], route_class=BodyRoute)

    @router.get("/page", responses=responses())
    def page() -> Page:
        """Models, ready questions, the album."""
        return _page(service, version)

    @router.post("/search", responses=responses(404, 500, 504))
    async def search(request: Request, body: SearchRequest) -> Hits:
        """Photos of the album by words, pictures, or both."""
        return await service.run(
            request, None, lambda: search_album(service, _needed_album(service), body)
        )

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
        number: int = InPath(ge=1, le=2**63 - 1),
        side: int = Query(256, ge=16, le=2048),
        second: float | None = Query(
            None, ge=0, le=1e6, description="Of a video: its picture then."
        ),
    ) -> Response:
        """A photo of the album, or a picture of a video; at most `side` pixels wide and high."""
        async with showing:
            return await run_in_threadpool(_photo, service, number, side, second)

    @router.post("/classify", responses=responses(504))
    async def classify(request: Request, body: ClassifyRequest) -> Labels:
        """Which of the labels fits a picture, with shares that add up to 1."""
        service.opener.check(body.image, "image")
        labels = _labels(body.labels)
        return await service.run(request, None, lambda: _classify(service, body.image, labels))

    return router


def _page(service: Service, version: str) -> Page:
    parts, live = service.parts, service.answering.live
    album, problem = None, None
    try:
        album = _album(parts.album())
    except GalagoError as error:
        problem = readable(str(error))
    return Page(
        version=version,
        models=[
            *(_model(name, "fastvlm") for name in service.answering.names()),
            _model(parts.clip.name, "mobileclip"),
        ],
        default=parts.vlm.name,
        live=live,
        presets=[
            Preset(id=name, prompt=prompt, possible=name not in catalog.cannot(parts.vlm.name))
            for name, prompt in PRESETS.items()
        ],
        album=album,
        album_problem=problem,
        remember=None if parts.seen is None else Remember(keep_seconds=parts.seen.kept_for),
        languages=[
            Language(name=one.name, code=one.code, called=list(one.called)) for one in TONGUES
        ],
    )


def _model(name: str, kind: str) -> PageModel:
    row = catalog.find(name)
    demo = row is not None and row.name == name and row.embedded
    return PageModel(id=name, kind=kind, demo=demo, knows=row.knows if row and demo else "")


def _album(album: Album | None) -> PageAlbum | None:
    if album is None:
        return None
    folders = [folder for folder in album.folders() if readable(folder) == folder]
    return PageAlbum(
        name=album.name, photos=album.count(), model=album.model, folders=folders[:_MOST_FOLDERS]
    )


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


def _photo(service: Service, number: int, side: int, second: float | None) -> Response:
    album = _open_album(service)
    path = album.photo(number) if album is not None else None
    if path is None:
        raise Problem(404, "the album has no such photo")
    try:
        data = service.thumbnail(path, side, second)
    except ImageError as error:
        raise Problem(404, f"the photo can't be shown: {readable(words_of(error))}") from None
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
