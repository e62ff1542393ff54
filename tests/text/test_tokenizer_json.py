"""A tokenizer.json that would cut words otherwise than Qwen2's is refused before it is loaded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from galago.errors import CheckpointError
from galago.text.tokenizer_json import QWEN2_WORDS, check_tokenizer
from galago.text.tokens import Tokenizer, load_tokenizer
from tests.helpers.fakes import write_tokenizer

REPLACE = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
# As in the tokenizer.json of Qwen/Qwen2-0.5B.
PUBLISHED_MODEL = {
    "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
    "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
    "vocab": {"a": 0}, "merges": [],
}  # fmt: skip
PUBLISHED = {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [{"id": 1, "content": "<|endoftext|>", "special": True}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated",
         "invert": False}, BYTES]},
    "post_processor": {**BYTES, "trim_offsets": False},
    "decoder": BYTES,
    "model": PUBLISHED_MODEL,
}  # fmt: skip


def split(words: str) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, BYTES]}


def test_the_published_one_passes() -> None:
    check_tokenizer(json.dumps(PUBLISHED).encode(), Path("tokenizer.json"))


def test_what_transformers_saves_passes() -> None:
    text = {"Sequence": {"id": "A", "type_id": 0}}
    post = {"type": "TemplateProcessing", "single": [text], "pair": [text], "special_tokens": {}}
    saved = PUBLISHED | {"post_processor": post}
    check_tokenizer(json.dumps(saved).encode(), Path("tokenizer.json"))


BAD: list[tuple[str, Any]] = [
    ("normalizer", {"type": "Sequence", "normalizers": [REPLACE] * 9}),
    ("normalizer", {"type": "Prepend", "prepend": "x" * 1_000_000}),
    ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    ("normalizer", [1]),
    ("pre_tokenizer", None),
    ("pre_tokenizer", split("(?:(?:\\w|\\s)+)+X")),
    ("pre_tokenizer", {**BYTES, "add_prefix_space": True}),
    ("post_processor", {"type": "TemplateProcessing", "special_tokens": {"<s>": {}}}),
    ("post_processor", {"type": "BertProcessing"}),
    ("decoder", {"type": "Strip", "content": " ", "start": 9, "stop": 9}),
    ("model", {"type": "WordLevel", "unk_token": "x", "vocab": {"a": 1}}),
    ("model", 3),
    ("model.dropout", 0.5),
    ("model.unk_token", "zz"),
    ("model.continuing_subword_prefix", "##"),
    ("model.end_of_word_suffix", "</w>"),
    ("model.byte_fallback", True),
    ("model.ignore_merges", True),
    ("added_tokens", [{"id": at, "content": f"<{at}>"} for at in range(2000)]),
    ("added_tokens", [{"id": 7, "content": "a" * 1000}]),
    ("added_tokens", [7]),
    ("added_tokens", {}),
]


@pytest.mark.parametrize(("part", "value"), BAD, ids=lambda part: ascii(part)[:40])
def test_others_are_refused_by_name(
    tmp_path: Path,
    tokenizer: Tokenizer,
    capfd: pytest.CaptureFixture[str],
    part: str,
    value: Any,
) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer._backend.save(str(path))
    content = json.loads(path.read_text("utf-8"))
    *outer, key = part.split(".")
    (content[outer[0]] if outer else content)[key] = value
    path.write_text(json.dumps(content), "utf-8")
    began = time.perf_counter()
    with pytest.raises(CheckpointError, match=f"{part.replace('.', '[.]')}.*published") as refused:
        load_tokenizer(tmp_path)
    assert len(str(refused.value).splitlines()) == 1 and len(str(refused.value)) < 600
    assert time.perf_counter() - began < 15
    assert capfd.readouterr().err == ""  # the library's Rust code writes there as it falls


@pytest.mark.parametrize(
    "text", ["{", "[]", "7", "[" * 100_000, '{"model": {}, "model": {}}', "\xff"]
)
def test_what_is_no_tokenizer_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text, "latin-1")
    with pytest.raises(CheckpointError) as refused:
        load_tokenizer(tmp_path)
    assert "\n" not in str(refused.value)


def test_added_tokens_of_the_old_files_are_bounded(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_tokenizer(tmp_path)
    first = tokenizer.vocab_size
    many = {f"<{at}>": first + at for at in range(2000)}
    (tmp_path / "added_tokens.json").write_text(json.dumps(many), "utf-8")
    with pytest.raises(CheckpointError, match="added_tokens"):
        load_tokenizer(tmp_path)
