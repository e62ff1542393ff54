"""From a picture's file to ids, against transformers' own processor, prompt and generate.

Where galago's crop and tokens and graphs are each compared on their own elsewhere, this is the
whole way at once: the processor's pixels, its expanded prompt, 32 greedy ids.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPImageProcessorPil,
    FastVlmForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.checkpoints import tiny_fast_vlm
from tests.helpers.measure import relative

TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
GREEDY = SamplingOptions(max_tokens=32)


def jpeg(seed: int, size: tuple[int, int]) -> bytes:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    stream = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_fast_vlm(tmp_path_factory.mktemp("pipeline") / "tiny")


@pytest.fixture
def vlm(folder: Path) -> FastVLM:
    return FastVLM.load(folder, precision="fp32")


@pytest.fixture(scope="module")
def model(folder: Path) -> FastVlmForConditionalGeneration:
    return FastVlmForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def processor(folder: Path) -> LlavaProcessor:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        additional_special_tokens=["<|im_start|>", "<|im_end|>", "<image>"],
    )
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 256},
        crop_size={"height": 256, "width": 256},
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
    )
    return LlavaProcessor(
        images, tokenizer, patch_size=64, vision_feature_select_strategy="full",
        image_token="<image>",
    )  # fmt: skip


def theirs(
    model: FastVlmForConditionalGeneration,
    processor: LlavaProcessor,
    files: list[bytes],
    question: str,
) -> tuple[list[int], np.ndarray]:
    """32 greedy ids (fewer when the reply ends), and the image features."""
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    prompt = TEMPLATE.format("<image>\n" * len(files) + question)
    inputs = processor(images=pictures, text=prompt, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        features = model.get_image_features(inputs["pixel_values"]).pooler_output
        ids = model.generate(
            **inputs, max_new_tokens=32, do_sample=False, eos_token_id=[0, 2], pad_token_id=0
        )[0, inputs["input_ids"].shape[1] :].tolist()
    return [one for one in ids if one not in (0, 2)], np.stack([one.numpy() for one in features])


@pytest.mark.parametrize("size", [(256, 256), (640, 427), (300, 811), (97, 61)])
def test_one_picture(vlm, model, processor, size, report) -> None:
    file = jpeg(size[0], size)
    wanted, features = theirs(model, processor, [file], "What is written in this image?")
    note = vlm.encode(file)
    assert report(f"pipeline {size}: image features", relative(note.features, features[0])) < 2e-3
    chunks = vlm.stream(note, "What is written in this image?", GREEDY)
    assert [one.token_id for one in chunks if one.token_id is not None] == wanted
    assert len(set(wanted)) > 3, "a model that repeats itself proves little"


def test_several_pictures(vlm, model, processor) -> None:
    files = [jpeg(1, (500, 300)), jpeg(2, (300, 500)), jpeg(3, (64, 64))]
    wanted, _ = theirs(model, processor, files, "What differs?")
    chunks = vlm.stream(files, "What differs?", GREEDY)
    assert [one.token_id for one in chunks if one.token_id is not None] == wanted
