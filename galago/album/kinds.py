"""Which files an album takes in, and those beside them that people may look for there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from galago.errors import install_line
from galago.media import raw
from galago.media.frames import has_av
from galago.media.images import PICTURE_SUFFIXES
from galago.media.video import VIDEO_SUFFIXES

__all__ = ["counted", "kinds_told", "remedy", "told", "wanted"]

_RAW = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc"}
    | {".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl"}
    | {".sr2", ".srf", ".srw", ".x3f"}
)
_VIDEO = frozenset(
    {".3gp", ".avi", ".insv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".vob", ".webm", ".wmv"}
)
_PLAYED = _VIDEO & VIDEO_SUFFIXES
_PICTURE = frozenset(
    {".ai", ".eps", ".exr", ".hdr", ".heics", ".jxl", ".jxr", ".psb", ".psd", ".svg", ".wdp"}
    | {".xcf"}
)


def wanted(*, videos: bool = True) -> frozenset[str]:
    """The suffixes of files that can be read here."""
    found = PICTURE_SUFFIXES if raw.is_installed() else PICTURE_SUFFIXES - raw.RAW_SUFFIXES
    return found | _PLAYED if videos and has_av() else found


def remedy(suffixes: Iterable[str]) -> str | None:
    """The line that installs what reads files of these kinds, if something does."""
    left = set(suffixes) - wanted()
    kinds = (("raw", raw.RAW_SUFFIXES), ("video", _PLAYED))
    extras = [extra for extra, kind in kinds if left & kind]
    return f"to read them: {install_line(*extras)}" if extras else None


def told(suffix: str) -> bool:
    """Whether a run says how many files of this suffix (in small letters) it left out."""
    return suffix in _RAW or suffix in _VIDEO or suffix in _PICTURE


def counted(count: int, what: str) -> str:
    """A count for people: "1 photo", "1,200 photos"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def kinds_told(counts: Mapping[str, int]) -> str:
    """Counts by suffix for people: "12 raw photos (.cr2 .nef), 3 .jxl, 7 videos (.mp4)"."""
    parts = []
    for kinds, one, many in ((_RAW, "raw photo", "raw photos"), (_VIDEO, "video", "videos")):
        found = sorted(suffix for suffix in counts if suffix in kinds)
        if found:
            total = sum(counts[suffix] for suffix in found)
            parts.append(f"{total:,} {one if total == 1 else many} ({' '.join(found)})")
    others = sorted(suffix for suffix in counts if suffix in _PICTURE)
    parts[1:1] = [f"{counts[suffix]:,} {suffix}" for suffix in others]
    return ", ".join(parts)
