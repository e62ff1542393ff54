"""Text to ids and back: Qwen2's tokenizer, and text as it streams.

The tokenizer comes from tokenizer.json, or is put together from vocab.json and merges.txt as the
published FastVLM folders have them.  What people type is never read as control tokens: those come
from the chat template only (galago/text/chat.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers

from galago.disk import is_regular, optional_json, read_regular
from galago.errors import CheckpointError
from galago.text.tokenizer_json import QWEN2_WORDS, check_added, check_tokenizer

__all__ = [
    "TextStream",
    "Tokenizer",
    "load_tokenizer",
]

_MAX_VOCABULARY = 32 << 20  # bytes; Qwen2's tokenizer.json has 7 MB


def _byte_letters() -> dict[str, int]:
    """The letter that byte-level BPE writes for each byte: itself where it can be seen, else one
    from 256 on (https://github.com/openai/gpt-2, `bytes_to_unicode`)."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in seen]
    letters = {chr(byte): byte for byte in seen}
    return letters | {chr(256 + at): byte for at, byte in enumerate(others)}


_BYTES = _byte_letters()
_UNFINISHED = "\ufffd"  # what a decoder makes of the first bytes of a character


class Tokenizer:
    """Text to ids and back; safe to share between threads, as nothing in it changes."""

    def __init__(self, backend: Any) -> None:
        # Control tokens inside what people type stay plain text; the template adds real ones by id.
        backend.encode_special_tokens = True
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        self._added = dict(backend.get_added_tokens_decoder())

    @property
    def vocab_size(self) -> int:
        """How many tokens there are; the model's own vocabulary may be padded beyond."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    def to_json(self) -> str:
        """The whole of it, as tokenizer.json."""
        return str(self._backend.to_str())

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without control tokens."""
        clean = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates have no bytes
        with _damaged("the model's tokenizer is damaged"):
            return list(self._backend.encode(clean, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; control tokens vanish, ids beyond the vocabulary too."""
        with _damaged("the model's tokenizer is damaged"):
            return str(self._backend.decode(list(ids), skip_special_tokens=True))

    def token_id(self, token: str) -> int | None:
        """The id of one whole token, control tokens included; None when there is none."""
        found = self._backend.token_to_id(token)
        return None if found is None else int(found)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token stands for, perhaps part of a character.

        None at all of a control token, and of an id beyond the vocabulary.
        """
        added = self._added.get(token_id)
        if added is not None:
            return b"" if added.special else str(added.content).encode("utf-8", "replace")
        token = self._backend.id_to_token(token_id) or ""
        try:
            return bytes(_BYTES[letter] for letter in token)
        except KeyError:  # no byte-level token: its letters are what it says
            return str(token).encode("utf-8", "replace")


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """The tokenizer of a model's folder.

    Reads tokenizer.json, or else vocab.json and merges.txt with the added tokens of
    tokenizer_config.json, added_tokens.json and special_tokens_map.json.  Raises CheckpointError
    when they are missing or damaged.
    """
    folder = Path(folder)
    whole = folder / "tokenizer.json"
    if os.path.lexists(whole):
        with _damaged(f"{whole} is damaged"):
            data = read_regular(whole, _MAX_VOCABULARY)
            check_tokenizer(data, whole)
            return Tokenizer(tokenizers.Tokenizer.from_buffer(data))
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    for path in (vocab, merges):
        if not is_regular(path):
            raise CheckpointError(
                f"{folder} has no tokenizer.json and no {path.name}; fetch the model again"
            )
    with _damaged(f"the tokenizer in {folder} is damaged"):
        backend = _qwen2_backend(vocab, merges)
        _add_tokens(backend, folder)
        return Tokenizer(backend)


@contextlib.contextmanager
def _damaged(line: str) -> Iterator[None]:
    """What the tokenizer library makes of a bad file, as a CheckpointError that begins so."""
    try:
        yield
    except CheckpointError:
        raise
    except BaseException as error:
        # It raises bare Exceptions; where its own Rust code falls, something that isn't even one.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{line} ({_one_line(error)}); fetch it again") from None


def _qwen2_backend(vocab: Path, merges: Path) -> Any:
    for path in (vocab, merges):
        read_regular(path, _MAX_VOCABULARY)
    backend = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(vocab), str(merges)))
    backend.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated", invert=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    backend.decoder = decoders.ByteLevel()
    return backend


def _add_tokens(backend: Any, folder: Path) -> None:
    """Tokens beyond the vocabulary, at the ids their files give them."""
    added = _added_tokens(folder)
    check_added([token.content for token in added.values()], folder)
    for token_id, token in sorted(added.items()):
        backend.add_tokens([token])
        if backend.token_to_id(token.content) != token_id:
            raise CheckpointError(
                f"the token {token.content!r} in {folder} should have id {token_id}, "
                f"which the vocabulary doesn't leave free; fetch the model again"
            )


def _added_tokens(folder: Path) -> dict[int, AddedToken]:
    config = optional_json(folder / "tokenizer_config.json")
    special = _names(optional_json(folder / "special_tokens_map.json")) | _names(config)
    found: dict[int, AddedToken] = {}
    try:
        for content, token_id in optional_json(folder / "added_tokens.json").items():
            is_special = content in special
            found[int(token_id)] = AddedToken(
                content, special=is_special, normalized=not is_special
            )
        for key, fields in config.get("added_tokens_decoder", {}).items():
            options = {
                name: bool(fields[name])
                for name in ("lstrip", "rstrip", "normalized", "single_word", "special")
                if name in fields
            }
            found[int(key)] = AddedToken(str(fields["content"]), **options)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the added tokens in {folder} are damaged ({_one_line(error)}); fetch them again"
        ) from error
    return found


def _names(fields: Mapping[str, Any]) -> set[str]:
    """Every token that special_tokens_map.json or tokenizer_config.json names as special."""
    names: set[str] = set()
    for key, value in fields.items():
        if key.endswith("_token") or key in {"additional_special_tokens", "extra_special_tokens"}:
            for token in value if isinstance(value, list) else [value]:
                content = token.get("content") if isinstance(token, dict) else token
                if isinstance(content, str):
                    names.add(content)
    return names


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


# -- text as it streams ----------------------------------------------------------------------------


class TextStream:
    """Ids in, text out: never half a character, never part of a stop string.

    The pieces that `push` and `finish` return, joined, are the decoded text up to the first stop
    string.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._ids: list[int] = []  # the ids of `_said` and those whose text is still unfinished
        self._known = 0  # how many of them make up `_said`
        self._said = ""
        self._held = ""  # could be the beginning of a stop string
        self.stopped = False  # a stop string was met; what follows is dropped

    def push(self, token_id: int) -> str:
        """The text that became certain with this token; often empty."""
        if self.stopped:
            return ""
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids)
        if text.endswith(_UNFINISHED):
            return ""
        new = text[len(self._said) :]
        # Some decoders look at the token before (a space between words): keep the last ones.
        self._ids = self._ids[self._known :]
        self._known = len(self._ids)
        self._said = self._tokenizer.decode(self._ids)
        return self._release(new)

    def finish(self) -> str:
        """What was held back and turned out to be text."""
        if self.stopped:
            return ""
        new = self._tokenizer.decode(self._ids)[len(self._said) :]
        out = self._release(new)
        if self.stopped:
            return out
        out, self._held = out + self._held, ""
        return out

    def _release(self, new: str) -> str:
        """Cut at a stop string; hold back an ending that could become one."""
        text = self._held + new
        found = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]  # the first to be complete, however the text was cut up
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-length:]):
            return length
    return 0
