"""Ids against transformers' Qwen2Tokenizer on a vocabulary trained here, and Qwen2's chat template.

Run in the parity environment: `python -m pytest tests/parity/test_tokens.py`.

Text that holds control tokens is where the two part on purpose: transformers reads "<|im_end|>"
typed by a person as the end of the turn, galago as the letters.
"""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from galago.specs import PromptSpec
from galago.text.chat import ImageSlot, Message, chat_pieces
from galago.text.tokens import Tokenizer, load_tokenizer

transformers = pytest.importorskip("transformers")

CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "You are a helpful assistant.",
    "What is written in this image?\nOutput only the text in the image.",
    "don't DON'T we'll 'Tis 'twas I'm they're you'd",
    "  leading, trailing  ", "\n\n\n", " \n \r\n\t\t x", "a\u00a0b\u2003c\u200bd\u3000e\u1680f",
    "12345 3.14 ½ ²³ ٣٤٥ १२३ Ⅷ ①", "naïve café Größe señor Ångström ſtraße ﬁ ǅ",
    "e\u0301 n\u0303 \u1112\u1161\u11ab ガ ﾊﾟ", "日本語のメモ 中文，测试。 한국어 문장",
    "русский текст עברית العَرَبِيَّة हिन्दी ไทย தமிழ் ქართული",
    "👍🏽 👨‍👩‍👧‍👦 🇩🇪 ✌️ 🫱🏻‍🫲🏿", "x = {'a': [1, 2]} // #!/bin/sh --flag=\"v\" &amp; <b>",
    "\x00\x01\x7f\x85\ufeff",
    "𝔘𝔫𝔦 𝟙𝟚 𓂀 \U0010ffff", "'S 'ſ 'ſt 'K", "....!!! ??? -- \n--- ...\r\n", "",
]  # fmt: skip


def random_texts(count: int) -> list[str]:
    """Any assigned characters, with spaces, line ends and apostrophes more often than fair."""
    dice = random.Random(0)
    common = " \n\r\t'\u00a0" + "stremdll" * 2
    texts = []
    for _ in range(count):
        chars = []
        while len(chars) < dice.randrange(1, 40):
            char = dice.choice(common) if dice.random() < 0.4 else chr(dice.randrange(0x1F700))
            if unicodedata.category(char) not in {"Cs", "Cn"}:
                chars.append(char)
        texts.append("".join(chars))
    return texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published layout: vocab.json, merges.txt, added_tokens.json and the two configurations."""
    words = Regex(r"\s+|[^\s]+")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Trained on whole words, so merges cross what the pre-tokenizer must keep apart.
    trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator([*TEXTS * 3, *random_texts(300)], trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    path = tmp_path_factory.mktemp("published")
    (path / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), "utf-8")
    (path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    added = {name: len(model["vocab"]) + at for at, name in enumerate(CONTROLS)}
    (path / "added_tokens.json").write_text(json.dumps(added), "utf-8")
    fields = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    decoder = {str(at): {"content": name, "special": True} | fields for name, at in added.items()}
    config = {
        "added_tokens_decoder": decoder,
        "additional_special_tokens": CONTROLS[1:],
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
    }
    (path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    special = {name: config[name] for name in ("additional_special_tokens", "eos_token")}
    (path / "special_tokens_map.json").write_text(json.dumps(special), "utf-8")
    return path


@pytest.fixture(scope="module")
def ours(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> object:
    return transformers.Qwen2Tokenizer.from_pretrained(folder)


def test_ids_of_chosen_and_of_random_text(ours: Tokenizer, theirs: object) -> None:
    for text in [*TEXTS, *random_texts(4000)]:
        expected = theirs(text)["input_ids"]  # type: ignore[operator]
        assert ours.encode(text) == expected, text
        assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=True)  # type: ignore[attr-defined]


def test_control_tokens_have_the_same_ids(ours: Tokenizer, theirs: object) -> None:
    for name in CONTROLS:
        assert ours.token_id(name) == theirs.convert_tokens_to_ids(name)  # type: ignore[attr-defined]


def test_the_saved_tokenizer_json_agrees(ours: Tokenizer, theirs: object, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path)  # type: ignore[attr-defined]
    assert (tmp_path / "tokenizer.json").is_file()
    saved = load_tokenizer(tmp_path)
    for text in [*TEXTS, *random_texts(500)]:
        assert saved.encode(text) == ours.encode(text), text


# Qwen2's chat_template, spelled with jinja as its tokenizer_config.json has it.
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def halves(theirs: object, messages: list[dict[str, str]]) -> list[object]:
    """llava's tokenizer_image_token: split at <image>, each part tokenised on its own."""
    text = theirs.apply_chat_template(  # type: ignore[attr-defined]
        messages, chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True
    )
    parts: list[object] = []
    for at, part in enumerate(text.split("<image>")):
        parts += [ImageSlot(at - 1)] if at else []
        parts.append(theirs(part)["input_ids"])  # type: ignore[operator]
    return parts


@pytest.mark.parametrize("prompt", [text for text in TEXTS if text])
def test_the_prompt_of_one_picture(ours: Tokenizer, theirs: object, prompt: str) -> None:
    expected = halves(theirs, [{"role": "user", "content": f"<image>\n{prompt}"}])
    message = Message("user", (ImageSlot(0), "\n", prompt))
    assert chat_pieces(ours, [message], PromptSpec()) == expected


def test_several_pictures_and_turns(ours: Tokenizer, theirs: object) -> None:
    expected = halves(
        theirs,
        [
            {"role": "user", "content": "<image>\n<image>\nWhich is larger?"},
            {"role": "assistant", "content": "The second."},
            {"role": "user", "content": "Why?"},
        ],
    )
    said = [
        Message("user", (ImageSlot(0), "\n", ImageSlot(1), "\n", "Which is larger?")),
        Message("assistant", ("The second.",)),
        Message("user", ("Why?",)),
    ]
    assert chat_pieces(ours, said, PromptSpec()) == expected
