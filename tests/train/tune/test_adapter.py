"""`--adapter`: opened by galago alone it says what the merged folder and peft say (needs torch)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from galago.checkpoints.folders import ADAPTER_BASE, ADAPTER_CONFIG, ADAPTER_WEIGHTS  # noqa: E402
from galago.checkpoints.tensors import read_float  # noqa: E402
from galago.checkpoints.vlm import open_checkpoint  # noqa: E402
from galago.convert.load import load_sessions  # noqa: E402
from galago.engine.vlm_sessions import Sessions  # noqa: E402
from galago.errors import OptionError  # noqa: E402
from galago.hub.resolve import resolve  # noqa: E402
from galago.train.tune.base import opened  # noqa: E402
from galago.train.tune.options import TuneOptions  # noqa: E402
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava  # noqa: E402
from tests.helpers.tunings import QUICK, rows_in, tune  # noqa: E402

PLAIN = replace(QUICK, measured=0)
BEFORE, BEHIND, SAID = [1, 100, 101], [60, 61, 2], 16


def greedy(sessions: Sessions, pixels: np.ndarray) -> list[int]:
    cache, embed = sessions.language.new_cache(), sessions.language.embed
    features = sessions.vision.encode(pixels)[0]
    logits = cache.append(np.concatenate([embed(BEFORE), features, embed(BEHIND)]))
    said = []
    for _ in range(SAID):
        said.append(int(logits.argmax()))
        logits = cache.append(embed(said[-1:]))
    return said


PARTS = {
    "lora": PLAIN,
    "decoder": replace(PLAIN, parts=("decoder",)),
    "trunk": replace(PLAIN, parts=("projector", "decoder", "vision"), rate=1e-3),
    "side": replace(PLAIN, resolution=320),
}


@pytest.mark.parametrize("write", [tiny_llava, tiny_fast_vlm])
@pytest.mark.parametrize("options", PARTS.values(), ids=PARTS)
def test_it_is_the_merged_folder(
    tmp_path: Path, write: Callable[[Path], Path], options: TuneOptions
) -> None:
    base, rows = write(tmp_path / "base"), rows_in(tmp_path / "data")
    tune(base, tmp_path / "merged", options, rows)
    made = tune(base, tmp_path / "out", replace(options, adapter=True), rows)
    assert made.check.passed
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {ADAPTER_BASE, ADAPTER_CONFIG, ADAPTER_WEIGHTS} <= names
    assert "model.safetensors" not in names
    whole, parts = open_checkpoint(tmp_path / "merged"), open_checkpoint(tmp_path / "out")
    assert parts.spec.image == whole.spec.image
    changed = 0
    for name, tensor in whole.tensors.items():
        ours, theirs = read_float(parts.tensors[name]), read_float(tensor)
        # torch and numpy add up products in another order: a bit of bf16 in few numbers
        assert np.isclose(ours, theirs, rtol=2**-7).all() and (ours == theirs).mean() > 0.98, name
        changed += bool((theirs != read_float(open_checkpoint(base).tensors[name])).any())
    assert changed >= 14
    pixels = rows[0].pictures[0].pixel_values(whole.spec.image)[None]
    said = greedy(load_sessions(tmp_path / "out", "fp32"), pixels)
    assert said == greedy(load_sessions(tmp_path / "merged", "fp32"), pixels)
    assert len(set(said)) > 2


def test_peft_on_transformers_says_the_same(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import FastVlmForConditionalGeneration

    base, rows = tiny_fast_vlm(tmp_path / "base", dtype="F32"), rows_in(tmp_path / "data")
    tune(base, tmp_path / "out", replace(PLAIN, adapter=True), rows)
    plain = FastVlmForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, str(tmp_path / "out")).eval()
    ours = load_sessions(tmp_path / "out", "fp32")
    pixels = rows[0].pictures[0].pixel_values(ours.spec.image)[None]
    said = greedy(ours, pixels)
    ids = torch.tensor([[*BEFORE, *[259] * (ours.spec.image.side // 64) ** 2, *BEHIND]])
    with torch.inference_mode():
        found = adapted.generate(
            input_ids=ids, pixel_values=torch.from_numpy(pixels), max_new_tokens=SAID,
            min_new_tokens=SAID, do_sample=False, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
    assert found[0, -SAID:].tolist() == said
    assert len(set(said)) > 2


def test_it_says_what_it_was_trained_on(tmp_path: Path) -> None:
    base, out = tiny_llava(tmp_path / "base"), tmp_path / "out"
    tune(base, out, replace(PLAIN, adapter=True), rows_in(tmp_path / "data"))
    told = json.loads((out / ADAPTER_CONFIG).read_text())
    assert told["base_model_name_or_path"] == str(base)
    assert told["modules_to_save"] == ["mm_projector"] and told["r"] == PLAIN.rank
    assert list(json.loads((out / ADAPTER_BASE).read_text())["files"]) == ["model.safetensors"]
    assert "adapter" in (out / "README.md").read_text("utf-8")


def test_nothing_is_trained_on_an_adapter(tmp_path: Path) -> None:
    base, out = tiny_llava(tmp_path / "base"), tmp_path / "out"
    tune(base, out, replace(PLAIN, adapter=True), rows_in(tmp_path / "data"))
    with pytest.raises(OptionError, match=r"out is an adapter: train on its base.*galago export"):
        opened(resolve(out))
