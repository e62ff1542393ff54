"""mlx-vlm itself, on Linux, computes from exported folders what galago does.

Needs `mlx[cpu]` and mlx-vlm (`make parity-mlx` installs them); skipped where they are absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.vlm import open_checkpoint
from galago.convert.selfcheck import reference_of
from galago.export import mlx_folder
from galago.export.mlx_folder import export_mlx
from galago.hub.resolve import resolve
from galago.specs import FASTVITHD
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.checkpoints import tiny_llava
from tests.helpers.measure import relative

mx = pytest.importorskip("mlx.core")
pytest.importorskip("mlx_vlm")

EXAMPLES = Path(__file__).parents[2] / "examples"
DESCRIBE = "Describe the image in English."


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(mlx_folder, "answers_of", lambda _: None)


def _numbers(array: Any) -> np.ndarray:
    return np.array(array.astype(mx.float32))


def test_fastvithd_as_it_stands(tmp_path: Path, report) -> None:
    """The published trunk at 256 px with a small decoder, opened unmodified."""
    from mlx_vlm import load

    folder = tiny_llava(tmp_path / "source", vision=FASTVITHD)
    made = export_mlx("whole", resolve(folder), ["fp32"], tmp_path / "for mlx").folder
    model, _ = load(str(made))
    wanted = reference_of(open_checkpoint(folder))
    for pixels, features in zip(wanted.pixels, wanted.features, strict=True):
        seen = model.vision_tower(mx.array(pixels).transpose(0, 2, 3, 1))[1]
        found = _numbers(model.mm_projector(seen.reshape(1, -1, seen.shape[-1])))[0]
        assert report("mlx-vlm: features", relative(found, features)) < 1e-3
    for sequence, take, logits in zip(wanted.sequences, wanted.takes, wanted.logits, strict=True):
        out = model.language_model(None, inputs_embeds=mx.array(sequence[None])).logits
        found = _numbers(out)[0][take]
        assert report("mlx-vlm: logits", relative(found, logits)) < 1e-3


@pytest.mark.parametrize("dtype", ["fp32", "8bit", "4bit"])
def test_nano_in_words(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mlx-vlm has FastViTHD's shape in its class, which nano's takes the place of here."""
    from mlx_vlm import generate, load
    from mlx_vlm.models.fastvlm.config import VisionConfig
    from mlx_vlm.prompt_utils import apply_chat_template

    made = export_mlx("whole", resolve("fastvlm-nano", offline=True), [dtype], tmp_path / "out")
    config = json.loads((made.folder / "config.json").read_text())
    for key in ("layers", "embed_dims", "mlp_ratios", "cls_ratio", "token_mixers", "downsamples"):
        monkeypatch.setattr(VisionConfig, key, config["vision_config"][key])
    shapes = [one and tuple(one) for one in config["vision_config"]["pos_embs_shapes"]]
    monkeypatch.setattr(VisionConfig, "pos_embs_shapes", shapes)
    model, processor = load(str(made.folder))
    vlm = FastVLM.load("fastvlm-nano", precision="fp32")
    for name in ("note.png", "hand.jpg", "emoji.png", "object.jpg"):
        prompt = apply_chat_template(processor, config, DESCRIBE, num_images=1)
        given = {"max_tokens": 40, "temperature": 0.0, "verbose": False}
        said = generate(model, processor, prompt, [str(EXAMPLES / name)], **given)
        wanted = vlm.ask(EXAMPLES / name, DESCRIBE, options=SamplingOptions(max_tokens=40))
        assert getattr(said, "text", said).strip() == wanted.strip(), name
