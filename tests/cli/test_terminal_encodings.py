"""JSON is UTF-8 whatever a terminal's code page; what else is written never fails for a letter."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from galago.cli.main import main
from galago.cli.terminal import write_record
from galago.convert import store
from galago.engine.precision import PrecisionPlan

NAME = "写真 é 😀"
PAGES = ["cp1252", "gbk", "ascii", "utf-8", "utf-16", "utf-8-sig"]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, bytes]]:
    """The exit code and the bytes of stdout of a command line, under a code page."""

    def run(page: str, *args: str | Path) -> tuple[int, bytes]:
        raw = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=page))
            code = main([str(arg) for arg in args])
            sys.stdout.flush()
            return code, raw.getvalue()

    return run


@pytest.fixture
def album(tmp_path: Path, picture: Path, models: object) -> Path:
    """An indexed folder with two copies of one picture."""
    folder = tmp_path / NAME
    folder.mkdir()
    for number in (1, 2):
        shutil.copy(picture, folder / f"{number} {NAME}.jpg")
    (folder / f"{NAME}.png").write_bytes(b"none")
    assert main(["index", str(folder)]) == 1
    return folder


@pytest.mark.parametrize("page", ["cp1252", "gbk"])
def test_every_verbs_records_are_utf_8(
    written: Any, album: Path, ready: Path, clip: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = album / f"{NAME}.mp4"
    shutil.copy(clip, film)
    kept = store.Entry(
        album, NAME, PrecisionPlan("fp32", "int8"), "int8", 1, {"path": f"/{NAME}"}, {}
    )
    monkeypatch.setattr(store, "kept", lambda name=None: [] if name else [kept])
    short = ("-m", ready, "--max-tokens", "2", "--json")
    for line in (
        ["describe", album / f"1 {NAME}.jpg", album / f"{NAME}.png", *short],
        ["watch", film, *short],
        ["search", "red", "--all", "--json"],
        ["duplicates", "--json"],
        ["album", "--json"],
        ["album", "--failed", "--json"],
        ["models", "--json"],
    ):
        code, data = written(page, *line)
        assert code in (0, 1) and not data.startswith(b"\xef\xbb\xbf")
        records = [json.loads(row) for row in data.decode("utf-8").splitlines()]
        assert records and NAME in json.dumps(records, ensure_ascii=False)


@pytest.mark.parametrize("page", ["cp1252", "ascii", "utf-16"])
def test_text_never_fails_for_a_letter(written: Any, album: Path, page: str) -> None:
    for line in (["album"], ["search", "red", "--all"], ["models"]):
        code, data = written(page, *line)
        assert code == 0 and data
        data.decode(page)
    assert written(page, "classify", "--help")[0] == 0


@pytest.mark.parametrize("page", PAGES)
def test_a_record_is_utf_8(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=page))
    write_record({"a": NAME})
    assert raw.getvalue() == f'{{"a": "{NAME}"}}\n'.encode()


def test_a_record_needs_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that calls `main` may have put something else in stdout's place."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    write_record({"a": NAME})
    assert json.loads(sys.stdout.getvalue()) == {"a": NAME}
