"""transformers itself opens what `galago export --to transformers` writes, and says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from galago.export.layouts import export_layout
from galago.hub.resolve import resolve
from galago.specs import ImageSpec
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.checkpoints import tiny_llava
from tests.helpers.measure import relative

GREY = ImageSpec(side=256, mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.25))
ASKED = "What is it?"


@pytest.fixture(params=[ImageSpec(side=256), GREY], ids=["black", "grey"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tiny_llava(tmp_path / "source", image=request.param)


@pytest.mark.parametrize("size", [(300, 200), (160, 333), (256, 256)])
def test_features_and_words(source: Path, size: tuple[int, int], tmp_path: Path, report) -> None:
    folder = export_layout("transformers", resolve(source), tmp_path / "for transformers").folder
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    small = np.random.default_rng(size[0]).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    content = [{"type": "image"}, {"type": "text", "text": ASKED}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(images=picture, text=prompt, return_tensors="pt")
    vlm = FastVLM.load(source, precision="fp32")
    seen = vlm.encode(picture)
    with torch.inference_mode():
        theirs = model.get_image_features(inputs["pixel_values"]).pooler_output[0].numpy()
        output = model.generate(**inputs, max_new_tokens=24)
    ours = np.asarray(seen.features).reshape(theirs.shape)
    assert report(f"exported fast_vlm {size}: features", relative(ours, theirs)) < 2e-2
    said = processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    wanted = vlm.ask(seen, ASKED, options=SamplingOptions(max_tokens=24))
    assert said.strip() == wanted.strip() and len(set(wanted)) > 3
