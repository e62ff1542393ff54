"""Small stand-ins for the engine: quick, exact, and dependent on everything they are fed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from galago.specs import MCI0, FastViTSpec, ImageSpec, PromptSpec, Qwen2Spec, VLMSpec
from galago.text.tokens import Tokenizer, load_tokenizer
from galago.vlm.fastvlm import FastVLM

CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
HIDDEN = 16

Float = NDArray[np.float32]


class FakeVision:
    """Each 64x64 patch's mean colour, projected; notes every call."""

    def __init__(self, hidden: int = HIDDEN) -> None:
        self.calls: list[tuple[int, ...]] = []
        self._weights = np.random.default_rng(1).normal(size=(3, hidden)).astype(np.float32)

    def encode(self, pixel_values: Float) -> Float:
        self.calls.append(pixel_values.shape)
        batch, _, height, width = pixel_values.shape
        patches = pixel_values.reshape(batch, 3, height // 64, 64, width // 64, 64)
        means = patches.mean((3, 5)).reshape(batch, 3, -1).transpose(0, 2, 1)  # (B, T, 3)
        return means @ self._weights


class FakeLanguage:
    """Logits mix every position fed, each by its own place, so that any mistake in the cache shows.

    `eager` is added to the logit of `end_id`: the larger, the shorter the replies.
    """

    def __init__(
        self, vocab: int, hidden: int = HIDDEN, end_id: int | None = None, eager: float = 0.0
    ) -> None:
        self.vocab, self.hidden = vocab, hidden
        random = np.random.default_rng(2)
        self.table = random.normal(size=(vocab, hidden)).astype(np.float32)
        self.head = random.normal(size=(hidden, vocab))
        self.turns = random.uniform(0.1, 3, size=hidden)
        self.end_id, self.eager = end_id, eager
        self.caches: list[FakeCache] = []

    def embed(self, ids: ArrayLike) -> Float:
        return self.table[np.asarray(ids, dtype=np.int64)]

    def new_cache(self) -> FakeCache:
        self.caches.append(FakeCache(self))
        return self.caches[-1]

    def continuing_pays(self, known: int, new: int) -> bool:
        return True

    @property
    def fed(self) -> int:
        """Positions fed to all caches so far."""
        return sum(cache.fed for cache in self.caches)


class FakeCache:
    def __init__(self, language: FakeLanguage) -> None:
        self._language = language
        self._held = np.zeros((0, language.hidden))
        self.fed = 0
        self.rested = False

    @property
    def length(self) -> int:
        return len(self._held)

    def rest(self) -> None:
        self.rested = True

    def append(self, inputs_embeds: Float) -> Float:
        return self.append_all(inputs_embeds)[-1]

    def append_all(self, inputs_embeds: Float) -> Float:
        rows, width = inputs_embeds.shape
        assert rows > 0 and width == self._language.hidden and inputs_embeds.dtype == np.float32
        self._held = np.concatenate([self._held, inputs_embeds.astype(np.float64)])
        self.fed += rows
        stop = self.length
        return np.stack([self._logits(at) for at in range(stop - rows + 1, stop + 1)])

    def truncate(self, length: int) -> None:
        assert 0 <= length <= self.length
        self._held = self._held[:length]

    def _logits(self, length: int) -> Float:
        one = self._language
        places = np.arange(1, length + 1)[:, None]
        mixed = (self._held[:length] * np.cos(places * one.turns)).sum(0)
        logits = np.tanh(mixed) @ one.head
        if one.end_id is not None:
            logits[one.end_id] += one.eager
        return logits.astype(np.float32)


class ScriptedLanguage(FakeLanguage):
    """Says the given ids, whatever it is fed."""

    def __init__(self, vocab: int, script: Sequence[int]) -> None:
        super().__init__(vocab)
        self.script = list(script)

    def new_cache(self) -> FakeCache:
        self.caches.append(_ScriptedCache(self))
        return self.caches[-1]


class _ScriptedCache(FakeCache):
    _step = -1

    def truncate(self, length: int) -> None:
        super().truncate(length)
        self._step = -1  # what comes next is a prompt

    def append_all(self, inputs_embeds: Float) -> Float:
        logits = super().append_all(inputs_embeds) * 0
        self._step += 1
        logits[-1, self._language.script[self._step]] = 9  # type: ignore[attr-defined]
        return logits


def write_tokenizer(folder: Path, controls: Sequence[str] = CONTROLS) -> None:
    """Qwen2's files (vocab.json, merges.txt, tokenizer_config.json) with a vocabulary of 400."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    text = (
        "You are a helpful assistant. What is written in this image? the hand holds up "
        "three fingers and the note says milk, bread and eggs. system user assistant\n"
    )
    backend.train_from_iterator([text] * 3, trainer)
    parts = json.loads(backend.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in parts["merges"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(parts["vocab"]), "utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    first = len(parts["vocab"])
    decoder = {
        str(first + at): {"content": token, "special": True, "normalized": False}
        for at, token in enumerate(controls)
    }
    config: dict[str, Any] = {"added_tokens_decoder": decoder, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")


def fake_tokenizer(folder: Path) -> Tokenizer:
    write_tokenizer(folder)
    return load_tokenizer(folder)


def control(tokenizer: Tokenizer, name: str) -> int:
    """The id of a control token that must be there."""
    found = tokenizer.token_id(name)
    assert found is not None
    return found


def fake_spec(vocab: int, side: int = 256, fit: str = "pad") -> VLMSpec:
    return VLMSpec(
        name="fake",
        layout="galago",
        vision=_TRUNK,
        text=Qwen2Spec(HIDDEN, 32, 1, 2, 1, vocab),
        image=ImageSpec(side=side, fit=fit),  # type: ignore[arg-type]
        projector=(HIDDEN, HIDDEN),
        eos_ids=(),
        prompt=PromptSpec(),
    )


_TRUNK: FastViTSpec = MCI0


def fake_vlm(
    tokenizer: Tokenizer, *, reply: str | Sequence[int] | None = None, eager: float = 0.0
) -> FastVLM:
    """A FastVLM on fakes: one that babbles, or one that says `reply` (text or ids) and ends."""
    end_id = control(tokenizer, "<|im_end|>")
    vocab = tokenizer.vocab_size
    language = FakeLanguage(vocab, end_id=end_id, eager=eager)
    if reply is not None:
        ids = tokenizer.encode(reply) if isinstance(reply, str) else list(reply)
        language = ScriptedLanguage(vocab, [*ids, end_id])
    return FastVLM(FakeVision(), language, tokenizer, fake_spec(vocab))


def language(vlm: FastVLM) -> FakeLanguage:
    """The fake in a FastVLM on fakes."""
    assert isinstance(vlm._speaker.language, FakeLanguage)
    return vlm._speaker.language


def looks(vlm: FastVLM) -> list[tuple[int, ...]]:
    """What its fake has been shown."""
    assert isinstance(vlm._vision, FakeVision)
    return vlm._vision.calls


def fed_by(vlm: FastVLM, question: Callable[[], object]) -> int:
    """Positions that a question feeds."""
    before = language(vlm).fed
    question()
    return language(vlm).fed - before
