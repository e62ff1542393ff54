"""Whole models against transformers' FastVlmForConditionalGeneration, from the same files.

One random model is written three times: by transformers itself (fast_vlm, float32, sharded), by
the tests in bf16 as fast_vlm, and in bf16 as llava_qwen2. Galago reads the files; transformers is
loaded from the first or, for bf16, from the second. All figures are float32 against float32.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import FastVlmConfig, FastVlmForConditionalGeneration, Qwen2Config

from galago.checkpoints.names import llava_to_fast_vlm
from galago.convert.load import load_sessions
from galago.engine.vlm_sessions import Sessions
from galago.specs import FASTVITHD, FastViTSpec, Qwen2Spec
from tests.helpers.checkpoints import (
    FULL_TEXT,
    TINY_TEXT,
    TINY_VISION,
    full_llava,
    random_tensors,
    text_config,
    timm_args,
    tiny_fast_vlm,
    tiny_llava,
    write_tokenizer,
)
from tests.helpers.measure import relative

IMAGE = 259
SIDES = (256, 512, 768, 1024)
NEW_TOKENS = 32
BEFORE, AFTER = [1, 100, 101, 13, 40, 17], [60, 61, 62, 2, 90, 91, 1, 33]


def reference_config(vision: FastViTSpec, text: Qwen2Spec, image_token: int) -> FastVlmConfig:
    return FastVlmConfig(
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "do_pooling": True,
            "global_pool": "avg",
            "hidden_size": vision.features,
            "model_args": timm_args(vision) | {"inference_mode": True},
        },
        text_config=Qwen2Config(**text_config(text)),
        image_token_index=image_token,
        tie_word_embeddings=text.tied,
    )


def reference_model(
    vision: FastViTSpec, text: Qwen2Spec, arrays: dict[str, np.ndarray]
) -> FastVlmForConditionalGeneration:
    """transformers' model holding these arrays (canonical names)."""
    model = FastVlmForConditionalGeneration(reference_config(vision, text, IMAGE)).eval()
    renamed = {llava_to_fast_vlm(n, vision): torch.from_numpy(a) for n, a in arrays.items()}
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(n.endswith("num_batches_tracked") or n == "lm_head.weight" for n in missing)
    model.tie_weights()
    return model


def pixels(side: int, batch: int = 1) -> np.ndarray:
    """Smooth blobs and noise: something with edges at every scale."""
    rng = np.random.default_rng(side)
    coarse = rng.random((batch, 3, 8, 8), dtype=np.float32).repeat(side // 8, 2)
    coarse = coarse.repeat(side // 8, 3)
    return 0.7 * coarse + 0.3 * rng.random((batch, 3, side, side), dtype=np.float32)


def ours_logits(sessions: Sessions, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(prompt embeddings, logits at every position)."""
    features = sessions.vision.encode(picture)[0]
    language = sessions.language
    embeds = np.concatenate([language.embed(BEFORE), features, language.embed(AFTER)])
    return embeds, language.new_cache().append_all(embeds)


def prompt_ids(side: int) -> torch.Tensor:
    return torch.tensor([BEFORE + [IMAGE] * (side // 64) ** 2 + AFTER])


def greedy(sessions: Sessions, embeds: np.ndarray, count: int) -> list[int]:
    cache = sessions.language.new_cache()
    logits = cache.append(embeds)
    ids: list[int] = []
    for _ in range(count):
        ids.append(int(logits.argmax()))
        logits = cache.append(sessions.language.embed(ids[-1:]))
    return ids


def check_model(
    model: FastVlmForConditionalGeneration, sessions: Sessions, what: str, sides, report
) -> None:
    for side in sides:
        picture = pixels(side)
        tensor = torch.from_numpy(picture)
        with torch.inference_mode():
            features = model.get_image_features(tensor).pooler_output[0].numpy()
            logits = model(input_ids=prompt_ids(side), pixel_values=tensor).logits[0].numpy()
        found = sessions.vision.encode(picture)[0]
        assert report(f"{what} {side}: image features", relative(found, features)) < 2e-3
        _, ours = ours_logits(sessions, picture)
        assert report(f"{what} {side}: logits", relative(ours, logits)) < 2e-3


def check_greedy(model: FastVlmForConditionalGeneration, sessions: Sessions, side: int) -> None:
    picture = pixels(side)
    with torch.inference_mode():
        wanted = model.generate(
            input_ids=prompt_ids(side),
            pixel_values=torch.from_numpy(picture),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    wanted = wanted[0, -NEW_TOKENS:].tolist()
    embeds, _ = ours_logits(sessions, picture)
    assert greedy(sessions, embeds, NEW_TOKENS) == wanted
    assert len(set(wanted)) > 3, "a model that repeats itself proves little"


def check_invariants(sessions: Sessions, report, what: str) -> None:
    two = pixels(256, batch=2)
    batch = sessions.vision.encode(two)
    single = np.concatenate([sessions.vision.encode(two[i : i + 1]) for i in range(2)])
    assert report(f"{what}: vision batch = single", relative(batch, single)) < 1e-5
    embeds, logits = ours_logits(sessions, two[:1])
    other = embeds[::-1].copy()
    together = sessions.language.new_cache(2).append_all(np.stack([embeds, other]))
    assert report(f"{what}: prefill batch = single", relative(together[0], logits)) < 1e-4
    cache = sessions.language.new_cache()
    parts = [cache.append_all(embeds[a:b]) for a, b in ((0, 5), (5, 6), (6, 20), (20, None))]
    assert report(f"{what}: cached = uncached", relative(np.concatenate(parts), logits)) < 1e-4
    cache.truncate(7)
    again = cache.append_all(embeds[7:])
    assert report(f"{what}: cut back = uncached", relative(again, logits[7:])) < 1e-4


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def text(request: pytest.FixtureRequest) -> Qwen2Spec:
    from dataclasses import replace

    return replace(TINY_TEXT, tied=request.param)


@pytest.fixture(scope="module")
def arrays(text: Qwen2Spec) -> dict[str, np.ndarray]:
    return random_tensors(TINY_VISION, text)


@pytest.fixture(scope="module")
def model(text: Qwen2Spec, arrays: dict[str, np.ndarray]) -> FastVlmForConditionalGeneration:
    return reference_model(TINY_VISION, text, arrays)


@pytest.fixture(scope="module")
def saved(model: FastVlmForConditionalGeneration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as transformers saves it, in several shards."""
    folder = tmp_path_factory.mktemp("saved")
    model.save_pretrained(folder, max_shard_size="200KB")
    assert (folder / "model.safetensors.index.json").is_file()
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": {"height": 256, "width": 256}, "resample": 3})
    )
    write_tokenizer(folder)
    return folder


def test_fast_vlm_as_saved(model, saved: Path, report) -> None:
    sessions = load_sessions(saved, "fp32")
    assert sessions.spec.layout == "fast_vlm"
    check_model(model, sessions, "small fast_vlm (float32 file)", SIDES, report)
    check_greedy(model, sessions, 256)
    check_invariants(sessions, report, "small fast_vlm")


@pytest.mark.parametrize("kind", ["fast_vlm", "llava_qwen2"])
def test_bf16_files(kind: str, text: Qwen2Spec, tmp_path: Path, report) -> None:
    published = tiny_fast_vlm(tmp_path / "theirs", text=text, shards=3)
    widened = FastVlmForConditionalGeneration.from_pretrained(published, dtype=torch.float32).eval()
    folder = published if kind == "fast_vlm" else tiny_llava(tmp_path / "llava", text=text)
    sessions = load_sessions(folder, "fp32")
    check_model(widened, sessions, f"small {kind} (bf16 file)", (256, 512), report)
    check_greedy(widened, sessions, 512)


@pytest.mark.full
def test_full_shape(tmp_path_factory: pytest.TempPathFactory, report) -> None:
    """FastVLM-0.5B's shapes in llava_qwen2 files; the same tensors put into transformers."""
    from galago.checkpoints.tensors import widen
    from galago.checkpoints.vlm import open_checkpoint

    folder = full_llava(tmp_path_factory.mktemp("full"))
    opened = open_checkpoint(folder)
    assert opened.spec.vision == FASTVITHD and opened.spec.text.tied
    model = FastVlmForConditionalGeneration(reference_config(FASTVITHD, FULL_TEXT, IMAGE)).eval()
    state = model.state_dict()
    for name, tensor in opened.tensors.items():
        target = state[llava_to_fast_vlm(name, FASTVITHD)]
        target.copy_(torch.from_numpy(widen(tensor.read(), tensor.dtype)))
    model.tie_weights()
    sessions = load_sessions(folder, "fp32")
    check_model(model, sessions, "0.5B shape", SIDES, report)
    check_greedy(model, sessions, 512)
    check_invariants(sessions, report, "0.5B shape")
