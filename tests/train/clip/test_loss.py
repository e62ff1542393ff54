"""The loss beside the papers' formulas in plain numpy, gathered over processes too (torch)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from galago.train.clip.loss import Teaching, dr_loss  # noqa: E402

TEACHING = Teaching((5, 7, 3), (70.0, 60.0, 100.0), 0.75)


def rows(rng: np.random.Generator, count: int, dims: tuple[int, ...]) -> np.ndarray:
    """Unit rows of each of several networks, side by side."""
    parts = [rng.normal(size=(count, dim)) for dim in dims]
    return np.concatenate([p / np.linalg.norm(p, axis=1, keepdims=True) for p in parts], 1)


def given(count: int, captions: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    taught = [rows(rng, count, TEACHING.dims) for _ in range(1 + captions)]
    return {
        "images": rows(rng, count, (6,)),
        "texts": [rows(rng, count, (6,)) for _ in range(captions)],
        "scale": 14.3,
        "taught_images": taught[0],
        "taught_texts": taught[1:],
    }


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def by_the_papers(held: dict[str, Any], teaching: Teaching) -> tuple[float, float, float]:
    """(total, CLIP's, distillation's): arXiv 2311.17049, equations 1 to 3, one number after the
    other."""
    clip = distill = 0.0
    b, k = len(held["images"]), len(teaching.dims)
    ends = np.cumsum((0, *teaching.dims))
    for text, told in zip(held["texts"], held["taught_texts"], strict=True):
        pairs = (
            (held["images"], text, held["taught_images"], told),
            (text, held["images"], told, held["taught_images"]),
        )
        for one, other, taught, taught_other in pairs:
            student = softmax(held["scale"] * one @ other.T)
            clip -= sum(math.log(student[i, i]) for i in range(b)) / b / 2
            for t in range(k):
                part = slice(ends[t], ends[t + 1])
                teacher = softmax(teaching.scales[t] * taught[:, part] @ taught_other[:, part].T)
                for i in range(b):
                    for j in range(b):
                        if teacher[i, j] > 0:
                            share = math.log(teacher[i, j]) - math.log(student[i, j])
                            distill += teacher[i, j] * share / (b * k) / 2
    return (1 - teaching.weight) * clip + teaching.weight * distill, clip, distill


def tensors(held: dict[str, Any]) -> dict[str, Any]:
    made = lambda array: torch.tensor(array, dtype=torch.float64)  # noqa: E731
    return {
        name: [made(one) for one in value] if isinstance(value, list) else made(value)
        for name, value in held.items()
    }


@pytest.mark.parametrize("captions", (1, 2))
@pytest.mark.parametrize("weight", (1.0, 0.75, 0.0))
def test_it_is_what_the_papers_say(captions: int, weight: float) -> None:
    teaching = Teaching(TEACHING.dims, TEACHING.scales, weight)
    held = given(9, captions)
    found = dr_loss(**tensors(held), teaching=teaching)
    total, clip, distill = by_the_papers(held, teaching)
    assert float(found.total) == pytest.approx(total, abs=1e-6)
    if weight < 1:
        assert float(found.clip) == pytest.approx(clip, abs=1e-6)
    if weight > 0:
        assert float(found.distill) == pytest.approx(distill, abs=1e-6)
    assert total > 0.1


def test_a_student_that_is_the_teachers_has_nothing_to_learn() -> None:
    held = given(8, 2)
    alone = Teaching((5,), (14.3,), 1.0)
    student = {
        "images": held["taught_images"][:, :5],
        "texts": [told[:, :5] for told in held["taught_texts"]],
        "taught_images": held["taught_images"][:, :5],
        "taught_texts": [told[:, :5] for told in held["taught_texts"]],
        "scale": 14.3,
    }
    assert float(dr_loss(**tensors(student), teaching=alone).total) == pytest.approx(0, abs=1e-9)


def test_pictures_of_one_caption_count_as_right_for_each_other() -> None:
    """Told by the same words, as by their label's name: CLIP's part then falls in the direction of
    one that takes each of those for right, and differs from it by a number that can't be learnt."""
    torch.manual_seed(0)
    held = tensors(given(8, 1))
    same = torch.tensor([0, 0, 2, 0, 4, 4, 6, 7])
    weights = [torch.randn(6, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    unit = torch.nn.functional.normalize
    images, texts = unit(held["images"] @ weights[0]), unit(held["texts"][0][same] @ weights[1])
    alone = Teaching(TEACHING.dims, TEACHING.scales, 0.0)
    found = dr_loss(images, [texts], torch.tensor(14.3), held["taught_images"],
                    held["taught_texts"], alone).total  # fmt: skip
    right = (same[:, None] == same[None]).double()
    shares = right / right.sum(1, keepdim=True)
    logits = 14.3 * images @ texts.T
    wanted = -sum((shares * one.log_softmax(1)).sum(1).mean() / 2 for one in (logits, logits.T))
    for one, other in zip(
        torch.autograd.grad(found, weights, retain_graph=True),
        torch.autograd.grad(wanted, weights),
        strict=True,
    ):
        assert float(one.abs().max()) > 1e-3 and torch.allclose(one, other, atol=1e-12)


def learnt(held: dict[str, Any]) -> tuple[float, list[Any]]:
    """A linear student's loss, and its gradients; `held` has pictures and words as numbers."""
    torch.manual_seed(0)
    weights = [torch.randn(6, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    scale = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    unit = torch.nn.functional.normalize
    found = dr_loss(
        unit(held["images"] @ weights[0]),
        [unit(text @ weights[1]) for text in held["texts"]],
        scale.exp(), held["taught_images"], held["taught_texts"], TEACHING,
    )  # fmt: skip
    found.total.backward()
    return float(found.total.detach()), [w.grad for w in (*weights, scale)]


def _process(rank: int, world: int, folder: str) -> None:
    """A part of the batch, as DistributedDataParallel's processes have it."""
    import torch.distributed as dist

    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    whole = tensors(given(8, 2))
    own = slice(rank * 4, rank * 4 + 4)
    part = {
        name: [one[own] for one in value] if isinstance(value, list) else value[own]
        for name, value in whole.items()
        if name != "scale"
    }
    loss, grads = learnt(part)
    told = torch.tensor(loss, dtype=torch.float64)
    for value in (told, *grads):
        dist.all_reduce(value)
        value /= world
    if rank == 0:
        torch.save([told, *grads], f"{folder}/found.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, (2, str(tmp_path)), nprocs=2)
    loss, *grads = torch.load(tmp_path / "found.pt", weights_only=True)
    alone, wanted = learnt(tensors(given(8, 2)))
    assert float(loss) == pytest.approx(alone, abs=1e-9)
    for found, one in zip(grads, wanted, strict=True):
        assert float(one.abs().max()) > 1e-3
        assert torch.allclose(found, one, atol=1e-9, rtol=1e-9)
