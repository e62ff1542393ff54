"""The decoder: right sums, caches that agree, and a compiled graph that is fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.names import EMBEDDING, HEAD
from galago.checkpoints.tensors import to_bf16, widen
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.engine.precision import PrecisionPlan
from galago.engine.vlm_sessions import LanguageSession
from galago.engine.vlm_weights import collect, language_items
from galago.errors import OptionError
from galago.specs import Qwen2Spec
from tests.helpers.checkpoints import TINY_TEXT, TINY_VISION, random_tensors, tiny_llava
from tests.helpers.running import TEXT, embeds, language_session


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(tiny_llava(tmp_path_factory.mktemp("m") / "tiny", text=TEXT))


@pytest.fixture(scope="module")
def sessions(source: Checkpoint) -> Callable[[str], LanguageSession]:
    return cache(lambda precision: language_session(source, precision))


@pytest.fixture(scope="module")
def fp32(sessions: Callable[[str], LanguageSession]) -> LanguageSession:
    return sessions("fp32")


def by_hand(tensors: dict[str, np.ndarray], spec: Qwen2Spec, x: np.ndarray) -> np.ndarray:
    """The same decoder in float64, written from the paper's formulas: logits (T, vocab)."""
    x = x.astype(np.float64)
    steps, dim = len(x), spec.head_dim
    angles = np.outer(np.arange(steps), spec.rope_theta ** (-np.arange(0, dim, 2) / dim))

    def norm(v: np.ndarray, name: str) -> np.ndarray:
        return v / np.sqrt((v * v).mean(-1, keepdims=True) + spec.rms_eps) * tensors[name]

    def turn(v: np.ndarray) -> np.ndarray:  # (h, T, D): pairs are (i, i + D/2)
        pairs = v[..., : dim // 2] + 1j * v[..., dim // 2 :]
        pairs = pairs * np.exp(1j * angles)
        return np.concatenate([pairs.real, pairs.imag], axis=-1)

    for index in range(spec.layers):
        p = f"model.layers.{index}."
        h = norm(x, p + "input_layernorm.weight")
        q, k, v = (
            (
                h @ tensors[f"{p}self_attn.{n}_proj.weight"].T
                + tensors[f"{p}self_attn.{n}_proj.bias"]
            )
            .reshape(steps, -1, dim)
            .transpose(1, 0, 2)
            for n in "qkv"
        )
        groups = spec.heads // spec.kv_heads
        q, k, v = turn(q), turn(k).repeat(groups, 0), v.repeat(groups, 0)
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(dim)
        scores = np.where(np.tril(np.ones((steps, steps), bool)), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ v).transpose(1, 0, 2).reshape(steps, -1)
        x = x + mixed @ tensors[p + "self_attn.o_proj.weight"].T
        h = norm(x, p + "post_attention_layernorm.weight")
        gate = h @ tensors[p + "mlp.gate_proj.weight"].T
        up = h @ tensors[p + "mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ tensors[p + "mlp.down_proj.weight"].T
    return norm(x, "model.norm.weight") @ tensors[EMBEDDING].T


def test_agrees_with_the_formulas(fp32: LanguageSession) -> None:
    arrays = random_tensors(TINY_VISION, TEXT)
    rounded = {n: widen(to_bf16(a), "BF16") for n, a in arrays.items()}
    x = embeds(23)
    wanted = by_hand(rounded, TEXT, x)
    found = fp32.new_cache().append_all(x)
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


def test_cached_is_uncached(fp32: LanguageSession) -> None:
    x = embeds(30)
    whole = fp32.new_cache().append_all(x)
    cache = fp32.new_cache()
    for start, stop in ((0, 11), (11, 12), (12, 29), (29, 30)):
        logits = cache.append(x[start:stop])
        assert np.allclose(logits, whole[stop - 1], atol=1e-4)
    assert cache.length == 30


def test_truncated_and_continued_is_fresh(fp32: LanguageSession) -> None:
    x, other = embeds(20), embeds(6, seed=1)
    cache = fp32.new_cache()
    cache.append(x)
    cache.truncate(9)
    assert cache.length == 9
    found = cache.append(other)
    wanted = fp32.new_cache().append(np.concatenate([x[:9], other]))
    assert np.allclose(found, wanted, atol=1e-4)
    cache.truncate(0)
    assert np.allclose(cache.append(x), fp32.new_cache().append(x), atol=1e-4)


def test_caches_do_not_see_each_other(fp32: LanguageSession) -> None:
    a, b = embeds(12), embeds(12, seed=2)
    one, two = fp32.new_cache(), fp32.new_cache()
    for step in range(12):
        left, right = one.append(a[step : step + 1]), two.append(b[step : step + 1])
    assert np.allclose(left, fp32.new_cache().append(a), atol=1e-4)
    assert np.allclose(right, fp32.new_cache().append(b), atol=1e-4)


@pytest.mark.parametrize("language", ["fp32", "int8"])
def test_batch_is_single(sessions: Callable[[str], LanguageSession], language: str) -> None:
    model = sessions(language)
    a, b = embeds(10), embeds(10, seed=3)
    both = model.new_cache(2).append(np.stack([a, b]))
    assert np.allclose(both[0], model.new_cache().append(a), atol=1e-4)
    assert np.allclose(both[1], model.new_cache().append(b), atol=1e-4)


@pytest.mark.parametrize("language", ["fp32", "int8"])
def test_rows_may_stand_at_positions_of_their_own(
    sessions: Callable[[str], LanguageSession], language: str
) -> None:
    """Prompts of 9 and 5 tokens in one batch, the shorter filled up; then a token for each."""
    model = sessions(language)
    rows, long, short = [embeds(9, 9), embeds(5, 10)], 9, 5
    filled = np.stack([rows[0], np.concatenate([rows[1], embeds(long - short, 11)])])
    step = embeds(2, 12)[:, None]
    both = model.new_cache(2)
    both.append(filled)
    starts = [model.rotary(at, at + 1) for at in (long, short)]
    cos, sin = (np.concatenate(parts) for parts in zip(*starts, strict=True))  # (2, 1, 1, D)
    mask = np.zeros((2, 1, 1, long + 1), np.float32)
    mask[1, ..., short:long] = -1e30
    feed = {"inputs_embeds": step, "mask": mask, "cos": cos, "sin": sin, "take": np.array([0])}
    both._request.infer(feed | {"beam_idx": np.arange(2, dtype=np.int32)}, share_inputs=True)
    found = np.array(both._request.get_output_tensor(0).data)[:, 0]
    for index, row in enumerate(rows):
        alone = model.new_cache()
        alone.append(row)
        wanted = alone.append(step[index])
        assert np.allclose(found[index], wanted, atol=1e-4 if language == "fp32" else 0.05)
        assert not np.allclose(found[1 - index], wanted, atol=0.2)


def test_a_question_continues_and_a_new_picture_starts_anew(fp32: LanguageSession) -> None:
    fp32 = copy(fp32)
    fp32.spec = Qwen2Spec(896, 4864, 24, 14, 2, 151936)  # of the 0.5B
    assert fp32.continuing_pays(known=300, new=30)
    assert not fp32.continuing_pays(known=14, new=287)
    assert not fp32.continuing_pays(known=0, new=1)


def test_a_long_prompt_is_fed_in_runs(fp32: LanguageSession, monkeypatch) -> None:
    x = embeds(40)
    whole = fp32.new_cache().append_all(x)
    lengths: list[int] = []
    run = LanguageSession.run

    def noted(session: LanguageSession, request: object, inputs: np.ndarray, *rest: object):
        lengths.append(inputs.shape[1])
        return run(session, request, inputs, *rest)

    monkeypatch.setattr(LanguageSession, "run", noted)
    monkeypatch.setattr("galago.engine.vlm_sessions._FIRST_RUN", 24)
    monkeypatch.setattr("galago.engine.vlm_sessions._LATER_RUN", 10)
    cache = fp32.new_cache()
    assert np.allclose(cache.append_all(x), whole, atol=1e-4)
    assert lengths == [24, 10, 6]
    cache.append(x[:20])
    assert lengths[3:] == [10, 10]
    assert np.allclose(fp32.new_cache().append(x), whole[-1], atol=1e-4)


def test_positions_beyond_the_first_table(fp32: LanguageSession) -> None:
    cos, sin = fp32.rotary(5000, 5002)
    assert cos.shape == sin.shape == (1, 1, 2, TEXT.head_dim)
    assert cos[0, 0, 0, 0] == pytest.approx(np.cos(5000.0), abs=1e-6)


def test_wrong_input_is_refused(fp32: LanguageSession) -> None:
    cache = fp32.new_cache()
    for wrong in (np.zeros((0, 256)), np.zeros((3, 64)), np.zeros((2, 3, 256)), np.zeros(256)):
        with pytest.raises(OptionError, match="embeddings have shape"):
            cache.append(wrong.astype(np.float32))
    for ids in ([-1], [320]):
        with pytest.raises(OptionError, match="vocabulary"):
            fp32.embed(ids)
    with pytest.raises(OptionError, match="cannot be cut"):
        cache.truncate(1)
    assert cache.length == 0


def test_embed_is_the_table(fp32: LanguageSession, source: Checkpoint) -> None:
    table = source.tensors[EMBEDDING]
    found = fp32.embed([3, 3, 319])
    assert found.dtype == np.float32 and found.shape == (3, 256)
    assert np.array_equal(found, widen(table.read()[[3, 3, 319]], "BF16"))
    assert fp32.embed([]).shape == (0, 256)


def restored(source: Checkpoint, language: str) -> dict[str, np.ndarray]:
    """The weights a plan stores, back in float: what its session should compute with."""
    plan = PrecisionPlan("fp32", language)  # type: ignore[arg-type]
    stored = collect(language_items(source, plan))
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in stored.items():
        if name.endswith(".scale"):
            continue
        value = tensor.array
        if tensor.dtype == "U8":
            value = np.stack([value & 15, value >> 4], -1).reshape(value.shape[0], -1)
            value = (value.astype(np.int8) ^ 8) - 8
        if f"{name}.scale" in stored:
            scale = stored[f"{name}.scale"].array.reshape(value.shape[0], -1)
            value = value * np.repeat(scale, value.shape[1] // scale.shape[1], axis=1)
        arrays[name] = widen(value, tensor.dtype if tensor.dtype == "BF16" else "F32")
    return arrays | {EMBEDDING: arrays[HEAD]}


@pytest.mark.parametrize("language", ["bf16", "int8", "int4"])
def test_narrow_weights_compute_what_they_store(
    source: Checkpoint, sessions: Callable[[str], LanguageSession], language: str
) -> None:
    """Only bf16 products and 8-bit activations stand between the session and the formulas."""
    x = embeds(24)
    wanted = by_hand(restored(source, language), TEXT, x)
    found = sessions(language).new_cache().append_all(x)
    cosine = (found * wanted).sum() / np.linalg.norm(found) / np.linalg.norm(wanted)
    assert cosine > {"bf16": 0.9995, "int8": 0.998, "int4": 0.995}[language]


def layers(compiled: LanguageSession) -> Counter[tuple[str, str]]:
    """(layer type, weights' or run-time precision) -> count in the graph as it runs."""
    found: Counter[tuple[str, str]] = Counter()
    for node in compiled.runtime_model().get_ops():
        info = node.get_rt_info()
        found[info["layerType"].astype(str), info["runtimePrecision"].astype(str)] += 1
    return found


@pytest.mark.parametrize("language", ["fp32", "bf16", "int8", "int4"])
def test_the_plug_in_fuses(sessions: Callable[[str], LanguageSession], language: str) -> None:
    found = layers(sessions(language))
    kinds: Counter[str] = Counter()
    for (kind, _), count in found.items():
        kinds[kind] += count
    # Attention takes its cache, the repetition of heads and the mask in one node: no node is left
    # that gathers, joins or widens keys and values.
    assert kinds["ScaledDotProductAttention"] == TEXT.layers
    assert kinds["MemoryInput"] == 2 * TEXT.layers
    assert kinds["Gather"] == 1  # the wanted positions
    assert kinds["Softmax"] == kinds["MatMul"] == 0
    assert kinds["RoPE"] == 2 * TEXT.layers
    assert kinds["RMS"] == 2 * TEXT.layers + 1
    products = {p: n for (kind, p), n in found.items() if kind == "FullyConnected"}
    if language in ("int8", "int4"):
        # Compressed weights reach the kernels as they are stored.
        wanted = {"int8": {"i8": 15}, "int4": {"i4": 14, "i8": 1}}[language]
        assert products == wanted
        assert not {p for (kind, p) in found if kind == "Const"} & {"u4", "f16"}
    else:
        assert sum(products.values()) == 7 * TEXT.layers + 1


def test_tied_and_untied_heads(tmp_path: Path) -> None:
    for tied in (True, False):
        text = replace(TINY_TEXT, tied=tied)
        opened = open_checkpoint(tiny_llava(tmp_path / str(tied), text=text))
        assert opened.spec.text.tied is tied
        x = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
        found = language_session(opened, "fp32").new_cache().append_all(x)
        arrays = random_tensors(TINY_VISION, text)
        rounded = {n: widen(to_bf16(a), "BF16") for n, a in arrays.items()}
        if not tied:
            rounded[EMBEDDING] = rounded[HEAD]
        assert np.allclose(found, by_hand(rounded, text, x), atol=1e-3)
