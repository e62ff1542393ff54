"""What a camera saw, in an album: a small picture of each scene, its caption, time and vector.

The pictures lie in the album's own folder, and the album names them without a root, so that they
move with it.  Each holds its time and caption itself (EXIF), and the rows of the database can be
made of it again: for another model, or when the database is lost.

    seen/.nomedia                         galleries and walks leave the folder out
    seen/2026-11-30/14-05-12.jpg          by the clock of the place
    seen/keep                             seconds that scenes stay (galago/album/forgetting.py)
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from PIL import Image

from galago.album.embedder import Float
from galago.album.scan import UNWANTED, Found, Scan, below, within
from galago.album.store import Store, content_hash
from galago.album.texts import write as write_text
from galago.album.write import Photo, Writer
from galago.disk import whole_file
from galago.errors import OptionError
from galago.media import images
from galago.media.images import Source

__all__ = [
    "SEEN",
    "SIDE",
    "Fresh",
    "Scene",
    "as_caption",
    "files",
    "folder_of",
    "is_seen",
    "make_folder",
    "note",
    "picture_of",
    "record",
    "refuse_own",
]

SEEN = "seen"  # what paths of scenes begin with in the table of photos
SIDE = 640  # pixels of the longer side
_CAPTION = 4000  # letters kept of one
_PARTS = re.compile(r"(\d{4}-\d\d-\d\d)[/\\](\d\d)-(\d\d)-(\d\d)(?:-\d+)?\.jpg\Z")
_EXIF_IFD, _TAKEN, _COMMENT = 0x8769, 0x9003, 0x9286
_UNICODE = b"UNICODE\0"  # EXIF 2.32, 4.6.5: how the letters of a UserComment are written
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Scene:
    """A scene of an album: "2026-11-30 14:05:12" by the clock of the place, and what was said."""

    taken: str
    caption: str


@dataclass(frozen=True)
class Fresh:
    """A scene to record: its picture as `picture_of` makes it, its unit vector (dim,)."""

    picture: bytes
    caption: str
    when: datetime
    vector: Float


def as_caption(text: str) -> str:
    """A model's words as they are kept: without what would steer a terminal, on one line."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(_CONTROLS.sub(" ", text).split())[:_CAPTION]


def picture_of(
    image: Source,
    caption: str,
    when: datetime,
    thumbnail: Callable[[Source, int], bytes] = images.thumbnail,
) -> bytes:
    """A JPEG, 640 pixels wide and high at most, that holds its time and caption, and no place.

    Raises ImageError for a picture that `thumbnail` can't open.
    """
    exif = Image.Exif()
    about = exif.get_ifd(_EXIF_IFD)
    about[_TAKEN] = when.strftime("%Y:%m:%d %H:%M:%S")
    about[_COMMENT] = _UNICODE + caption.encode("utf-16-le")
    block = exif.tobytes()
    jpeg = thumbnail(image, SIDE)
    start = 2  # behind the mark that each JPEG begins with
    if jpeg[2:4] == b"\xff\xe0":  # JFIF's own block stands first
        start += 2 + struct.unpack(">H", jpeg[4:6])[0]
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    return jpeg[:start] + segment + jpeg[start:]


def folder_of(album: Path) -> Path:
    """Where the pictures of an album's scenes lie."""
    return album / SEEN


def make_folder(album: Path) -> None:
    """Have the folder of the pictures, for its owner's eyes only; OSError."""
    folder_of(album).mkdir(mode=0o700, exist_ok=True)
    (folder_of(album) / UNWANTED).touch(0o600)


def is_seen(path: bytes) -> bool:
    """Whether a name of the table of photos is that of a scene."""
    return path.startswith(os.fsencode(os.path.join(SEEN, "")))


def record(store: Store, writer: Writer, fresh: Fresh) -> Path:
    """Keep a scene, whole or not at all; where its picture is.  Under the album's lock.

    One that is there already, to the last byte, isn't kept again: a video that is watched twice.
    Raises OSError and sqlite3.Error for what the disk refuses, ModelError for a vector that can't
    be used.
    """
    digest = content_hash(fresh.picture).digest()
    if (there := _known(store, digest)) is not None:
        return there
    path = _free_name(folder_of(store.folder), fresh.when)
    try:
        with whole_file(path, private=True) as file:
            file.write(fresh.picture)
        about = os.stat(path)
        photo = Photo(
            os.fsencode(os.path.relpath(path, store.folder)),
            about.st_size,
            about.st_mtime_ns,
            digest,
            ctime_ns=about.st_ctime_ns,
        )
        new = store.row_of(digest) is None  # else somebody indexed a copy of it
        writer.record(
            [photo],
            [digest] if new else [],
            fresh.vector[None] if new else None,
            also=lambda: _write_note(store, digest, Scene(str(fresh.when)[:19], fresh.caption)),
        )
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return path


def note(store: Store, photos: Sequence[Photo]) -> None:
    """Write down time and caption of those photos that are scenes, as their pictures tell them.

    Inside a transaction that gave their contents rows.
    """
    for photo in photos:
        if photo.digest is not None and is_seen(photo.path):
            found = _told_by(store.place(photo.path))
            if found is not None:
                _write_note(store, photo.digest, found)


def files(album: Path) -> tuple[list[Found], bool]:
    """The pictures of scenes as the table of photos names them; whether all could be looked at."""
    place = folder_of(album)
    if not place.is_dir():
        return [], True
    root = os.path.abspath(place)
    scan = Scan((root,))
    found = [
        replace(one, path=os.fsencode(os.path.join(SEEN, relative)))
        for one in scan
        if _PARTS.search(relative := os.path.relpath(os.fsdecode(one.path), root))
    ]
    return found, not scan.unreadable


def refuse_own(store: Store, named: Iterable[str]) -> None:
    """OptionError for the album's own folder: what a camera saw is in the album already."""
    own = os.path.realpath(store.folder)
    for path in named:
        if within(path, (own,)):
            raise OptionError(f"{path} is the album's own folder; what is in it is found already")


def _known(store: Store, digest: bytes) -> Path | None:
    """Where the picture of a scene with this content is, if there is one."""
    row = store.row_of(digest)
    asked = "SELECT path FROM photos WHERE row = ? AND path >= ? AND path < ? LIMIT 1"
    found = store.db.execute(asked, (row, *below(SEEN))).fetchone()
    path = Path(os.fsdecode(store.place(found[0]))) if found is not None else None
    return path if path is not None and path.is_file() else None


def _free_name(place: Path, when: datetime) -> Path:
    """Where a scene of this time goes; makes the folders."""
    make_folder(place.parent)
    day = place / when.strftime("%Y-%m-%d")
    day.mkdir(mode=0o700, exist_ok=True)
    name, number = when.strftime("%H-%M-%S"), 1
    path = day / f"{name}.jpg"
    while path.exists():
        number += 1
        path = day / f"{name}-{number}.jpg"
    return path


def _write_note(store: Store, digest: bytes, found: Scene) -> None:
    store.db.execute("UPDATE vectors SET taken = ? WHERE hash = ?", (found.taken, digest))
    if found.caption:
        write_text(store, digest, "caption", found.caption)


def _told_by(path: bytes) -> Scene | None:
    """What a scene's picture tells of itself; None for one that tells nothing."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        about = Image.open(io.BytesIO(data)).getexif().get_ifd(_EXIF_IFD)
        taken = datetime.strptime(str(about.get(_TAKEN)), "%Y:%m:%d %H:%M:%S")
    except Exception:  # Pillow's readers raise what they like for what isn't as they expect
        return None
    comment = about.get(_COMMENT, b"")
    text = ""
    if isinstance(comment, bytes) and comment.startswith(_UNICODE):
        text = comment.removeprefix(_UNICODE).decode("utf-16-le", "replace")
    return Scene(str(taken), as_caption(text))
