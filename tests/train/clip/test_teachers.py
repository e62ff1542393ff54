"""Teachers by name; those of open_clip need torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import OptionError
from galago.train.clip.teachers import (
    TeacherRow,
    by_torch,
    describe,
    device,
    load_teacher,
    random_ones,
)
from galago.train.clip.workers import NUMBER
from tests.helpers.clips import tiny_clip

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 1}
CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": TEXT,
}


class Fake:
    side, dim, scale = 32, 5, 13.0

    def pictures(self, squares: object) -> np.ndarray:
        raise AssertionError

    texts = pictures


@pytest.mark.parametrize(
    "name, scale, wanted",
    [
        ("open_clip:ViT-L-14:dfn2b", None, 70.0),
        ("open_clip:ViT-L-14:dfn2b_s39b", None, 60.0),
        ("open_clip:ViT-L-14:openai", None, 100.0),
        ("open_clip:ViT-L-14:dfn2b", 55.0, 55.0),
        ("galago:mobileclip2-nano", None, 13.0),
        ("dfn2b", None, 13.0),  # a folder
    ],
)
def test_the_scale_is_what_is_told_or_the_papers_or_its_own(
    name: str, scale: float | None, wanted: float
) -> None:
    assert describe(name, scale, Fake()) == TeacherRow(name, 5, wanted)


def test_those_without_weights_are_known() -> None:
    names = ["open_clip:ViT-B-32", "open_clip:RN50:", "open_clip:ViT-B-32:openai", "galago:conse"]
    assert random_ones(names) == names[:2]


def test_of_several_gpus_each_process_has_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = []
    for number in range(4):
        monkeypatch.setenv(NUMBER, str(number))
        found.append(device().index)
    assert found == [0, 1, 0, 1]
    monkeypatch.delenv(NUMBER)  # as in an actor of Ray's, which sees its own alone
    assert device().index == 0


def test_who_computes_by_torch_is_known_by_its_name() -> None:
    assert not by_torch(["galago:conse", "galago:fastvlm-nano"])
    assert by_torch(["galago:conse", "open_clip:ViT-B-32"]) and by_torch(["folder"])


@pytest.mark.parametrize("name", ("somebody", "open_clip:", "galago:", ""))
def test_a_name_of_no_kind_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="is not known: use open_clip:"):
        load_teacher(name)


def test_a_folder_that_galago_runs_is_run_by_it(tmp_path: Path) -> None:
    teacher = load_teacher(str(tiny_clip(tmp_path / "tiny")), offline=True)
    squares = [Image.new("RGB", (teacher.side, teacher.side), colour) for colour in ("red", "blue")]
    rows = teacher.pictures(squares)
    assert rows.shape == (2, teacher.dim) and teacher.texts(["a", "b"]).shape == rows.shape
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_open_clips_random_ones_are_the_same_in_every_process(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    (tmp_path / "clip_small.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(tmp_path / "clip_small.json")
    one, other = (load_teacher("open_clip:clip_small") for _ in range(2))
    square = Image.new("RGB", (32, 32), "red")
    assert (one.side, one.dim) == (32, 24)
    assert np.array_equal(one.pictures([square]), other.pictures([square]))
    assert np.linalg.norm(one.texts(["a dog"])) == pytest.approx(1, abs=1e-5)
    # as open_clip itself prepares it
    model = open_clip.create_model_and_transforms("clip_small")
    model[0].load_state_dict(one._model.state_dict())  # type: ignore[attr-defined]
    wanted = model[0].eval().encode_image(model[2](square)[None], normalize=True)
    assert np.allclose(one.pictures([square]), wanted.detach().numpy(), atol=1e-6)


def test_a_model_that_open_clip_hasnt_is_a_line() -> None:
    pytest.importorskip("open_clip")
    with pytest.raises(OptionError, match="open_clip has no model 'nothing'"):
        load_teacher("open_clip:nothing")
    with pytest.raises(OptionError, match="open_clip can't load ViT-B-32 nowhere.pt: "):
        load_teacher("open_clip:ViT-B-32:nowhere.pt")


@pytest.mark.parametrize(
    "text, vision, why",
    [
        ({"tokenizer_kwargs": {"clean": "lower", "trust_remote_code": True}}, {}, "are others"),
        ({"tokenizer_kwargs": [1]}, {}, "are others"),
        ({"hf_model_name": "somebody/else"}, {}, "would be fetched"),
        ({}, {"timm_model_name": "hf-hub:somebody/else"}, "is an address"),
    ],
)
def test_a_folder_runs_and_fetches_nothing(
    tmp_path: Path, text: dict[str, object], vision: dict[str, object], why: str
) -> None:
    model = CLIP | {"text_cfg": TEXT | text, "vision_cfg": CLIP["vision_cfg"] | vision}  # type: ignore[operator]
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    with pytest.raises(OptionError, match=why):
        load_teacher(str(tmp_path), offline=True)


def test_a_config_without_weights_is_no_teacher(tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": CLIP}))
    with pytest.raises(OptionError, match="Required pretrained weights"):
        load_teacher(str(tmp_path), offline=True)


def test_tags_of_quick_gelu_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_clip = pytest.importorskip("open_clip")
    from open_clip.pretrained import _PRETRAINED

    (tmp_path / "clip_quick.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(tmp_path / "clip_quick.json")
    made = open_clip.create_model
    # as if the tag's weights had been fetched
    monkeypatch.setattr(
        open_clip, "create_model", lambda name, pretrained, **more: made(name, **more)
    )
    monkeypatch.setitem(_PRETRAINED, "clip_quick", {"quick": {"quick_gelu": True}, "slow": {}})
    for tag, found in (("quick", True), ("slow", False)):
        teacher = load_teacher(f"open_clip:clip_quick:{tag}")
        assert ("QuickGELU" in str(teacher._model)) is found  # type: ignore[attr-defined]
