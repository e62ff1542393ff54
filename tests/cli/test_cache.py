"""`galago cache`: what is kept where, and what goes when it is cleared."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from galago.errors import StorageError
from tests.helpers.commandline import run
from tests.helpers.kept import fill_cache

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    monkeypatch.setenv("GALAGO_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "mine").mkdir()
    fill_cache(tmp_path / "cache", tmp_path / "mine")
    (tmp_path / "albums" / "holiday").mkdir(parents=True)
    (tmp_path / "albums" / "holiday" / "album.sqlite").write_bytes(bytes(3000))
    (tmp_path / "config.toml").write_text('album = "holiday"\n')
    return tmp_path / "cache"


def answered(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_all_is_listed(capsys: Capture, full: Path) -> None:
    shown = run(capsys, "cache")
    lines = shown.out.splitlines()
    assert len(lines) == 11 and lines[0].split() == ["WHAT", "SIZE", "WHICH", "PLACE"]
    for what, size, which in (
        ("converted", "MB", "mine, int8-bf16, made again"),
        ("fetched", "MB", "apple/FastVLM-0.5B, not whole"),
        ("album", "0.0 MB", "holiday"),
        ("settings", "0.0 MB", str(full.parent / "config.toml")),
    ):
        assert any(row.startswith(what) and size in row and which in row for row in lines), what
    assert f"in {full}; `galago cache clear` frees" in shown.err
    records = [json.loads(line) for line in run(capsys, "cache", "--json").out.splitlines()]
    assert [one["what"] for one in records] == [line.split()[0] for line in lines[1:]]


def test_clear_takes_only_what_is_made_again(capsys: Capture, full: Path) -> None:
    done = run(capsys, "cache", "clear", "--yes")
    assert done.code == 0 and "removed converted mine, 0.0 MB\n" in done.out
    assert "removed graphs, 0.0 MB\n" in done.out and len(done.out.splitlines()) == 5
    records = [json.loads(line) for line in run(capsys, "cache", "--json").out.splitlines()]
    left = {one["what"]: one["model"] for one in records}
    assert left == {
        "converted": "apple/FastVLM-1.5B",  # its source is gone
        "fetched": "apple/FastVLM-0.5B",
        "bench": None,
        "album": None,
        "settings": None,
    }
    assert "name what else is to go" in run(capsys, "cache", "clear", "-y").err


@pytest.mark.parametrize(
    ("named", "gone"),
    [
        (["FastVLM-1.5B"], ["converted apple/FastVLM-1.5B"]),
        (["fetched", "graphs"], ["fetched apple/FastVLM-0.5B", "graphs"]),
        (["mine", "mine"], ["converted mine"]),
    ],
)
def test_what_is_named_goes(capsys: Capture, full: Path, named: list[str], gone: list[str]) -> None:
    out = run(capsys, "cache", "clear", *named, "-y").out.splitlines()
    assert [line.split(",")[0].removeprefix("removed ") for line in out] == gone


def test_all_means_the_cache_and_nothing_else(capsys: Capture, full: Path) -> None:
    assert len(run(capsys, "cache", "clear", "all", "--yes").out.splitlines()) == 8
    listed = run(capsys, "cache").out.splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["album", "settings"]
    assert "there is nothing in" in run(capsys, "cache", "clear").err
    assert run(capsys, "cache", "clear", "graphs").err == "there is nothing to remove\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["claer"], "`galago cache clear` removes"),
        (["graphs"], "to remove: galago cache clear graphs"),
        (["FastVLM-7B"], "to remove: galago cache clear FastVLM-7B"),
        (["clear", "grpahs"], "did you mean graphs?"),
        (["clear", "apple/FastVLM-1.6B"], "did you mean apple/FastVLM-1.5B?"),
        (["clear", "xyzzy"], "`galago cache` shows what there is"),
        (["clear", "apple/FastVLM-7B"], "nothing of apple/FastVLM-7B is in the cache"),
        (["clear", "nano"], "it is part of galago"),
        (["clear", "graphs", "albums"], "an album can't be made again"),
        (["clear", "hub"], "other programs use"),
        (["clear", "settings"], "`galago use --best`"),
        (["--clear"], "galago cache clear [WHAT]"),
    ],
)
def test_what_was_meant(capsys: Capture, full: Path, line: list[str], told: str) -> None:
    before = sorted(full.rglob("*"))
    result = run(capsys, "cache", *line)
    assert result.code == 2 and told in result.line and not result.out
    assert sorted(full.rglob("*")) == before


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        ("n\n", 0, "nothing was removed"),
        ("\n", 0, "nothing was removed"),
        ("", 2, "--yes removes without asking"),
    ],
)
def test_nothing_goes_without_a_yes(
    capsys: Capture, full: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, told: str
) -> None:
    before = sorted(full.rglob("*"))
    answered(monkeypatch, typed)
    result = run(capsys, "cache", "clear")
    assert result.code == code and told in result.err and "phrases" in result.err
    assert not result.out and sorted(full.rglob("*")) == before
    answered(monkeypatch, "Y\n")
    assert len(run(capsys, "cache", "clear").out.splitlines()) == 5


def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    capsys: Capture, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.convert import cached

    real = cached.remove

    def refuse(thing: cached.Thing) -> None:
        if thing.what == "graphs":
            raise StorageError("graphs can't be removed: Permission denied")
        real(thing)

    monkeypatch.setattr(cached, "remove", refuse)
    result = run(capsys, "cache", "clear", "graphs", "phrases", "--yes", "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1 and "Permission denied" in result.line
    assert [(one["what"], "error" in one) for one in records] == [
        ("graphs", True),
        ("phrases", False),
    ]
    assert run(capsys, "cache", "clear", "graphs", "-y").code == 2


def test_no_cache_yet(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "none"))
    assert run(capsys, "cache").out == "WHAT  SIZE  WHICH  PLACE\n"
    assert "there is nothing in" in run(capsys, "cache", "clear", "--yes").err
    assert not (tmp_path / "none").exists()
