"""`galago evaluate clip`: benchmarks in, figures beside the published ones out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from galago.catalog import MODELS
from galago.clip.mobileclip import MobileCLIP
from galago.evaluate.clip.beside import mean_of_datacomp, mean_sentence, sentence
from galago.evaluate.clip.published import Published, published
from galago.evaluate.clip.score import Score
from galago.evaluate.intervals import Figure
from tests.helpers.clipsets import captions_tars, labels_tars, picture, shown
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
ROW = Published(71.5, 59.7, "its README")


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    """An ImageNet of three things and a Flickr30k of two, as the hub has them."""
    data = tmp_path / "data"
    samples = [(picture(number), number % 3) for number in range(6)]
    labels_tars(data / "wds_imagenet1k_test", samples, ["a", "b", "c"], ["one {c}", "{c}"])
    texts = {"IMG_1041": ["a mushroom"], "IMG_6234": ["a banana", "two"]}
    captions_tars(data / "wds_flickr30k", [(shown(name), of) for name, of in texts.items()])
    return data


def figure(name: str, low: float, mean: float, high: float) -> Score:
    found = Figure(mean, low, high, 50_000, 50_000, "wilson")
    return Score(name, name, "acc1", found, {}, 50_000, 1000, 80)


@pytest.mark.parametrize(
    ("low", "mean", "high", "words"),
    [
        (0.709, 0.713, 0.717, "here 71.3 ± 0.4 on 50,000: inside the interval"),
        (0.713, 0.717, 0.721, "here 71.7 ± 0.4 on 50,000: inside the interval"),
        (0.716, 0.720, 0.724, "here 72.0 ± 0.4 on 50,000: outside the interval"),
        (0.700, 0.704, 0.708, "here 70.4 ± 0.4 on 50,000: outside the interval"),
    ],
)
def test_beside_the_published_figure(low: float, mean: float, high: float, words: str) -> None:
    line = sentence(figure("imagenet1k", low, mean, high), ROW)
    assert line == f"imagenet1k: published 71.5 (its README), {words}"
    assert sentence(figure("imagenet-a", low, mean, high), ROW) is None
    assert sentence(figure("imagenet1k", low, mean, high), None) is None


def test_the_mean_says_over_how_many_of_the_38() -> None:
    scores = [figure("imagenet1k", 0.6, 0.7, 0.8), figure("cifar10", 0.5, 0.5, 0.5)]
    mean = mean_of_datacomp([*scores, figure("mine", 0, 0, 0)])
    assert mean is not None and mean_of_datacomp(scores[:1]) is None
    words = mean_sentence(mean, ROW)
    assert words == "mean of 2 of DataComp's 38: 60.0 ± 5.0; published, of all 38: 59.7"


@pytest.mark.parametrize(
    "name", ["MobileCLIP2-S0", "apple/MobileCLIP2-S0", "timm/MobileCLIP2-S0-OpenCLIP"]
)
def test_published_by_the_names_that_models_have_here(name: str) -> None:
    found = published(name)
    assert found is not None and (found.imagenet, found.mean_38) == (71.5, 59.7)
    assert published("mobileclip2-nano") is None and published("MobileCLIP2-S1") is None


def test_without_the_extra_it_says_how_to_get_it(
    capsys: Capture, benchmarks: Path, clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "clip_benchmark", None)
    monkeypatch.delitem(sys.modules, "clip_benchmark.datasets", raising=False)
    result = run(capsys, "evaluate", "clip", benchmarks, "-m", clip_folder)
    assert result.code == 2 and "needs clip_benchmark" in result.line
    assert "to install the extra evaluate-clip: " in result.line


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--tasks", "imagnet"), "'imagnet' is no benchmark"),
        (("--tasks", ","), "--tasks names no benchmark"),
        (("--limit", "0"), "--limit 0 leaves no picture"),
    ],
)
def test_what_cant_be(capsys: Capture, benchmarks: Path, more: tuple[str, ...], words: str) -> None:
    result = run(capsys, "evaluate", "clip", benchmarks, "-m", "mobileclip2-nano", *more)
    assert result.code == 2 and words in result.line


def test_benchmarks_that_arent_here_are_told_with_the_line_that_fetches_them(
    capsys: Capture, tmp_path: Path
) -> None:
    result = run(
        capsys, "evaluate", "clip", tmp_path, "-m", "mobileclip2-nano", "--tasks", "datacomp"
    )
    told = [line for line in result.err.splitlines() if "hf download" in line]
    assert result.code == 2 and len(told) == 37
    assert result.line.startswith("no benchmark lies in ")


def test_all_that_lie_there_then_what_is_kept(
    capsys: Capture, benchmarks: Path, clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("clip_benchmark")
    first = run(capsys, "evaluate", "clip", benchmarks, "-m", clip_folder, "--json")
    assert first.code == 0, first.err
    found = [json.loads(line) for line in first.out.splitlines()]
    assert [one["name"] for one in found] == ["imagenet1k", "flickr30k"]
    assert found[0]["figure"]["count"] == found[0]["of"] == 6 and found[0]["templates"] == 2
    assert found[0]["figure"]["mean"] == found[0]["metrics"]["acc1"]
    assert found[0]["published"] is None

    def embed(*_: object) -> None:
        raise AssertionError("looked at again")

    monkeypatch.setattr(MobileCLIP, "embed_pixels", embed)
    said = Published(50.0, 40.0, "its README")
    monkeypatch.setattr("galago.evaluate.clip.published.published", lambda name: said)
    monkeypatch.setattr("galago.cli.evaluate_clip.find", lambda name: MODELS[0])
    second = run(capsys, "evaluate", "clip", benchmarks, "-m", clip_folder)
    assert second.code == 0 and "2 figures were there from before" in second.err
    assert "ImageNet" in second.out and "50.0 %" in second.out
    assert "imagenet1k: published 50.0 (" in second.out
    assert "mean of 2 of DataComp's 38: " in second.out
    assert second.out.rstrip().endswith("published, of all 38: 40.0")


def test_one_that_isnt_whole_doesnt_end_the_others(
    capsys: Capture, benchmarks: Path, clip_folder: Path
) -> None:
    pytest.importorskip("clip_benchmark")
    (benchmarks / "wds_imagenet1k_test" / "classnames.txt").unlink()
    result = run(capsys, "evaluate", "clip", benchmarks, "-m", clip_folder)
    assert result.code == 1 and "Flickr30k" in result.out
    assert result.line.startswith("imagenet1k: ") and "classnames.txt is missing" in result.line
