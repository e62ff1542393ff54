"""The trainer's torch parts: quick gradients are the true ones, what is published is what was
trained, and what was published can be trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import galago
from galago.checkpoints.clip_config import read_clip_spec
from galago.checkpoints.tensors import read_float
from galago.checkpoints.vlm import open_checkpoint
from galago.checkpoints.writing import every_shape
from galago.errors import CheckpointError, OptionError
from galago.specs import ImageSpec, PromptSpec
from galago.text.clip_tokens import load_clip_tokenizer
from galago.text.tokens import load_tokenizer
from galago.train.nano import log
from galago.train.nano.clip.contrastive import ClipModel, divergence, token_rows, total
from galago.train.nano.clip.publish import clip_spec, publish_clip
from galago.train.nano.clip.teachers import make_teacher
from galago.train.nano.config import (
    ClipConfig,
    ClipTrainConfig,
    StageConfig,
    TextConfig,
    TrainConfig,
    VisionConfig,
)
from galago.train.nano.data.image_teacher import FEATURES
from galago.train.nano.data.words import build_tokenizer
from galago.train.nano.depthwise import quicken
from galago.train.nano.folding import all_stored, vision_spec
from galago.train.nano.log import read_log
from galago.train.nano.model import PIXEL_MEAN, PIXEL_STD, normalised
from galago.train.nano.run import chosen
from galago.train.nano.start import start_from, start_tokenizer
from galago.train.nano.trainer import Stage, run_stage, standing_still
from galago.train.nano.vlm.language import VisionLanguageModel
from galago.train.nano.vlm.publish import canonical, publish

Report = Callable[[str, float], float]
TASKS: Any = SimpleNamespace(
    labels=["cup", "pen"], emoji=([], [], [], ["smile", "tree"]), nouns=["cat"]
)


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "kernel", "stride"),
    [(8, 8, 2, 7, 1), (8, 16, 2, 3, 1), (8, 8, 1, 7, 1), (8, 8, 4, 7, 1), (8, 16, 4, 7, 2),
     (8, 8, 16, 3, 2), (8, 24, 16, 7, 2)],
)  # fmt: skip
def test_quick_gradients_are_the_true_ones(
    channels: int, outputs: int, side: int, kernel: int, stride: int
) -> None:
    def fresh() -> nn.Conv2d:
        torch.manual_seed(1)
        return nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, groups=channels).double()

    plain, quick = fresh(), fresh()
    quicken(nn.Sequential(quick))
    assert type(quick) is not type(plain)
    pictures = [torch.randn(3, channels, side, side, dtype=torch.double) for _ in range(2)]
    pictures = [pictures[0].requires_grad_(), pictures[0].detach().clone().requires_grad_()]
    for module, picture in zip((plain, quick), pictures, strict=True):
        out = module(picture)
        (out * torch.arange(out.numel()).view_as(out).sin()).sum().backward()
    assert torch.allclose(pictures[0].grad, pictures[1].grad, atol=1e-9)
    assert torch.allclose(plain.weight.grad, quick.weight.grad, atol=1e-5)  # summed in float32
    assert torch.allclose(plain.bias.grad, quick.bias.grad, atol=1e-5)


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    stage = StageConfig("full", "language", ("trunk", "language"), 1, 1e-3, ((256, {"text": 2}),))
    vision = VisionConfig((1, 1, 1, 1, 1), (8, 16, 32, 64, 128), (3.0,) * 5, 0.5)
    return TrainConfig("tiny", 1, 256, vision, TextConfig(64, 96, 2, 4, 2, 500), (stage,))


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 256, 256), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def trained(config: TrainConfig, pixels: torch.Tensor) -> VisionLanguageModel:
    """A trunk whose norms have seen pictures."""
    torch.manual_seed(2)
    model = VisionLanguageModel(config, TASKS, config.stages[0])
    with torch.no_grad():
        for _ in range(20):
            model.trunk(normalised(pixels))
    return model.eval()


@pytest.fixture(scope="module")
def published(
    config: TrainConfig, trained: VisionLanguageModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    build_tokenizer(folder / "tokenizer", config.text.vocab, ["cup"], PromptSpec().system)
    torch.save({"model": trained.state_dict()}, folder / "full.pt")
    publish(config, folder / "full.pt", folder / "tokenizer", folder / "tiny")
    return folder / "tiny"


def projected(model: VisionLanguageModel, pixels: torch.Tensor) -> np.ndarray:
    """(B, tokens, hidden): what the decoder would see."""
    with torch.inference_mode():
        features = model.trunk.forward_features(normalised(pixels))
        return np.asarray(model.projector(features.flatten(2).transpose(1, 2)))


def seen(folder: Path, pixels: torch.Tensor) -> np.ndarray:
    vlm = galago.FastVLM.load(folder, precision="fp32")
    pictures = pixels.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    return np.stack([vlm.encode(picture).features for picture in pictures])


def test_what_is_published_is_what_was_trained(
    trained: VisionLanguageModel, published: Path, pixels: torch.Tensor, report: Report
) -> None:
    ours, theirs = seen(published, pixels), projected(trained, pixels)
    away = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    assert report("published in 8 bits, features, relative", away) < 0.03


def test_what_is_published_says_what_it_is(config: TrainConfig, published: Path) -> None:
    spec = open_checkpoint(published).spec
    image = ImageSpec(side=config.side, mean=(PIXEL_MEAN,) * 3, std=(PIXEL_STD,) * 3)
    end = load_tokenizer(published).token_id("<|im_end|>")
    assert (spec.name, spec.layout, spec.eos_ids) == (config.name, "galago", (end,))
    assert (spec.vision, spec.text, spec.image) == (
        vision_spec(config.vision),
        config.text.spec,
        image,
    )


def test_what_is_published_reads_as_it_was_written(
    config: TrainConfig, trained: VisionLanguageModel, published: Path
) -> None:
    read = open_checkpoint(published).tensors
    written = canonical(trained.state_dict(), vision_spec(config.vision))
    assert set(read) == set(every_shape(vision_spec(config.vision), config.text.spec))
    for name, array in read.items():
        # Half a step of 255 in each row, or half of bfloat16's last bit.
        rows = written[name].reshape(len(written[name]), -1)
        room = np.maximum(np.abs(rows).max(1, keepdims=True) / 254, np.abs(rows) / 256)
        assert (np.abs(read_float(array).reshape(rows.shape) - rows) <= room * 1.01).all(), name


def test_a_tensor_of_another_shape_is_named() -> None:
    tensors = {"kept": np.ones((2, 3), np.float32), "left": np.ones(4, np.float32)}
    assert set(all_stored(tensors, {"kept": (2, 3)})) == {"kept"}
    with pytest.raises(KeyError, match=r"kept has shape \(2, 3\), expected \(3, 2\)"):
        all_stored(tensors, {"kept": (3, 2)})
    with pytest.raises(KeyError, match="lost"):
        all_stored(tensors, {"lost": (1,)})


def test_training_starts_from_what_was_published(
    config: TrainConfig, published: Path, pixels: torch.Tensor, report: Report
) -> None:
    model = VisionLanguageModel(config, TASKS, config.stages[0])
    start_from(published, model, normalised(pixels))
    # The norms were settled on these pictures, so training mode sees the same figures.
    for mode in (model.train(), model.eval()):
        ours, theirs = seen(published, pixels), projected(mode, pixels)
        away = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
        assert report("started from the published model, features, relative", away) < 1e-4
    norms = [m for m in model.trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.weight.requires_grad and torch.isfinite(m.weight).all() for m in norms)


def test_who_starts_from_a_decoder_keeps_its_words(published: Path, tmp_path: Path) -> None:
    assert start_tokenizer(published, tmp_path / "out")
    kept = (tmp_path / "out" / "tokenizer.json").read_bytes()
    assert kept == (published / "tokenizer.json").read_bytes()
    (tmp_path / "towers").mkdir()
    (tmp_path / "towers" / "open_clip_config.json").write_text("{}")
    assert not start_tokenizer(tmp_path / "towers", tmp_path / "out")
    assert not start_tokenizer(None, tmp_path / "out")


@pytest.fixture(scope="module")
def clip_config(config: TrainConfig) -> ClipTrainConfig:
    words = ClipConfig(embed=64, width=64, heads=2, layers=2, vocab=1024)
    return ClipTrainConfig("clip-tiny", 1, 256, config.vision, words, config.stages)


def test_a_two_tower_model_is_published_as_trained_and_started_from(
    clip_config: ClipTrainConfig, pixels: torch.Tensor, tmp_path: Path, report: Report
) -> None:
    torch.manual_seed(4)
    model = ClipModel(clip_config, 3, 25.0)
    with torch.no_grad():
        model.logit_scale.fill_(3.5)
        for _ in range(20):
            model.trunk(normalised(pixels))
    model.eval()
    torch.save({"model": model.state_dict()}, tmp_path / "final.pt")
    publish_clip(clip_config, tmp_path / "final.pt", tmp_path / "clip-tiny")
    assert read_clip_spec(tmp_path / "clip-tiny") == clip_spec(clip_config)
    clip = galago.MobileCLIP.load(tmp_path / "clip-tiny", precision="fp32")
    texts = ["a photo of a cat", "zebra", ""]
    pictures = list(pixels.permute(0, 2, 3, 1).numpy().astype(np.uint8))

    def rows(of: ClipModel) -> tuple[np.ndarray, np.ndarray]:
        ids = token_rows(load_clip_tokenizer(clip_config.clip.vocab), texts)
        with torch.inference_mode():
            seen = of.image_rows(of.trunk.forward_features(normalised(pixels)))
            return seen.numpy(), of.text_rows(ids).numpy()

    for ours, theirs, what in zip(
        (clip.embed_images(pictures), clip.embed_texts(texts)),
        rows(model),
        ("image", "text"),
        strict=True,
    ):
        away = float(1 - (ours * theirs).sum(1).min())
        assert report(f"published in 8 bits, {what} rows, 1 - cosine", away) < 2e-3
    again = ClipModel(clip_config, 3, 25.0)
    start_from(tmp_path / "clip-tiny", again, normalised(pixels))
    again.eval()
    for ours, theirs in zip((clip.embed_images(pictures), clip.embed_texts(texts)), rows(again),
                            strict=True):  # fmt: skip
        away = float(1 - (ours * theirs).sum(1).min())
        assert report("started from two towers, 1 - cosine", away) < 1e-5
    assert clip.logit_scale == pytest.approx(float(again.logit_scale.exp()), rel=1e-4)
    assert clip.logit_scale == pytest.approx(float(model.logit_scale.exp()), rel=0.01)


def test_another_shape_is_refused(published: Path, pixels: torch.Tensor) -> None:
    other = ClipModel(
        ClipTrainConfig(
            "other", 1, 256,
            VisionConfig((1, 1, 1, 1, 2), (8, 16, 32, 64, 128), (2.0,) * 5),
            ClipConfig(64, 64, 2, 1, 1024), (),
        ), 3, 25.0,
    )  # fmt: skip
    with pytest.raises(CheckpointError, match="another shape"):
        start_from(published, other, normalised(pixels))


def test_the_losses_fall_on_one_batch(clip_config: ClipTrainConfig) -> None:
    torch.manual_seed(5)
    model = ClipModel(clip_config, 3, 25.0)
    generator = torch.Generator().manual_seed(5)

    def unit(*shape: int) -> torch.Tensor:
        return F.normalize(torch.randn(*shape, generator=generator), dim=-1)

    ids = token_rows(load_clip_tokenizer(1024), ["a", "b", "c", "d"])
    batch = {
        "pixels": torch.randint(0, 256, (3, 3, 128, 128), generator=generator),
        "labels": torch.tensor([0, 1, 2]),
        "features": unit(3, FEATURES),
        "picture_rows": unit(3, 384),
        "captions": ids,
        "caption_rows": unit(4, 384),
        "words": ids[:2],
        "word_rows": unit(2, 384),
    }
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    seen = []
    for _ in range(25):
        losses = model(batch)
        total(losses).backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append({name: float(loss) for name, loss in losses.items()})
    assert seen[-1]["clip"] < 0.5 * seen[0]["clip"]
    assert all(seen[-1][name] < seen[0][name] for name in seen[0]), (seen[0], seen[-1])


def test_a_divergence_is_zero_only_where_both_agree() -> None:
    logits = torch.tensor([[20.0, 3.0, -7.0]])
    assert float(divergence(logits, logits)) == pytest.approx(0, abs=1e-6)
    assert float(divergence(-logits, logits)) > 1


def test_an_unknown_teacher_is_named() -> None:
    with pytest.raises(OptionError, match="ViT-B-32"):
        make_teacher("ViT-B-32")


def test_an_open_clip_teacher_places_words_and_pictures() -> None:
    teacher = make_teacher("open_clip:MobileCLIP2-S0:")  # random weights
    pictures = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    rows = teacher.pictures(iter(pictures), np.zeros((2, 1280)))
    words = teacher.texts(["a cat", "a dog", "a"])
    assert rows.shape == (2, 512) and words.shape == (3, 512) and teacher.scale > 1
    for some in (rows, words):
        np.testing.assert_allclose(np.linalg.norm(some, axis=1), 1, atol=1e-4)
    with pytest.raises(OptionError, match="CoCa"):
        teacher.captions(pictures)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("trains", "frozen", "settled", "learns"),
    [
        (("trunk",), 3, False, "trunk.stages.3."),
        (("trunk",), 3, True, "trunk.stages.3."),
        (("projector",), 0, False, "projector."),
    ],
)
def test_what_stands_still_keeps_its_weights_and_norms(
    config: TrainConfig,
    pixels: torch.Tensor,
    tmp_path: Path,
    trains: tuple[str, ...],
    frozen: int,
    settled: bool,
    learns: str,
) -> None:
    changes = {"trains": trains, "frozen": frozen, "settled": settled, "direct": 0.0}
    changes |= {"steps": 2, "warmup": 1}
    still = replace(config.stages[0], **changes)
    model = VisionLanguageModel(config, TASKS, still)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def losses(seen: torch.Tensor) -> dict[str, torch.Tensor]:
        features = model.trunk.forward_features(normalised(seen)).flatten(2).transpose(1, 2)
        return {"answer": model.projector(features).square().mean()}

    stage = Stage(still, model, lambda rng, step: [pixels], losses, lambda it: it["answer"], dict)
    run_stage(stage, 1, tmp_path)
    changed = {
        name for name, tensor in model.state_dict().items() if (tensor != before[name]).any()
    }
    assert changed and not any(name.startswith(standing_still(still)) for name in changed)
    assert any(name.startswith(learns) for name in changed)
    norms = any("running_mean" in name for name in changed)
    assert norms == ("trunk" in trains and not settled)


def test_stages_of_one_process_keep_their_reports_apart(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    timed = partial(log.Report, clock=lambda: now)
    monkeypatch.setattr("galago.train.nano.trainer.Report", timed)

    def reported(name: str, steps: int, loss: float) -> list[dict[str, float]]:
        changes = {"name": name, "trains": ("projector",), "steps": steps, "warmup": 1, "lr": 0.0}
        model = nn.ModuleDict({"projector": nn.Linear(1, 1)})
        nn.init.zeros_(model["projector"].weight)
        nn.init.constant_(model["projector"].bias, loss)

        def losses(seen: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"answer": model["projector"](seen).mean()}

        stage = Stage(
            replace(config.stages[0], **changes),
            model,
            lambda rng, step: [torch.ones(1, 1)],
            losses,
            lambda it: it["answer"],
            lambda step: {"all": 1.0},
        )
        run_stage(stage, 1, tmp_path)
        return list(read_log(tmp_path / f"{name}.jsonl"))

    assert [row["answer"] for row in reported("one", 60, 4.0)] == [4.0]  # ten steps are left over
    now = 1000.0  # what lies between them is no stage's time
    rows = reported("two", 50, 0.5)
    assert [row["answer"] for row in rows] == [0.5] and rows[0]["val_all"] == 1.0
    assert rows[0]["seconds"] == 0


def test_a_run_is_some_of_the_stages(config: TrainConfig) -> None:
    stages = [replace(config.stages[0], name=name) for name in ("one", "two", "three")]

    def named(first: str | None, last: str | None) -> list[str]:
        return [stage.name for stage in chosen(stages, first, last)]

    assert named(None, None) == ["one", "two", "three"]
    assert named("two", None) == ["two", "three"]
    assert named(None, "two") == ["one", "two"]
    with pytest.raises(OptionError, match="no stage is called 'four'; the config has one, two"):
        named("four", None)
