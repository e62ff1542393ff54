"""Configurations that ask for something else than FastVLM are refused by field and value."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from galago.checkpoints.folders import CONFIG
from galago.checkpoints.names import EMBEDDING, HEAD, PROJECTOR
from galago.checkpoints.vlm import open_checkpoint
from galago.checkpoints.vlm_config import read_spec
from galago.convert.load import load_sessions
from galago.errors import CheckpointError, GalagoError
from galago.specs import FASTVITHD
from galago.text.tokens import load_tokenizer
from tests.helpers.changes import change
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava
from tests.helpers.running import answer

CHANGES = int(os.environ.get("GALAGO_CHANGES", "25"))  # of each layout

# apple/FastVLM-0.5B as published.
PUBLISHED: dict[str, Any] = {
    "architectures": ["LlavaQwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "freeze_mm_mlp_adapter": False, "hidden_act": "silu",
    "hidden_size": 896, "image_aspect_ratio": "pad", "image_grid_pinpoints": None,
    "initializer_range": 0.02, "intermediate_size": 4864, "max_position_embeddings": 32768,
    "max_window_layers": 24, "mm_hidden_size": 3072, "mm_patch_merge_type": "flat",
    "mm_projector_lr": None, "mm_projector_type": "mlp2x_gelu", "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False, "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2, "mm_vision_tower": "mobileclip_l_1024",
    "model_type": "llava_qwen2", "num_attention_heads": 14, "num_hidden_layers": 24,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 32768, "tie_word_embeddings": True, "tokenizer_model_max_length": 8192,
    "torch_dtype": "bfloat16", "transformers_version": "4.48.3", "use_cache": True,
    "use_mm_proj": True, "use_sliding_window": False, "vocab_size": 151936,
}  # fmt: skip
CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>'}}"
)


def stored(count: int = 924) -> dict[str, tuple[int, ...]]:
    names = {f"x{n}": (1,) for n in range(count)}
    rows = {f"{PROJECTOR}{part}.weight": (896, 896) for part in (0, 2)}
    return names | rows | {EMBEDDING: (151936, 896), HEAD: (151936, 896)}


def test_the_published_configuration(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
    spec = read_spec(tmp_path, PUBLISHED, stored())
    assert spec.vision == FASTVITHD and spec.image.side == 1024 and spec.image.fit == "pad"
    assert (spec.text.hidden, spec.text.layers, spec.text.heads) == (896, 24, 14)
    assert spec.eos_ids == (151645,)


ASKED: list[tuple[str, Any]] = [
    ("image_aspect_ratio", "anyres"), ("image_aspect_ratio", "anyres_max_9"),
    ("image_aspect_ratio", "highres"), ("mm_patch_merge_type", "spatial_unpad"),
    ("mm_use_im_start_end", True), ("mm_projector_type", "linear"),
    ("mm_projector_type", "mlp3x_gelu"), ("hidden_act", "gelu"), ("hidden_act", "relu"),
    ("quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
    ("quantization_config", {"quant_method": "awq", "bits": 4}),
    ("compression_config", {"format": "int-quantized"}),
    ("rope_scaling", {"type": "linear", "factor": 2.0}),
    ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
    ("rope_parameters", {"rope_type": "llama3", "factor": 8.0}),
    ("partial_rotary_factor", 0.5), ("use_sliding_window", True), ("head_dim", 128),
    ("layer_types", ["full_attention", "sliding_attention"]),
    ("num_attention_heads", "14"), ("num_attention_heads", 14.0), ("num_hidden_layers", True),
    ("hidden_size", 896.5), ("rope_theta", "1e6"), ("rms_norm_eps", []), ("eos_token_id", "x"),
    ("eos_token_id", [1.5]), ("mm_vision_tower", 7), ("mm_vision_tower", "mobileclip_l_1024_9"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), ASKED, ids=lambda part: ascii(part)[:30])
def test_what_galago_does_not_compute(tmp_path: Path, field: str, value: Any) -> None:
    key = "vision tower" if field == "mm_vision_tower" and value != 7 else field
    with pytest.raises(CheckpointError, match=rf"{key}|sliding") as told:
        read_spec(tmp_path, PUBLISHED | {field: value}, stored())
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


HARMLESS: list[dict[str, Any]] = [
    {"mm_use_im_patch_token": True},  # a token that no prompt of llava's holds
    {"image_aspect_ratio": None}, {"image_aspect_ratio": "square"}, {"hidden_act": "swish"},
    {"rope_scaling": None}, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
    {"head_dim": 64}, {"layer_types": ["full_attention"] * 24}, {"quantization_config": None},
    {"sliding_window": 4096}, {"tie_word_embeddings": False},
]  # fmt: skip


@pytest.mark.parametrize("fields", HARMLESS, ids=ascii)
def test_what_changes_nothing(tmp_path: Path, fields: dict[str, Any]) -> None:
    spec = read_spec(tmp_path, PUBLISHED | fields, stored())
    assert spec.text == read_spec(tmp_path, PUBLISHED, stored()).text


def test_an_output_layer_that_should_be_there(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in stored().items() if name != HEAD}
    assert read_spec(tmp_path, PUBLISHED, shapes)
    with pytest.raises(CheckpointError, match=r"tie_word_embeddings is False.*lm_head"):
        read_spec(tmp_path, PUBLISHED | {"tie_word_embeddings": False}, shapes)


TEMPLATES: list[tuple[str, Any, bool]] = [
    ("tokenizer_config.json", {"chat_template": CHATML}, True),
    ("tokenizer_config.json", {"chat_template": None}, True),
    ("tokenizer_config.json", {"chat_template": "[INST] {{ m }} [/INST]"}, False),
    ("tokenizer_config.json", {"chat_template": [{"name": "default", "template": CHATML}]}, True),
    ("tokenizer_config.json", {"chat_template": [{"name": "x", "template": "USER:"}]}, False),
    ("chat_template.json", {"chat_template": "<|user|>{{ m }}"}, False),
    ("chat_template.jinja", "<start_of_turn>{{ m }}", False),
    ("chat_template.jinja", CHATML, True),
]


@pytest.mark.parametrize(("name", "content", "runs"), TEMPLATES)
def test_other_chat_templates(tmp_path: Path, name: str, content: Any, runs: bool) -> None:
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    if runs:
        assert read_spec(tmp_path, PUBLISHED, stored())
    else:
        with pytest.raises(CheckpointError, match="chat_template is not ChatML"):
            read_spec(tmp_path, PUBLISHED, stored())


# -- transformers' layout --------------------------------------------------------------------------


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return tiny_fast_vlm(tmp_path / "theirs")


def put(path: Path, keys: tuple[str, ...], value: Any) -> None:
    whole = json.loads(path.read_text()) if path.exists() else {}
    inner = whole
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(whole))


THEIRS: list[tuple[tuple[str, ...], Any]] = [
    (("projector_hidden_act",), "relu"), (("multimodal_projector_bias",), False),
    (("vision_feature_select_strategy",), "default"), (("vision_feature_layer",), [-2, -1]),
    (("text_config", "model_type"), "qwen3"), (("text_config", "hidden_act"), "gelu"),
    (("quantization_config",), {"quant_method": "gptq"}),
    (("text_config", "quantization_config"), {"quant_method": "gptq"}),
    (("text_config", "rope_scaling"), {"type": "dynamic"}),
    (("vision_config", "model_args", "act_layer"), "relu"),
    (("vision_config", "model_args", "in_chans"), 4),
    (("vision_config", "architecture"), "vit_base_patch16_224"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "value"), THEIRS, ids=lambda part: ascii(part)[:40])
def test_the_same_of_transformers(theirs: Path, keys: tuple[str, ...], value: Any) -> None:
    put(theirs / CONFIG, keys, value)
    with pytest.raises(CheckpointError, match=keys[-1]):
        open_checkpoint(theirs)


PICTURES: list[tuple[str, Any]] = [
    ("do_resize", False), ("do_rescale", False), ("rescale_factor", 1.0),
    ("do_center_crop", False), ("resample", 0), ("image_mean", ["a", 0, 0]), ("image_std", [1, 1]),
    ("size", {"shortest_edge": 512}),  # cut to 256
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), PICTURES)
def test_other_pictures(theirs: Path, key: str, value: Any) -> None:
    put(theirs / "preprocessor_config.json", (key,), value)
    with pytest.raises(CheckpointError):
        open_checkpoint(theirs)


def test_one_mean_for_all_colours_and_padding(theirs: Path) -> None:
    put(theirs / "preprocessor_config.json", ("image_mean",), 0.5)
    put(theirs / "preprocessor_config.json", ("do_pad",), True)
    image = open_checkpoint(theirs).spec.image
    assert image.mean == (0.5, 0.5, 0.5) and image.fit == "pad"


def test_sizes_may_be_in_the_other_file(theirs: Path) -> None:
    """The side was taken for 1024 without a word."""
    own, other = theirs / "preprocessor_config.json", theirs / "processor_config.json"
    own.write_text(json.dumps({"processor_class": "FastVlmProcessor"}))
    with pytest.raises(CheckpointError, match=r"says how large pictures are"):
        open_checkpoint(theirs)
    nested = {"crop_size": {"height": 512, "width": 512}, "image_mean": [0.1] * 3, "resample": 2}
    other.write_text(json.dumps({"image_processor": nested, "image_token": "<image>"}))
    image = open_checkpoint(theirs).spec.image
    assert (image.side, image.mean, image.resample) == (512, (0.1, 0.1, 0.1), "bilinear")
    own.unlink()
    assert open_checkpoint(theirs).spec.image == image
    other.unlink()
    with pytest.raises(CheckpointError, match=r"says how large pictures are"):
        open_checkpoint(theirs)


# -- anything at all -------------------------------------------------------------------------------


def _parts(folder: Path) -> None:
    """The tokenizer as published folders have it, in parts."""
    words = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(words["model"]["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    added = {one["content"]: one["id"] for one in words["added_tokens"]}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    special = {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    decoder = {"259": {"content": "<image>", "special": True}}
    config = {"added_tokens_decoder": decoder, "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("layout", ["llava", "fast_vlm"])
def test_random_changes_open_or_are_refused_in_a_line(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "tiny"
    if layout == "llava":
        tiny_llava(folder)
    else:
        _parts(tiny_fast_vlm(folder, shards=2))
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 3], "temperature": 0.2}')
    shapes = [one.shape for one in answer(load_sessions(folder))]
    documents = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}
    draw, refused = random.Random(layout), 0
    for _ in range(CHANGES):
        name = draw.choice(list(documents))
        value = json.loads(documents[name])
        change(value, draw)
        (folder / name).write_text(json.dumps(value))
        try:
            load_tokenizer(folder).decode(load_tokenizer(folder).encode("héllo"))
            opened = open_checkpoint(folder)
            if CHANGES > 100:
                assert [one.shape for one in answer(load_sessions(opened))] == shapes
        except GalagoError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500
        (folder / name).write_bytes(documents[name])
    assert CHANGES / 5 < refused < CHANGES
