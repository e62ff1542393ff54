"""Every benchmark on a stand-in of a dozen pictures: our figures and the library's own route."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.clip.mobileclip import MobileCLIP
from galago.evaluate.clip.run import Scores
from galago.evaluate.clip.score import Score, _figure
from galago.evaluate.clip.sets import DATACOMP, Place, Set, find_place
from galago.text.templates import TEMPLATES
from tests.helpers.clipsets import captions_tars, labels_tars, picture

torch = pytest.importorskip("torch")
builder = pytest.importorskip("clip_benchmark.datasets.builder")
zsc = pytest.importorskip("clip_benchmark.metrics.zeroshot_classification")
zsr = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")

PICTURES = 12
GROUPS_OF_THREE = [[number % 3, 7] for number in range(PICTURES)]


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> MobileCLIP:
    return MobileCLIP.load(clip_folder)


class Theirs:
    """The model as the library wants it, by another way: pictures one at a time, texts as they
    come, nothing kept."""

    def __init__(self, clip: MobileCLIP) -> None:
        self.clip, self.texts, self.asked = clip, [""], [""]

    def transform(self, opened: Any) -> Any:
        return torch.from_numpy(self.clip.prepare(np.asarray(opened.convert("RGB"))))

    def tokenizer(self, texts: list[str]) -> Any:
        self.texts = texts
        self.asked += texts
        return torch.arange(len(texts))

    def encode_image(self, pixels: Any) -> Any:
        return torch.from_numpy(self.clip.embed_pixels(pixels.numpy()))

    def encode_text(self, ids: Any) -> Any:
        return torch.from_numpy(self.clip.embed_texts(self.texts))


def theirs(clip: MobileCLIP, place: Place) -> dict[str, float]:
    """What clip_benchmark's `evaluate` finds on a data loader of its own, as its command does."""
    model = Theirs(clip)
    task = "zeroshot_retrieval" if place.of.retrieval else "zeroshot_classification"
    data = builder.build_dataset(
        f"wds/{place.of.name}", root=str(place.folder), transform=model.transform, task=task
    )
    if place.of.retrieval:
        loader: Any = [builder.image_captions_collate_fn(list(data))]
        return dict(zsr.evaluate(model, loader, model.tokenizer, "cpu", False, [1, 5, 10]))
    loader = torch.utils.data.DataLoader(data.batched(5), batch_size=None)
    return dict(
        zsc.evaluate(model, loader, model.tokenizer, data.classes, data.templates, "cpu", amp=False)
    )


@contextlib.contextmanager
def floats() -> Iterator[None]:
    """numpy refuses what the library's accuracy does to a row of one number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zsc, "float", lambda one: np.float64(one).reshape(-1)[0], raising=False)
        yield


def ours(clip: MobileCLIP, place: Place, cache: Path, **more: Any) -> Score:
    with Scores(cache, clip, **more) as scores:
        score, known = scores.of(place, lambda what, done, total: None)
    assert not known
    return score


def words_of(one: Set) -> tuple[list[str], list[str]]:
    """Six names and all sentences, as the library has them of this benchmark."""
    folder = Path(builder.__file__).parent
    short = one.name.rpartition("/")[2]
    names = json.loads((folder / "en_classnames.json").read_text())
    templates = json.loads((folder / "en_zeroshot_classification_templates.json").read_text())
    found = names.get(short) or [f"thing {number}" for number in range(6)]
    return found[:6], templates.get(short) or templates["imagenet1k"]


def stand_in(one: Set, folder: Path, metadata: Sequence[Sequence[int]] = GROUPS_OF_THREE) -> Place:
    rng = np.random.default_rng(len(one.name))
    if one.retrieval:
        samples = [(jpeg(n), [f"number {n}", f"the {n}th thing"]) for n in range(PICTURES)]
        captions_tars(folder, samples)
    else:
        names, templates = words_of(one)
        labels = rng.integers(0, len(names), PICTURES).tolist()
        samples = [(picture(number), label) for number, label in enumerate(labels)]
        labels_tars(folder, samples, names, templates, metadata)
    place = find_place(one, folder)
    assert place is not None
    return place


def jpeg(number: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(picture(number))).save(out, "jpeg")
    return out.getvalue()


@pytest.mark.parametrize("one", DATACOMP, ids=lambda one: one.name)
def test_every_benchmark_has_the_librarys_figures(
    clip: MobileCLIP, tmp_path: Path, one: Set
) -> None:
    place = stand_in(one, tmp_path / one.repository.rpartition("/")[2])
    score = ours(clip, place, tmp_path / "kept")
    with floats():
        expected = theirs(clip, place)
    for name, value in expected.items():
        if not np.isnan(value):
            assert score.metrics[name] == pytest.approx(value, abs=1e-6), name
    assert score.metric == one.metric and score.figure.mean == score.metrics[one.metric]
    assert score.figure.low <= score.figure.mean <= score.figure.high
    assert (score.figure.count, score.of) == (PICTURES, PICTURES)


def test_imagenet_is_asked_in_the_80_sentences(
    clip: MobileCLIP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    embed = MobileCLIP.embed_texts

    def heard(self: MobileCLIP, texts: list[str]) -> Any:
        asked.extend(texts)
        return embed(self, texts)

    monkeypatch.setattr(MobileCLIP, "embed_texts", heard)
    one = DATACOMP[0]
    score = ours(clip, stand_in(one, tmp_path / "imagenet1k"), tmp_path / "kept")
    names = words_of(one)[0]
    assert names[:2] == ["tench", "goldfish"] and score.templates == 80
    expected = [line.replace("{}", name) for name in names for line in TEMPLATES["imagenet"]]
    assert sorted(set(asked)) == sorted(set(expected))


def test_the_worst_group_by_hand(clip: MobileCLIP, tmp_path: Path) -> None:
    """Samples 0, 3, 6, 9 are of one group; 1, 4, … of the next."""
    one = next(each for each in DATACOMP if each.name == "fairness/geode")
    score = ours(clip, stand_in(one, tmp_path / "geode"), tmp_path / "kept")
    shares = []
    for group in range(3):
        samples = range(group, PICTURES, 3)
        rng = np.random.default_rng(len(one.name))
        labels = rng.integers(0, 6, PICTURES).tolist()
        folder = tmp_path / str(group) / "imagenet1k"
        labels_tars(folder, [(picture(n), labels[n]) for n in samples], *words_of(one), tars=1)
        place = find_place(DATACOMP[0], folder)
        assert place is not None
        shares.append(ours(clip, place, tmp_path / f"kept{group}").figure.mean)
    assert score.figure.mean == pytest.approx(min(shares)) and len(set(shares)) > 1


@pytest.mark.parametrize(
    ("name", "whole"), [("fairness/dollar_street", "acc5"), ("wilds/fmow", "acc1")]
)
def test_the_worst_of_one_group_is_the_librarys_whole(
    clip: MobileCLIP, tmp_path: Path, name: str, whole: str
) -> None:
    one = next(each for each in DATACOMP if each.name == name)
    place = stand_in(one, tmp_path / name.rpartition("/")[2], [[4, 7]] * PICTURES)
    score = ours(clip, place, tmp_path / "kept")
    assert score.figure.mean == pytest.approx(score.metrics[whole])


def test_f1_is_of_the_classes() -> None:
    """By hand: of class 0 both are found, of class 1 none, and 2 is said once for it."""
    one = next(each for each in DATACOMP if each.metric == "f1_macro")
    said, labels = np.array([0, 0, 0, 2]), np.array([0, 0, 1, 1])
    metrics: dict[str, float] = {}
    found = _figure(Place(one, Path(), True), metrics, said, labels, said == labels, None)
    assert found.mean == metrics["f1_macro"] == pytest.approx((2 * 2 / (2 + 3) + 0) / 2)


def test_several_labels_a_picture(clip: MobileCLIP, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    samples = [(picture(number), number % 3) for number in range(6)]
    metadata = [[number % 2, 1 - number % 2, int(number > 3)] for number in range(6)]
    labels_tars(folder, samples, ["a", "b", "c"], ["{c}"], metadata)
    (folder / "dataset_type.txt").write_text("multilabel\n")
    place = find_place(Set("mine", "mine", 0), folder)
    assert place is not None
    score = ours(clip, place, tmp_path / "kept")
    assert score.metric == "mean_average_precision"
    assert score.metrics == pytest.approx(theirs(clip, place), abs=1e-6)


def test_some_of_them_drawn(clip: MobileCLIP, tmp_path: Path) -> None:
    place = stand_in(DATACOMP[0], tmp_path / "imagenet1k")
    score = ours(clip, place, tmp_path / "kept", limit=5)
    assert (score.figure.count, score.of) == (5, PICTURES)


class Stop(Exception):
    pass


def counted(clip: MobileCLIP, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many pictures have been looked at."""
    seen = 0
    embed = MobileCLIP.embed_pixels

    def heard(self: MobileCLIP, pixels: Any) -> Any:
        nonlocal seen
        seen += len(pixels)
        return embed(self, pixels)

    monkeypatch.setattr(MobileCLIP, "embed_pixels", heard)
    return lambda: seen


def test_it_goes_on_where_it_was_stopped(
    clip: MobileCLIP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(clip, monkeypatch)
    place, cache = stand_in(DATACOMP[0], tmp_path / "imagenet1k"), tmp_path / "kept"
    whole = ours(clip, place, tmp_path / "other")
    assert seen() == PICTURES

    def stop(what: str, done: int, total: int) -> None:
        if done:
            raise Stop

    with pytest.raises(Stop), Scores(cache, clip) as scores:
        scores.of(place, stop)
    assert 0 < seen() - PICTURES < PICTURES
    assert ours(clip, place, cache).to_json() == whole.to_json()
    assert seen() == 2 * PICTURES
    with Scores(cache, clip) as scores:
        again, known = scores.of(place, lambda *_: None)
        assert known and again.to_json() == whole.to_json()
    assert seen() == 2 * PICTURES
    assert not [*cache.rglob("*.rows")]
    assert ours(clip, place, cache, again=True) and seen() == 3 * PICTURES


def test_data_that_changed_is_measured_anew(clip: MobileCLIP, tmp_path: Path) -> None:
    place = stand_in(DATACOMP[0], tmp_path / "imagenet1k")
    ours(clip, place, tmp_path / "kept")
    file = place.folder / "zeroshot_classification_templates.txt"
    file.write_text("another {c}\n")
    assert ours(clip, place, tmp_path / "kept").templates == 1
