"""What names the content of a file in an album: its hash, of a large video that of parts of it."""

from __future__ import annotations

import os
from typing import BinaryIO

from galago.album.store import content_hash
from galago.media.video import VIDEO_SUFFIXES

__all__ = ["MOMENTS", "VIDEOS", "digest_of", "is_video", "moment_digest"]

# For SQL: contents that are a moment of a video, but its first; files that are videos.
MOMENTS = "SELECT hash FROM frames WHERE hash != video"
VIDEOS = (
    "photos JOIN vectors ON vectors.row = photos.row "
    "WHERE vectors.hash IN (SELECT hash FROM frames WHERE hash = video)"
)

_PIECE = 1 << 20  # bytes read at a time
_WHOLE = 64 << 20  # a larger video is known by its size and _PARTS of it: a disk gives 150 MB a
_PARTS = 16  # second, and whoever keeps videos has hundreds of gigabytes of them


def is_video(path: bytes | str) -> bool:
    """By its name."""
    return os.path.splitext(os.fsdecode(path))[1].lower() in VIDEO_SUFFIXES


def digest_of(file: BinaryIO, path: bytes | str) -> bytes | None:
    """The name of an open file's content; None for one that is shorter than its size says.

    A video of more than 64 MB is known by its size and 16 parts of a megabyte, evenly spread, with
    its first and its last bytes.  Raises OSError.
    """
    size = os.fstat(file.fileno()).st_size
    known = content_hash()
    if size > _WHOLE and is_video(path):
        known.update(b"parts of a video, of %d bytes" % size)
        starts = [part * (size - _PIECE) // (_PARTS - 1) for part in range(_PARTS)]
        stretches = [(start, _PIECE) for start in starts]
    else:
        stretches = [(0, size)]
    for start, left in stretches:
        file.seek(start)
        while left > 0:  # no further, however a file grows meanwhile
            piece = file.read(min(left, _PIECE))
            if not piece:
                return None
            known.update(piece)
            left -= len(piece)
    return known.digest()


def moment_digest(video: bytes, number: int) -> bytes:
    """What names a moment of a video; the first has the name of the video itself."""
    return content_hash(video + b"moment %d" % number).digest() if number else video
