"""MobileCLIP through a tiny published folder: vectors, batches, labels, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.clip_config import read_clip_spec
from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile, SafetensorsWriter
from galago.checkpoints.tensors import Entry, to_bf16
from galago.clip.mobileclip import MobileCLIP
from galago.errors import CheckpointError, GalagoError, ImageError, OptionError
from galago.text.clip_tokens import load_clip_tokenizer
from galago.text.templates import TEMPLATES

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}


def config(trunk: str = "fastvit_mci0", *, causal: bool = False) -> dict[str, Any]:
    vision = {"timm_model_name": trunk, "timm_proj": None, "image_size": 64}
    return {
        "model_cfg": {
            "embed_dim": 16,
            "vision_cfg": vision,
            "text_cfg": TEXT | {"no_causal_mask": not causal},
        },
        "preprocess_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"},
    }


def published(folder: Path, *, scale: float = 1.0, dtype: str = "F32", **changes: Any) -> Path:
    """A folder with random single-branch weights; only the text tower is small."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CLIP_CONFIG).write_text(json.dumps(config(**changes)))
    rng = np.random.default_rng(5)
    shapes = clip_shapes(read_clip_spec(folder))
    plan = {n.replace(".in_proj.", ".in_proj_"): Entry("F32", s) for n, s in shapes.items()}
    plan["logit_scale"] = Entry(dtype, ())
    writer = SafetensorsWriter(folder / CLIP_WEIGHTS, plan)
    for name, entry in plan.items():
        fan = max(1, int(np.prod(entry.shape[1:])))
        array = rng.standard_normal(entry.shape, dtype=np.float32) / np.float32(fan**0.5)
        if name == "logit_scale":
            array = np.asarray(scale, np.float32)
            writer.append(name, to_bf16(array) if dtype == "BF16" else array.astype(np.float32))
            continue
        if "running_var" in name:
            array = 0.5 + np.abs(array)
        writer.append(name, array * np.float32(0.1 if "layer_scale" in name else 1))
    writer.close()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def clip(folder: Path) -> MobileCLIP:
    return MobileCLIP.load(folder, precision="fp32")


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)
    return list(coarse.repeat(20, axis=1).repeat(20, axis=2))


def test_vectors_are_unit_rows_in_order(clip: MobileCLIP) -> None:
    rows = clip.embed_images(pictures(3))
    assert rows.shape == (3, clip.dim) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    words = clip.embed_texts(["a dog", "a cat on a mat"])
    assert words.shape == (2, clip.dim)
    assert np.allclose(np.linalg.norm(words, axis=1), 1, atol=1e-5)
    assert not np.allclose(words[0], words[1], atol=1e-3)


def test_a_batch_gives_what_single_pictures_give(clip: MobileCLIP) -> None:
    seen: list[int] = []
    rows = clip.embed_images(iter(pictures(5)), batch=2, progress=seen.append)
    alone = np.concatenate([clip.embed_images([p]) for p in pictures(5)])
    assert np.allclose(rows, alone, atol=1e-4)
    assert seen == [2, 4, 5]


def test_pictures_are_taken_a_batch_at_a_time(clip: MobileCLIP) -> None:
    taken = 0

    def stream() -> Any:
        nonlocal taken
        for picture in pictures(6):
            taken += 1
            yield picture

    ahead: list[int] = []
    clip.embed_images(stream(), batch=2, progress=lambda done: ahead.append(taken - done))
    assert max(ahead) == 0


def test_nothing_gives_no_rows(clip: MobileCLIP) -> None:
    assert clip.embed_images([]).shape == (0, clip.dim)
    assert clip.embed_texts([]).shape == (0, clip.dim)


@pytest.mark.parametrize("causal", [True, False])
def test_the_company_of_other_texts_changes_nothing(tmp_path: Path, causal: bool) -> None:
    clip = MobileCLIP.load(published(tmp_path / "m", causal=causal), precision="fp32")
    texts = ["a dog", "a very long story about " + "cats " * 100, ""]
    together = clip.embed_texts(texts)
    alone = np.concatenate([clip.embed_texts([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-4)


def test_classify_is_the_softmax_of_scaled_cosines(clip: MobileCLIP) -> None:
    labels = ["cat", "dog", "car"]
    shares = clip.classify(pictures(1)[0], labels)
    words = clip.embed_texts([f"a photo of a {label}." for label in labels])
    logits = clip.logit_scale * (clip.embed_images(pictures(1)) @ words.T)[0].astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(shares, expected, atol=1e-4)
    assert sum(shares) == pytest.approx(1)


def test_templates_by_name() -> None:
    assert len(TEMPLATES["imagenet"]) == 80
    assert all(t.count("{}") == 1 for templates in TEMPLATES.values() for t in templates)


def test_labels_are_the_mean_over_templates(clip: MobileCLIP) -> None:
    rows = clip.embed_labels(["cat"], ["a {}", "the {}"])
    mean = clip.embed_texts(["a cat", "the cat"]).mean(0)
    assert np.allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_stay_near(folder: Path, clip: MobileCLIP, precision: str) -> None:
    other = MobileCLIP.load(folder, precision=precision)
    near = (other.embed_images(pictures(2)) * clip.embed_images(pictures(2))).sum(1)
    words = (other.embed_texts(["a dog"]) * clip.embed_texts(["a dog"])).sum(1)
    assert near.min() > 0.98 and words.min() > 0.99
    assert other.precision == precision


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.classify(pictures(1)[0], []), "at least one label"),
        (lambda c: c.classify(pictures(1)[0], "cat"), "labels must be a list"),
        (lambda c: c.classify(pictures(1)[0], [1, 2]), "labels must be a list"),
        (lambda c: c.classify(pictures(1)[0], ["cat", " "]), "a label is empty"),
        (lambda c: c.embed_texts(None), "must be a list"),
        (lambda c: c.embed_images("cat.jpg"), "pictures must be a list"),
        (lambda c: c.embed_images(pictures(1)[0]), "pictures must be a list"),
        (lambda c: c.embed_images(pictures(1), batch=1.5), "1 or more"),
        (lambda c: c.classify(pictures(1)[0], ["cat"], "nonsense"), "use one of photo"),
        (lambda c: c.classify(pictures(1)[0], ["cat"], ["a photo"]), "{}"),
        (lambda c: c.embed_texts("a dog"), "must be a list"),
        (lambda c: c.embed_images(pictures(1), batch=0), "1 or more"),
    ],
)
def test_wrong_arguments_are_told(clip: MobileCLIP, call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call(clip)


def test_the_scale_may_be_stored_in_bf16(tmp_path: Path) -> None:
    clip = MobileCLIP.load(published(tmp_path, scale=4.5, dtype="BF16"), precision="fp32")
    assert clip.logit_scale == pytest.approx(np.exp(4.5), rel=1e-3)


def test_a_senseless_scale_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="logit_scale"):
        open_clip_checkpoint(published(tmp_path, scale=1000.0))


def test_generators_of_texts_are_as_good_as_lists(clip: MobileCLIP) -> None:
    texts = ["a dog", "a cat"]
    assert np.array_equal(clip.embed_texts(t for t in texts), clip.embed_texts(texts))  # type: ignore[arg-type]
    labels = clip.embed_labels((t for t in texts), (t for t in ("a {}", "the {}")))  # type: ignore[arg-type]
    assert np.array_equal(labels, clip.embed_labels(texts, ["a {}", "the {}"]))


def test_a_missing_picture_is_told(clip: MobileCLIP, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg"):
        clip.embed_images([tmp_path / "none.jpg"])


def test_a_name_too_long_for_a_file_is_told() -> None:
    with pytest.raises(GalagoError):
        MobileCLIP.load("x" * 300, offline=True)


def test_an_unknown_precision_is_told(folder: Path) -> None:
    with pytest.raises(OptionError, match="fp32, bf16, int8"):
        MobileCLIP.load(folder, precision="int4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model_cfg"]["vision_cfg"].update(timm_model_name="resnet50"), "resnet50"),
        (lambda c: c["model_cfg"].pop("text_cfg"), "text_cfg"),
        (lambda c: c["model_cfg"]["text_cfg"].update(pool_type="last"), "pool_type"),
        (lambda c: c["preprocess_cfg"].update(interpolation="lanczos"), "lanczos"),
        (lambda c: c["preprocess_cfg"].update(resize_mode="squash"), "squash"),
        (lambda c: c["model_cfg"].update(embed_dim=24), "has shape"),
        (lambda c: c["model_cfg"].update(quick_gelu=True), "quick_gelu"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(timm_pool="token"), "timm_pool"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(image_size=0), "image_size 0"),
        (lambda c: c["model_cfg"]["text_cfg"].update(heads=0), "damaged"),
        (lambda c: c["model_cfg"]["text_cfg"].update(heads=-2), "damaged"),
        (lambda c: c["model_cfg"]["text_cfg"].update(vocab_size=1000), "vocab_size"),
        (lambda c: c["preprocess_cfg"].update(std=[0, 0, 0]), "std"),
        (lambda c: c["model_cfg"]["text_cfg"].update(layers=2), "lacks the tensor"),
    ],
)
def test_a_folder_that_cannot_be_run_is_told(
    folder: Path, tmp_path: Path, change: Any, message: str
) -> None:
    altered = config()
    change(altered)
    (tmp_path / CLIP_CONFIG).write_text(json.dumps(altered))
    (tmp_path / CLIP_WEIGHTS).symlink_to(folder / CLIP_WEIGHTS)
    with pytest.raises(CheckpointError, match=message):
        open_clip_checkpoint(tmp_path)


@pytest.mark.parametrize("missing", [CLIP_CONFIG, CLIP_WEIGHTS])
def test_missing_files_are_told(folder: Path, tmp_path: Path, missing: str) -> None:
    for name in {CLIP_CONFIG, CLIP_WEIGHTS} - {missing}:
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(GalagoError, match=missing):
        open_clip_checkpoint(tmp_path)


def test_the_tokenizer_needs_no_network() -> None:
    ids = load_clip_tokenizer()(["a photo of a cat."])
    assert ids.shape == (1, 77) and ids[0, 0] == 49406 and ids[0].max() == 49407


def test_a_tower_is_compiled_when_it_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled")

    clip = MobileCLIP.load(folder, precision="fp32")
    monkeypatch.setattr("galago.engine.clip_sessions.ImageTower", refuse)
    assert clip.embed_texts(["a dog"]).shape == (1, clip.dim)
    with pytest.raises(AssertionError):
        clip.embed_images(pictures(1))


def test_phrases_are_embedded_once_and_leave_no_tower_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a dog", "compound interest"]
    clip = MobileCLIP.load(folder, precision="fp32")
    rows = clip.embed_phrases(texts)
    assert np.array_equal(rows, clip.embed_texts(texts))
    monkeypatch.setattr("galago.engine.clip_sessions.TextTower", None)  # no other is made
    assert np.array_equal(clip.embed_phrases(["a cat"]), clip.embed_texts(["a cat"]))
    again = MobileCLIP.load(folder, precision="fp32")
    assert np.array_equal(again.embed_phrases(texts), rows)
    with pytest.raises(TypeError):
        again.embed_phrases(["a third"])


def test_identity_is_of_the_weights_not_of_the_place(
    folder: Path, clip: MobileCLIP, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    other = MobileCLIP.load(moved, precision="bf16")
    assert other.identity == clip.identity and len(clip.identity) == 32
    data = bytearray((moved / CLIP_WEIGHTS).read_bytes())
    entry = SafetensorsFile(moved / CLIP_WEIGHTS).tensors["text.text_projection"]
    changed = np.asarray(entry.read()).tobytes()
    place = bytes(data).index(changed)
    data[place : place + 4] = np.float32(3).tobytes()
    (moved / CLIP_WEIGHTS).write_bytes(bytes(data))
    assert MobileCLIP.load(moved).identity != clip.identity


def test_no_telemetry_is_loaded() -> None:
    code = (
        "import sys, galago.clip.mobileclip;"
        "print([m for m in sys.modules if 'telemetry' in m or m.startswith('openvino.tools')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_whether_a_text_fits(clip: MobileCLIP) -> None:
    assert clip.fits("a dog on a beach") and clip.fits("dog " * 75)
    assert not clip.fits("dog " * 76)
    assert clip.count_tokens("a dog on a beach") == 7 and clip.count_tokens("dog " * 76) == 77


def test_prepared_pixels_embed_as_pictures_do(clip: MobileCLIP) -> None:
    pixels = np.stack([clip.prepare(picture, name="it") for picture in pictures(2)])
    assert np.array_equal(clip.embed_pixels(pixels), clip.embed_images(pictures(2)))
    with pytest.raises(ImageError, match="it is empty"):
        clip.prepare(b"", name="it")
