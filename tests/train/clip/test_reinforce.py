"""Shards by the embedded models: whatever the number of processes, and after any kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.clip.mobileclip import MobileCLIP
from galago.errors import GalagoError, OptionError
from galago.train.clip.augment import replay
from galago.train.clip.recipe import Recipe, read_teachers
from galago.train.clip.reinforce import Reinforced, reinforce
from galago.train.clip.shards import Sample, members, plain, read_sample
from galago.train.clip.shelf import Folder
from galago.train.clip.sources import tasks
from tests.helpers.clips import tiny_clip
from tests.helpers.commandline import COMMAND, POSIX_ONLY

pytestmark = [pytest.mark.slow, pytest.mark.model]
TEACHER = "galago:mobileclip2-nano"
RECIPE = Recipe((TEACHER,), captions=1, augmentations=2, batch=2)


def picture(number: int) -> Image.Image:
    image = Image.new("RGB", (60 + number, 50), (20 * number, 120, 200 - 9 * number))
    ImageDraw.Draw(image).ellipse((9, 9, 30 + number, 40), fill=(240, 20 * number, 10))
    return image


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures in two folders, one of which can't be opened and one is turned by EXIF."""
    folder = tmp_path_factory.mktemp("in")
    for name in ("cup", "jug"):
        (folder / name).mkdir()
        for number in range(4):
            picture(number + 4 * (name == "jug")).save(folder / name / f"{number}.jpg")
    (folder / "cup" / "1.jpg").write_bytes((folder / "cup" / "1.jpg").read_bytes()[:200])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(9).save(folder / "jug" / "0.jpg", exif=exif)
    return folder


def made(place: Path, out: Path, processes: int = 1, recipe: Recipe = RECIPE) -> Reinforced:
    return reinforce(tasks(str(place), 3), out, recipe, processes)


def samples(out: Path) -> list[Sample]:
    found = []
    for path in sorted(out.glob("*.tar")):
        with path.open("rb") as file:
            found += [read_sample(held, key, path.name) for key, held in members(file)]
    return found


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reinforced]:
    out = tmp_path_factory.mktemp("whole")
    return out, made(place, out)


def same(one: Path, other: Path) -> bool:
    shards = sorted(path.name for path in one.glob("*.tar"))
    return shards == sorted(path.name for path in other.glob("*.tar")) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in shards
    )


def test_two_processes_write_what_one_writes(
    place: Path, whole: tuple[Path, Reinforced], tmp_path: Path
) -> None:
    assert made(place, tmp_path, 2).rows == whole[1].rows == 7
    assert same(whole[0], tmp_path)


def test_a_row_less_is_told(whole: tuple[Path, Reinforced]) -> None:
    out, found = whole
    ((where, why),) = [(one.where, one.why) for one in found.left_out]
    assert where == "cup/1.jpg" and "damaged or cut short" in why and not why.startswith(where)
    assert json.loads((out / "00000.stats.json").read_text())["rows"] == 2


def test_the_rows_are_the_teachers_of_the_replayed_augmentations(
    whole: tuple[Path, Reinforced],
) -> None:
    clip = MobileCLIP.load("mobileclip2-nano", precision="fp32", offline=True)
    (teacher,) = read_teachers(Folder(whole[0]))
    assert (teacher.name, teacher.dim) == (TEACHER, clip.dim)
    for one in samples(whole[0]):
        image = plain(one.picture, one.key)
        squares = [replay(image, each, clip.spec.image.side) for each in one.augmentations]
        assert len(squares) == 2
        assert np.abs(clip.embed_images(squares) - one.image_rows).max() < 1e-3  # half precision
        assert np.abs(clip.embed_texts([one.text]) - one.text_rows).max() < 1e-3
        assert one.text in ("a photo of a cup.", "a photo of a jug.")


def test_the_stored_picture_is_what_the_teachers_saw(
    place: Path, whole: tuple[Path, Reinforced]
) -> None:
    kinds = [one.kind for one in samples(whole[0])]
    assert kinds.count("png") == 1 and kinds.count("jpg") == 6  # the turned one is stored upright
    turned = next(one for one in samples(whole[0]) if one.kind == "png")
    assert plain(turned.picture, "").size == (50, 69)
    kept = next(one for one in samples(whole[0]) if one.kind == "jpg")
    assert kept.picture == (place / "cup" / "0.jpg").read_bytes()


@pytest.mark.parametrize("missing", ["00001.tar", "00001.stats.json"])
def test_what_is_there_is_passed_over_and_what_is_missing_made(
    place: Path, whole: tuple[Path, Reinforced], tmp_path: Path, missing: str
) -> None:
    made(place, tmp_path)
    (tmp_path / missing).unlink()  # figures are written last: without them a shard may be cut off
    kept = (tmp_path / "00000.tar").stat().st_mtime_ns
    found = made(place, tmp_path)
    assert (found.made, found.found, found.rows) == (1, 2, 7)
    assert (tmp_path / "00000.tar").stat().st_mtime_ns == kept and same(whole[0], tmp_path)


def test_other_teachers_or_augmentations_need_another_folder(
    place: Path, whole: tuple[Path, Reinforced], tmp_path: Path
) -> None:
    (tmp_path / "reinforce.json").write_bytes((whole[0] / "reinforce.json").read_bytes())
    other = Recipe((TEACHER,), captions=1, augmentations=3)
    with pytest.raises(OptionError, match="augmentations 2, and now it is 3: give the same"):
        made(place, tmp_path, recipe=other)
    other = Recipe((TEACHER, TEACHER), captions=1, augmentations=2)
    with pytest.raises(OptionError, match="and now it is galago:mobileclip2-nano, galago:mobile"):
        made(place, tmp_path, recipe=other)
    other = Recipe((TEACHER,), (33.0,), captions=1, augmentations=2)
    with pytest.raises(GalagoError, match="x 33.: give the same"):
        made(place, tmp_path, recipe=other)
    assert not [*tmp_path.glob("*.tar")]


def test_other_weights_in_the_same_folder_need_another_folder(place: Path, tmp_path: Path) -> None:
    recipe = Recipe((str(tiny_clip(tmp_path / "teacher")),), augmentations=1)
    assert made(place, tmp_path / "out", recipe=recipe).made == 3
    assert made(place, tmp_path / "out", recipe=recipe).found == 3
    (tmp_path / "out" / "00002.tar").unlink()
    tiny_clip(tmp_path / "teacher", seed=1)
    with pytest.raises(OptionError, match="teacher holds other weights than as the shards in"):
        made(place, tmp_path / "out", recipe=recipe)
    assert not (tmp_path / "out" / "00002.tar").exists()


def test_rows_that_are_cut_otherwise_need_another_folder(
    place: Path, whole: tuple[Path, Reinforced], tmp_path: Path
) -> None:
    for cut in (tasks(str(place), 4), tasks(str(place / "cup"), 3)):
        with pytest.raises(OptionError, match="made with cut of .* count 8, rows 3, and now it is"):
            reinforce(cut, whole[0], RECIPE, 1)


def test_out_is_never_in(place: Path, whole: tuple[Path, Reinforced]) -> None:
    for here in (place, whole[0]):
        with pytest.raises(OptionError, match="OUT is IN"):
            reinforce(tasks(str(here), 3), here, RECIPE, 1)


def test_a_captioner_makes_captions_with_rows(tmp_path: Path) -> None:
    for number in range(2):
        picture(number).save(tmp_path / f"{number}.png")
    recipe = Recipe((TEACHER, TEACHER), (30.0, 20.0), "galago:fastvlm-nano", 2, 1)
    for out in ("a", "b"):
        found = reinforce(tasks(str(tmp_path), 5), tmp_path / out, recipe, 1)
        assert found.rows == 2
    assert same(tmp_path / "a", tmp_path / "b")
    clip = MobileCLIP.load("mobileclip2-nano", precision="fp32", offline=True)
    for one in samples(tmp_path / "a"):
        assert one.text == one.synthetic[0] and len(one.synthetic) == 2  # it had none of its own
        assert one.image_rows.shape == (1, 2 * clip.dim)
        rows = clip.embed_texts([one.text, *one.synthetic])
        assert np.abs(rows - one.text_rows[:, : clip.dim]).max() < 1e-3
    assert [t.scale for t in read_teachers(Folder(tmp_path / "a"))] == [30.0, 20.0]


def test_a_tar_that_is_cut_short_is_left_out_and_the_others_are_made(
    whole: tuple[Path, Reinforced], tmp_path: Path
) -> None:
    for name in ("00000.tar", "00001.tar"):
        (tmp_path / name).write_bytes((whole[0] / name).read_bytes())
    data = (tmp_path / "00000.tar").read_bytes()
    (tmp_path / "00000.tar").write_bytes(data[: len(data) // 2])
    found = reinforce(tasks(str(tmp_path), 1), tmp_path / "out", RECIPE, 1)
    assert found.made == 1 and [one.where for one in found.failed] == ["00000.tar"]
    assert "fetch it again" in found.failed[0].why
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["00001.tar"]


def test_pictures_without_captions_need_a_captioner(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    found = reinforce(tasks(str(tmp_path), 1), tmp_path / "out", RECIPE, 1)
    assert "no picture" in found.failed[0].why and not [*(tmp_path / "out").glob("*.tar")]


@POSIX_ONLY
def test_killed_in_the_middle_it_goes_on(
    place: Path, whole: tuple[Path, Reinforced], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [*COMMAND, "reinforce", str(place), str(out), "--teacher", TEACHER]
    command += ["--rows", "3", "--captions", "1", "--augmentations", "2", "--batch", "2"]
    command += ["--processes", "1"]
    begun = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while begun.poll() is None and not ([*out.glob("*.tar")] and [*out.glob(".0*.part")]):
        time.sleep(0.001)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    there = {path.name for path in out.glob("*.tar")}
    assert there and there < {"00000.tar", "00001.tar", "00002.tar"}
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1 and f"{len(there)} of 3 shards are there already" in again.stderr
    assert same(whole[0], out) and not [*out.glob(".*.part")]


def test_a_recipe_that_cant_be_is_refused() -> None:
    for wrong in (
        {"teachers": ()},
        {"augmentations": 0},
        {"dtype": "float8"},
        {"scales": (1.0, 2.0)},
        {"scales": (0.0,)},
    ):
        with pytest.raises(OptionError):
            Recipe(**({"teachers": ("x",)} | wrong))  # type: ignore[arg-type]


def test_a_shard_is_a_tar_that_others_read(whole: tuple[Path, Reinforced]) -> None:
    with tarfile.open(fileobj=io.BytesIO((whole[0] / "00002.tar").read_bytes())) as tar:
        names = tar.getnames()
    assert names[:3] == ["000000006.jpg", "000000006.txt", "000000006.syn.json"]
