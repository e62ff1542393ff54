"""tokenizer.json checked before the library loads it: Qwen2's kind, or none.

The library runs whatever the file says: replacements that grow a text tenfold each, patterns that
never end, tokens left out by chance. Another kind also cuts words otherwise than the model was
taught, and nobody would see it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from galago.errors import CheckpointError

__all__ = ["QWEN2_WORDS", "check_added", "check_tokenizer"]

# Qwen2's word boundaries (transformers, models/qwen2/tokenization_qwen2.py).
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLIT = {
    "type": "Split",
    "pattern": {"Regex": QWEN2_WORDS},
    "behavior": "Isolated",
    "invert": False,
}
_MOST_ADDED, _LONGEST = 1024, 256  # tokens and their letters; Qwen2 has 22, of 20 letters
_OFF = (  # fields of the model that change what tokens come out
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
)


def check_tokenizer(data: bytes, path: Path) -> None:
    """CheckpointError, naming the field, unless tokenizer.json (its bytes) is of Qwen2's kind."""
    try:
        whole = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{path} is damaged ({reason}); fetch it again") from None
    if not isinstance(whole, dict):
        raise CheckpointError(f"{path} is damaged (it holds no JSON object); fetch it again")
    model = whole.get("model")
    if not isinstance(model, dict) or not _is(model, "BPE"):
        raise _another(path, "model", model)
    for name in _OFF:
        if model.get(name):
            raise _another(path, f"model.{name}", model[name])
    normalizer, post, words = (
        whole.get(name) for name in ("normalizer", "post_processor", "pre_tokenizer")
    )
    if normalizer not in (None, {"type": "NFC"}):
        raise _another(path, "normalizer", normalizer)
    if not _cuts_as_qwen2(words):
        raise _another(path, "pre_tokenizer", words)
    if post is not None and not _adds_nothing(post):
        raise _another(path, "post_processor", post)
    if not _is(whole.get("decoder"), "ByteLevel"):
        raise _another(path, "decoder", whole.get("decoder"))
    added = whole.get("added_tokens", [])
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise _another(path, "added_tokens", added)
    check_added([token.get("content") for token in added], path)


def check_added(contents: list[Any], path: Path) -> None:
    """CheckpointError for more or longer added tokens than any model has."""
    if len(contents) > _MOST_ADDED:
        raise _another(path, "added_tokens", f"{len(contents)} of them")
    for content in contents:
        if not isinstance(content, str) or not 0 < len(content) <= _LONGEST:
            raise _another(path, "added_tokens", content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What is said twice could be read here as the one and there as the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _cuts_as_qwen2(words: Any) -> bool:
    if not _is(words, "Sequence"):
        return _is_bytes(words)
    parts = words.get("pretokenizers")
    return (
        isinstance(parts, list) and len(parts) == 2 and parts[0] == _SPLIT and _is_bytes(parts[1])
    )


def _adds_nothing(post: Any) -> bool:
    # What transformers writes since its version 5: a template of the text alone.
    return _is(post, "ByteLevel") or (
        _is(post, "TemplateProcessing") and not post.get("special_tokens")
    )


def _is_bytes(part: Any) -> bool:
    # A space before the first word would be a token that nobody typed.
    return _is(part, "ByteLevel") and part.get("add_prefix_space", True) is False


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, dict) and part.get("type") == kind


def _another(path: Path, name: str, value: Any) -> CheckpointError:
    shown = value.get("type", "no type") if isinstance(value, dict) else value
    return CheckpointError(
        f"{path} is a tokenizer of another kind than FastVLM's ({name}: {str(shown)[:60]!a}): take "
        "the tokenizer of the published model"
    )
