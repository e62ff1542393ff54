"""Frames with times: out of a video file.  PyAV (the extra `video`) reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galago.errors import CutShortError, VideoError
from galago.media.frames import Frame, av_errors, clock, import_av
from galago.media.images import MAX_PIXELS
from galago.media.moments import CLOCK, moments

__all__ = ["VIDEO_SUFFIXES", "Video"]

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogv", ".ts", ".webm", ".wmv"}
)
# Only the file itself is read. A playlist in it can't make FFmpeg open an address: with a Python
# file object, which has no protocol, it does.
_SAFE = {"protocol_whitelist": "file"}
_CLOCK_RESET = 1.0  # seconds; times that go back by less are out of order, as of damaged files
_MISSING_END = 1.0  # seconds that a stream may end before its header says, and be whole
# Pictures decoded behind a jump: so many pixels, and so many pictures at least and at most.
_WORK, _FEWEST, _MOST = 300_000_000, 8, 150


class Video:
    """A video file, open.  Use it as a context manager.

    duration: where its pictures end, in seconds; None where the file doesn't say.
    end: where the last picture that was read so far ends.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, name: str | None = None, threads: int = 0
    ) -> None:
        """`threads` decode; 0: as many as FFmpeg likes.

        Raises VideoError (missing, empty, not a video, damaged, only sound, too large) and, as
        one that is both, MissingExtraError."""
        self.name = name or str(path)
        self._check(Path(path))
        av = import_av(f"{self.name} is a video")
        try:
            self._container = av.open("file:" + os.path.abspath(path), options=dict(_SAFE))
        except av_errors() as error:
            raise VideoError(self._cause()) from error
        try:
            self._stream = self._video_stream()
        except BaseException:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        if threads:
            self._stream.codec_context.thread_count = threads
        # Sound that begins before 0 is its decoder's run-up, which players don't count.
        self._zero = max((self._container.start_time or 0) / 1e6, 0.0)
        self.duration = self._duration()
        self.end = 0.0
        self._any, self._bad, self._missing = False, 0, ""

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self, every: float = 0.0) -> Iterator[Frame]:
        """What is on the screen every so many seconds (galago/media/moments.py); once only.

        0: each picture, when it comes.  Times count from where the file's sound or pictures begin.

        Raises VideoError when there is no picture; CutShortError after the last, when pieces of
        the file could not be decoded or it ends more than a second before its header says.
        """
        pictures = self._pictures()
        # Closer together than a clock can tell, each picture is meant.
        yield from moments(pictures, every, lambda: self.end) if every > CLOCK else pictures
        if not self._any:
            raise VideoError(f"{self.name} holds no picture that can be decoded; it may be damaged")
        if self._missing:
            raise CutShortError(f"{self.name} is damaged or cut short: {self._missing}")

    @property
    def length(self) -> float:
        """Seconds, about: where the file says nothing of its pictures, those of all it holds."""
        whole = (self._container.duration or 0) / 1e6
        return max(0.0, whole if self.duration is None else self.duration)

    def near(self, second: float) -> Frame | None:
        """A picture from about this second, reached by a jump; None where none can be decoded.

        The one on the screen then, unless it stands far behind the last one that FFmpeg can begin
        with: then one in between, so that a long film takes no longer than a short one.  Don't use
        it together with `frames`.
        """
        pixels = self._stream.codec_context.width * self._stream.codec_context.height
        most = max(_FEWEST, min(_MOST, _WORK // max(1, pixels)))
        try:
            self._container.seek(
                int((second + self._zero) / self._stream.time_base), stream=self._stream
            )
        except av_errors():  # it can only be read from its beginning
            if second:
                return None
        found = None
        shape = _pixel_shape(self._stream)
        for number, picture in enumerate(self._decoded()):
            at = second if picture.time is None else max(0.0, float(picture.time) - self._zero)
            if found is not None and at > second:
                break
            found = Frame(at, picture, shape)
            if number >= most:
                break
        return found

    def _pictures(self) -> Iterator[Frame]:
        """Each picture with its time, none before the one that came before it."""
        last, zero = 0.0, self._zero
        shape = _pixel_shape(self._stream)
        for picture in self._decoded():
            at = last if picture.time is None else float(picture.time) - zero
            if at < 0 and not self._any:
                zero, at = zero + at, 0.0
            if at < last - _CLOCK_RESET:  # files joined end to end: each brings a clock of its own
                zero, at = zero + at - self.end, self.end
            last = max(last, at)
            held = float((picture.duration or 0) * (picture.time_base or 0))
            # The last picture of a screen that stands still may be shown for long.
            self.end = last + (held if held > 0 else self._step())
            self._any = True
            yield Frame(last, picture, shape)
        self._missing = self._what_is_missing(last)
        if self.duration is not None and not self._missing:
            self.end = max(self.end, self.duration)

    def _decoded(self) -> Iterator[Any]:
        for packet in self._packets():
            try:
                yield from packet.decode()
            except av_errors():  # it goes on with the next packet
                self._bad += 1

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except av_errors():
            self._bad += 1

    def _what_is_missing(self, last: float) -> str:
        if self.duration is not None and self.end + _MISSING_END < self.duration:
            return f"nothing after {clock(last)} of {clock(self.duration)}"
        return f"{self._bad} pieces of it could not be decoded" if self._bad else ""

    def _step(self) -> float:
        rate = self._stream.average_rate
        return 1 / float(rate) if rate else 0.0

    def _duration(self) -> float | None:
        begin = float((self._stream.start_time or 0) * self._stream.time_base)
        late = max(begin - self._zero, 0.0)  # than the sound
        if self._stream.duration:
            return late + float(self._stream.duration * self._stream.time_base)
        streams = self._container.streams
        if not self._container.duration or streams.audio or streams.subtitles:
            return None  # sound and subtitles may last longer than the pictures
        # A container's time counts from 0 where its pictures may begin later.
        length = self._container.duration / 1e6 - begin
        return length if length > 0 else None

    def _video_stream(self) -> Any:
        streams = self._container.streams
        # Cover art in a sound file is a "video" of one picture.
        videos = [one for one in streams.video if not _is_cover(one)]
        if not videos:
            if streams.audio:
                raise VideoError(f"{self.name} holds only sound; give a video with pictures")
            raise VideoError(f"{self.name} holds no pictures; it may be damaged or cut short")
        if videos[0].codec_context is None:
            raise VideoError(f"{self.name} is in a format this FFmpeg can't decode")
        width, height = videos[0].codec_context.width, videos[0].codec_context.height
        width = round(width * _pixel_shape(videos[0]))
        if width * height > MAX_PIXELS:
            limit = MAX_PIXELS // 1_000_000
            raise VideoError(f"{self.name} ({width}x{height}) is larger than {limit} megapixels")
        return videos[0]

    def _check(self, path: Path) -> None:
        try:
            if path.is_dir():
                raise VideoError(f"{self.name} is a folder, not a video")
            if path.exists() and not path.is_file():  # it would be waited for, or read for ever
                raise VideoError(
                    f"{self.name} is a pipe or a device, no video file; save it as one first"
                )
            with path.open("rb") as file:
                if not file.read(1):
                    raise VideoError(f"{self.name} is empty (0 bytes)")
        except FileNotFoundError:
            raise VideoError(f"no such video: {self.name}; check the name") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VideoError(f"{self.name} can't be read: {reason}") from error

    def _cause(self) -> str:
        if Path(self.name).suffix.lower() in VIDEO_SUFFIXES:
            return f"{self.name} is not a video, or damaged or cut short (its header can't be read)"
        return f"{self.name} is not a video galago can read (MP4, MOV, MKV, WebM, AVI …)"


def _pixel_shape(stream: Any) -> float:
    """Width over height; files that don't say, or say 0, have square pixels."""
    return float(stream.sample_aspect_ratio or 1)


def _is_cover(stream: Any) -> bool:
    flags = stream.disposition
    return bool(flags & type(flags).attached_pic)
