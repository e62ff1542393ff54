"""A query in another language, put into English by a FastVLM's own language model.

No picture is looked at: Qwen2 knew some thirty languages before it was taught to see, while models
that find pictures read English only. What comes back is checked for what can be checked: that it is
a short text in Latin letters, and whole. Whether it says the same nobody here can know, so whoever
searches with it shows it. Translations are kept in galago's cache, readable to this person only,
under the model, the prompt and the query that they were made from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from galago.disk import keep_newest, optional_json, whole_file
from galago.errors import GalagoError, ModelError, OptionError, StorageError
from galago.places import cache_dir
from galago.text.chat import Message
from galago.vlm.reply import Chunk, EncodedImage
from galago.vlm.sampling import SamplingOptions

__all__ = ["Translator"]

_SYSTEM = (
    "You translate search queries for photos into English. "
    "Reply with the query in English and nothing else."
)
_SHOWN = (
    ("海边的狗", "a dog by the sea"),
    ("два ребёнка играют в футбол", "two children playing football"),
    ("红色连衣裙", "a red dress"),
)
_ASKED, _ANSWERED = 300, 200  # characters at most
_WORDS = 30
_TOKENS = 64
_KEPT = 1000  # files; those not used for longest go first
_PLAIN = frozenset("0123456789'’-,.&()/:")  # between words
# What an answer may be wrapped in.
_WRAPPING = " \t\"'“”‘’「」《》.。"


class Speaks(Protocol):
    """galago.FastVLM is one."""

    name: str

    def reply(
        self,
        messages: Sequence[Message],
        images: Sequence[EncodedImage] = (),
        options: SamplingOptions | None = None,
    ) -> Iterator[Chunk]: ...


class Translator:
    """Queries to English. Safe to use from several threads if its model is."""

    def __init__(self, name: str, made_by: str, load: Callable[[], Speaks]) -> None:
        """`load` is called when a query was never translated before; `made_by` tells the model's
        translations from another's, `name` is the model's for people."""
        self.name, self._made_by, self._load = name, made_by, load

    def __call__(self, text: str) -> str:
        """The query in English.

        Raises ModelError where the model gives no usable answer, or can't be opened for want of
        memory; OptionError for a text that is too long to be a query; and as loading does.
        """
        asked = " ".join(unicodedata.normalize("NFKC", text).split())
        if not asked or len(asked) > _ASKED:
            raise OptionError(
                f"a query of {len(asked)} characters is not translated: use up to {_ASKED}"
            )
        path = _place(self._made_by, asked)
        found = None if path is None else _read(path, asked)
        if found is None:
            found = self._translate(asked)
            if path is not None:
                with contextlib.suppress(OSError):  # a cache that can't be written is done without
                    _write(path, asked, found)
        return found

    def _translate(self, asked: str) -> str:
        try:
            said, finish = self._ask(asked)
        except GalagoError:
            raise
        except (MemoryError, RuntimeError) as error:  # as the engine tells that memory is used up
            reason = "out of memory" if isinstance(error, MemoryError) else _line(error)
            raise ModelError(f"{self.name} could not translate the query: {reason}") from None
        if finish not in ("end", "stop"):
            raise ModelError(f"{self.name} found no end with the query's translation")
        english = said.strip(_WRAPPING)
        if why := _unusable(english):
            raise ModelError(f"{self.name}'s translation of the query is {why}")
        return " ".join(english.split())

    def _ask(self, asked: str) -> tuple[str, str | None]:
        messages = [Message("system", (_SYSTEM,))]
        for query, answer in _SHOWN:
            messages += [Message("user", (query,)), Message("assistant", (answer,))]
        messages.append(Message("user", (asked,)))
        options = SamplingOptions(max_tokens=_TOKENS, stop=("\n",))
        said, finish = "", None
        for chunk in self._load().reply(messages, (), options):
            said, finish = said + chunk.text, chunk.finish
        return said, finish


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")[:200] or type(error).__name__


def _unusable(english: str) -> str | None:
    """Why this is no query in English; None when it may be one."""
    letters = [one for one in english if one.isalpha()]
    if not letters:
        return "empty"
    if len(english) > _ANSWERED or len(english.split()) > _WORDS:
        return "too long"
    latin = all("LATIN" in unicodedata.name(one, "") for one in letters)
    others = [one for one in english if not one.isalpha() and not one.isspace()]
    plain = set(others) <= _PLAIN and 2 * len(others) <= len(letters) and english.isprintable()
    return None if latin and plain else "not in English"


# -- kept ------------------------------------------------------------------------------------------


def _place(made_by: str, asked: str) -> Path | None:
    """The file that keeps a translation; None where there is no cache."""
    content = json.dumps([made_by, _SYSTEM, _SHOWN, asked]).encode()
    with contextlib.suppress(StorageError):
        name = hashlib.blake2b(content, digest_size=16).hexdigest()
        return cache_dir() / "translations" / f"{name}.json"
    return None


def _read(path: Path, asked: str) -> str | None:
    """None for what is missing or damaged."""
    try:
        kept = optional_json(path)
    except (GalagoError, OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.get("asked") != asked:
        return None
    english = kept.get("english")
    if not isinstance(english, str) or _unusable(english):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return english


def _write(path: Path, asked: str, english: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, private=True) as file:
        file.write(json.dumps({"asked": asked, "english": english}, ensure_ascii=False).encode())
    keep_newest(path.parent, "*.json", _KEPT)
