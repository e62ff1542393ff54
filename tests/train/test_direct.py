"""The direct losses on scenes, and what a batch of all kinds holds."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("transformers")

from galago.train.nano.data.tasks import Sample  # noqa: E402
from galago.train.nano.vlm import direct  # noqa: E402

PICTURE = np.zeros((64, 64, 3), np.uint8)


def test_a_batch_lists_scenes_and_whose_teacher_is_known() -> None:
    samples = [
        Sample("fingers", PICTURE, "2", 2),
        Sample("scene", PICTURE, "A dog.", photo=1, names=("dog",), nouns=(0, 3)),
        Sample("scene", PICTURE, "A drawing of a pen.", names=("pen",), nouns=(2,)),
        Sample("object", PICTURE, "cup", 5, photo=0),
        Sample("text", PICTURE, "EXIT"),  # real lettering: no cells
    ]
    teacher = np.array([[3.0, 4.0], [0.0, 2.0]], np.float16)
    batch = direct.collate(samples, teacher)
    assert batch["scene_rows"].tolist() == [1, 2] and batch["nouns"].tolist() == [
        [0, 0],
        [0, 3],
        [1, 2],
    ]
    assert batch["teacher_rows"].tolist() == [1, 3]
    assert torch.allclose(batch["teacher"], torch.tensor([[0.0, 1.0], [0.6, 0.8]]))
    assert batch["text_rows"].tolist() == [] and "classes" not in batch
    assert direct.collate(samples[:1], teacher)["nouns"].shape == (0, 2)


def test_what_is_there_weighs_as_much_as_all_that_is_not() -> None:
    nouns = torch.tensor([[0, 1]])
    right = torch.full((1, 50), -6.0)
    right[0, 1] = 6.0
    silent = torch.full((1, 50), -6.0)
    loud = torch.full((1, 50), 6.0)
    assert direct.noun_loss(right, nouns) < 0.1
    assert direct.noun_loss(silent, nouns) > 2.5 and direct.noun_loss(loud, nouns) > 2.5


def test_a_landmark_is_sought_in_its_cell() -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    joints = np.full((21, 2), 40.0)
    joints[1] = (127.9, 0.0)
    joints[2] = (128.0, 5.0)  # outside
    batch = direct.collate(
        [
            Sample("fingers", picture, "0", 0),
            Sample("fingers", picture, "2", 2, joints=joints),
        ],
        np.zeros((1, 1), np.float16),
    )
    assert batch["joint_rows"].tolist() == [1]
    assert batch["joints"][0, :4].tolist() == [5, 3, -100, 5]
    logits = torch.zeros(1, 4, 4, 21)
    assert torch.isclose(direct.joint_loss(logits, batch["joints"]), torch.tensor(16.0).log())
    logits[0, 1, 1] = logits[0, 0, 3, 1] = 20.0
    logits[0, 1, 1, 1] = 0.0
    assert direct.joint_loss(logits, batch["joints"]) < 1e-6


def test_a_batch_without_a_hand_has_a_gradient_too() -> None:
    batch = direct.collate([Sample("fingers", PICTURE, "0", 0)], np.zeros((1, 1), np.float16))
    logits = torch.zeros(0, 2, 2, 21, requires_grad=True)
    loss = direct.joint_loss(logits, batch["joints"])
    loss.backward()
    assert loss == 0 and logits.grad is not None
