"""What teachers' and captioners' files hold: another one under the same name is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.train.clip.contents import contents_of
from galago.train.clip.recipe import PLAN, Recipe, check_plan, keep_plan
from galago.train.clip.shelf import Folder
from galago.train.clip.teachers import TeacherRow

ROWS = [TeacherRow("galago:conse", 4, 25.0)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `galago train-clip --captioner` leaves, as far as it matters here."""
    made = tmp_path / "captioner"
    made.mkdir()
    (made / "open_clip_config.json").write_text("{}")
    (made / "open_clip_model.safetensors").write_bytes(b"weights")
    return made


def test_names_that_say_what_they_are_have_no_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conse").mkdir()
    names = ("galago:conse", "open_clip:ViT-L-14:dfn2b", "open_clip:ViT-L-14", "galago:nowhere/x")
    assert contents_of(names) == {}


def test_what_comes_with_galago_is_known_by_its_files() -> None:
    assert [*contents_of(["galago:mobileclip2-nano"])] == ["galago:mobileclip2-nano"]


@pytest.mark.parametrize("kind", ("{}", "galago:{}", "open_clip:ViT-L-14:{}/weights.pt"))
def test_files_are_known_by_what_they_hold(folder: Path, kind: str) -> None:
    weights = folder / "weights.pt"
    weights.write_bytes(b"one")
    name = kind.format(folder)
    first = contents_of([name])
    assert [*first] == [name] and len(first[name]) == 32
    (folder / "README.md").write_text("a page about it may change")
    weights.touch()
    assert contents_of([name]) == first
    weights.write_bytes(b"two")
    assert contents_of([name]) != first


def test_another_captioner_in_the_same_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    out = Folder(tmp_path)
    recipe = Recipe(("galago:conse",), captioner=str(folder))
    keep_plan(out, recipe.plan(ROWS, None), recipe.contents)
    check_plan(out, recipe, None)
    (folder / "open_clip_model.safetensors").write_bytes(b"other weights")
    for refused in (
        lambda: check_plan(out, recipe, None),
        lambda: keep_plan(out, recipe.plan(ROWS, None), recipe.contents),
    ):
        with pytest.raises(OptionError, match="captioner holds other weights than as the shards"):
            refused()


def test_a_plan_of_an_older_galago_is_gone_on_with(folder: Path, tmp_path: Path) -> None:
    out = Folder(tmp_path)
    recipe = Recipe(("galago:conse",), captioner=str(folder))
    (tmp_path / PLAN).write_text(
        json.dumps(recipe.plan(ROWS, None) | {"teachers": [vars(ROWS[0])]})
    )
    check_plan(out, recipe, None)
    keep_plan(out, recipe.plan(ROWS, None), recipe.contents)
