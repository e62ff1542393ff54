"""`galago classify`: pictures and labels in, probabilities out."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.clip.mobileclip import MobileCLIP
from galago.errors import OptionError
from tests.helpers.clips import tiny_clip
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
LABELS = ("--labels", "cat, dog,car")


@pytest.fixture(scope="module")
def model(clip_folder: Path) -> Path:
    return clip_folder


@pytest.fixture
def album(tmp_path: Path, picture: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("page10.jpg", "page2.jpg"):
        shutil.copy(picture, folder / name)
    return folder


def test_one_picture(capsys: Capture, model: Path, picture: Path) -> None:
    result = run(capsys, "classify", picture, *LABELS, "-m", model)
    assert result.code == 0 and result.err == ""
    rows = [line.split() for line in result.out.splitlines()]
    assert {label for _, label in rows} == {"cat", "dog", "car"}
    shares = [float(share.rstrip("%")) for share, _ in rows]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=0.2)


def test_json_agrees_with_the_library(capsys: Capture, model: Path, album: Path) -> None:
    result = run(capsys, "classify", album, *LABELS, "-m", model, "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert [Path(r["picture"]).name for r in records] == ["page2.jpg", "page10.jpg"]
    shares = MobileCLIP.load(model).classify(album / "page2.jpg", ["cat", "dog", "car"])
    expected = sorted(zip(shares, ["cat", "dog", "car"], strict=True), reverse=True)
    found = [(row["probability"], row["label"]) for row in records[0]["labels"]]
    assert records[0]["model"] == "tiny-clip"
    assert [label for _, label in found] == [label for _, label in expected]
    assert [p for p, _ in found] == pytest.approx([p for p, _ in expected], abs=1e-4)


def test_labels_in_other_letters_are_told(capsys: Capture, model: Path, picture: Path) -> None:
    result = run(capsys, "classify", picture, "--labels", "cat,собака", "-m", model, "--json")
    assert "note: " in result.err and "reads English" in result.err and "собака" in result.err
    assert "reads English" in json.loads(result.out)["note"]


def test_a_picture_and_a_label_that_it_was_never_taught_are_told(
    capsys: Capture, tmp_path: Path
) -> None:
    """The embedded model: shares alone look sure."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    given = ("--labels", "dress,hippogriff", "-m", "mobileclip2-nano")
    asked = run(capsys, "classify", tmp_path / "noise.png", *given, "--json")
    record = json.loads(asked.out)
    assert "note: mobileclip2-nano was never taught “hippogriff”" in asked.err
    assert "never taught" in record["note"] and "“dress”" not in record["note"]
    assert record["doubt"] in asked.err and record["known"] < 0.5
    assert "galago pull MobileCLIP2-S0" in record["doubt"]


def test_many_pictures_take_a_line_each(capsys: Capture, model: Path, album: Path) -> None:
    result = run(capsys, "classify", album, *LABELS, "-m", model, "--top", "1")
    lines = result.out.splitlines()
    assert len(lines) == 2 and all(line.startswith(str(album)) for line in lines)
    assert all(line.count("%") == 1 for line in lines)


def test_nothing_but_bad_pictures(capsys: Capture, model: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_text("no picture")
    result = run(capsys, "classify", tmp_path, *LABELS, "-m", model)
    assert result.code == 2 and result.out == "" and "2 of 2" in result.err


def test_one_bad_picture_of_many(capsys: Capture, model: Path, album: Path) -> None:
    (album / "page4.jpg").write_text("hello")
    given = ("classify", album, album / "gone.jpg", *LABELS, "-m", model)
    result = run(capsys, *given, "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1 and len(records) == 4 and "2 of 4" in result.err
    assert [Path(r["picture"]).name for r in records if "error" in r] == ["page4.jpg", "gone.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_names_that_are_no_text(
    capsys: Capture, model: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*more: str) -> list[str]:
        """The lines of a program whose stdout takes nothing but UTF-8."""
        out = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, "utf-8", "strict"))
            given = ("classify", tmp_path, *LABELS, "-m", model, "--top", "1", *more)
            assert run(capsys, *given).code == 0
            return out.getvalue().decode("utf-8").splitlines()

    names = [b"bad\xff.jpg", "smile\U0001f600.jpg".encode(), b"new\nline.jpg"]
    for name in names:
        shutil.copy(picture, os.fsencode(tmp_path) + b"/" + name)
    records = [json.loads(line) for line in told("--json")]
    raw = [bytes.fromhex(r.get("picture_bytes", "")) or r["picture"].encode() for r in records]
    assert {os.path.basename(name) for name in raw} == set(names)
    plain = told()
    assert len(plain) == 3 and any("bad\\377.jpg': " in line for line in plain)
    assert any("new\\nline.jpg': " in line for line in plain)


@pytest.mark.parametrize("verb", [("describe",), ("classify", *LABELS)])
def test_only_missing_pictures(capsys: Capture, verb: tuple[str, ...]) -> None:
    """Told without opening a model, and each in a record of its own."""
    result = run(capsys, *verb, "a.jpg", "b.jpg", "--json", "-m", "MobileCLIP2-S0")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 2 and [r["picture"] for r in records] == ["a.jpg", "b.jpg"]
    assert all("no such picture" in r["error"] for r in records)
    assert "no such picture" in run(capsys, *verb, "a.jpg").line


def test_picture_from_stdin(
    capsys: Capture, model: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(capsys, "classify", picture, *LABELS, "-m", model).out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    assert run(capsys, "classify", "-", *LABELS, "-m", model).out == expected


def test_labels_of_a_file(capsys: Capture, model: Path, picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffcat\n\n  red,  green  \r\ndog\ncat\n", "utf-8")
    given = ("classify", picture, "--labels-from", path, "-m", model, "--json")
    result = run(capsys, *given, "--labels", "dog,car")
    (record,) = map(json.loads, result.out.splitlines())
    labels = {row["label"] for row in record["labels"]}
    assert labels == {"dog", "car", "cat", "red, green"}
    assert "2 of the labels came twice" in result.err


def test_a_thousand_labels(capsys: Capture, model: Path, picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(f"thing number {n}" for n in range(1000)))
    given = ("classify", picture, "--labels-from", path, "-m", model, "--json")
    (record,) = map(json.loads, run(capsys, *given).out.splitlines())
    shares = [row["probability"] for row in record["labels"]]
    assert len(shares) == 1000 and sum(shares) == pytest.approx(1, abs=1e-3)


def test_one_label_is_told_to_mean_little(capsys: Capture, model: Path, picture: Path) -> None:
    result = run(capsys, "classify", picture, "--labels", "cat", "-m", model)
    assert result.code == 0 and "100.0%  cat" in result.out and "always" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no labels"),
        (["--labels", " , ,"], "no labels"),
        (["--labels-from", "nowhere.txt"], "nowhere.txt"),
        (["--labels-from", os.devnull], "no labels"),
        (["--labels-from", "."], "can't be read"),
        (["--labels-from", sys.executable], "one label a line"),
        ([*LABELS, "--top", "0"], "1 or more"),
        ([*LABELS, "--templates", "nonsense"], "photo, imagenet, plain"),
        ([*LABELS, "--precision", "int4"], "fp32, bf16, int8"),
        ([*LABELS, "--threads", "0"], "threads"),
        ([*LABELS, "-m", "fastvlm-nano"], "galago describe"),
        ([*LABELS, "-m", "MobileCLIP2-S0"], "galago pull"),
        ([*LABELS, "-m", "./nowhere"], "no folder"),
        ([*LABELS, "-m", __file__], "give its folder"),
    ],
)
def test_bad_options(
    capsys: Capture, model: Path, picture: Path, options: list[str], said: str
) -> None:
    chosen = [] if "-m" in options else ["-m", str(model)]
    result = run(capsys, "classify", picture, *chosen, *options)
    assert result.code == 2 and result.out == "" and said in result.line


def test_templates_change_the_sentences(capsys: Capture, model: Path, picture: Path) -> None:
    def shown(name: str) -> str:
        return run(capsys, "classify", picture, *LABELS, "-m", model, "--templates", name).out

    clip = MobileCLIP.load(model)
    assert not (clip.embed_labels(["cat"], "plain") == clip.embed_labels(["cat"], "imagenet")).all()
    assert shown("photo") != shown("plain")


def test_labels_are_embedded_once(
    capsys: Capture, model: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    real = MobileCLIP.embed_texts

    def counted(self: MobileCLIP, given: list[str]) -> object:
        texts.extend(given)
        return real(self, given)

    monkeypatch.setattr(MobileCLIP, "embed_texts", counted)
    assert run(capsys, "classify", album, *LABELS, "-m", model).code == 0
    assert texts == ["a photo of a cat.", "a photo of a dog.", "a photo of a car."]


def test_a_set_of_labels_belongs_to_its_model(model: Path, picture: Path, tmp_path: Path) -> None:
    clip = MobileCLIP.load(model)
    labels = clip.label_set(["cat", "dog"])
    assert clip.classify(picture, labels) == clip.classify(picture, ["cat", "dog"])
    other = MobileCLIP.load(tiny_clip(tmp_path / "other", seed=1))  # of the same name
    with pytest.raises(OptionError, match="embedded by tiny-clip"):
        other.classify(picture, labels)
    seen: list[int] = []
    clip.embed_labels([str(n) for n in range(40)], progress=seen.append)
    assert seen == [32, 40]
