"""`galago embed` through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from galago.cli import embed as verb
from galago.scale.listing import Listing
from tests.helpers.albums import photo
from tests.helpers.commandline import run
from tests.helpers.tables import FakeCrew, KeptTable, lacking

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("1.png", "2.png", "bad.png", "later.png"):
        photo(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture
def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A table in a dictionary, and workers without models."""
    kept: dict[str, Any] = {}
    monkeypatch.setattr(verb, "open_table", lambda out: KeptTable(tmp_path, kept))
    monkeypatch.setattr(verb, "_crew", lambda work, ray, bar: FakeCrew)
    return kept


def test_a_run_is_told_in_a_line_and_what_went_wrong_by_name(
    faked: dict[str, Any], pictures: Path, capsys: Capture
) -> None:
    ran = run(capsys, "embed", pictures, "out.lance", "-m", "mobileclip2-nano")
    assert ran.code == 1
    assert ran.out.endswith("2 new, 1 with an error, 1 couldn't be read now\n")
    assert f"galago: {pictures / 'bad.png'}: no picture" in ran.err
    assert f"galago: {pictures / 'later.png'}: not now" in ran.err
    (pictures / "bad.png").unlink()
    (pictures / "later.png").unlink()
    again = run(capsys, "embed", pictures, "out.lance", "-m", "mobileclip2-nano")
    assert again.code == 0 and again.out.endswith(": 2 there before\n")


def test_json(faked: dict[str, Any], pictures: Path, capsys: Capture) -> None:
    ran = run(capsys, "embed", pictures, "out.lance", "--json", "--limit", "2")
    record = json.loads(ran.out)
    assert (record["new"], record["errors"], record["known"]) == (2, 0, 0)
    assert (record["model"], record["dim"], record["captioner"]) == ("fake", 4, None)


def test_nothing_to_do(faked: dict[str, Any], tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    ran = run(capsys, "embed", tmp_path / "empty", "out.lance")
    assert ran.code == 0 and f"no pictures in {tmp_path / 'empty'}" in ran.err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["out.csv"], "out.csv says no format: call it NAME.lance or NAME.parquet"),
        (["out.lance", "--caption", "brief", "-p", "Why?"], "exclude each other"),
        (["out.lance", "--caption", "poem"], "there is no preset 'poem'"),
        (["out.lance", "-p", " "], "--prompt is empty"),
        (["out.lance", "--captioner", "fastvlm-nano"], "--captioner MODEL needs --caption"),
        (["out.lance", "--ray", ""], "--ray is empty"),
        (["out.lance", "--threads", "0"], "--threads takes a number from 1"),
        (["s3://b/out.lance", "--offline"], "--offline contacts nobody"),
    ],
)
def test_what_contradicts_itself(
    more: list[str], told: str, pictures: Path, capsys: Capture
) -> None:
    ran = run(capsys, "embed", pictures, *more)
    assert ran.code == 2 and told in ran.line


def test_offline_reaches_the_lines_of_a_list(
    faked: dict[str, Any], pictures: Path, capsys: Capture
) -> None:
    (pictures / "list.txt").write_text("https://x.org/a.jpg\n")
    ran = run(capsys, "embed", pictures / "list.txt", "out.lance", "--offline")
    assert ran.code == 2 and "a.jpg is elsewhere and --offline contacts nobody" in ran.line
    total = verb._Total(Listing(str(pictures / "list.txt"), offline=True))
    assert total._listing.offline


def test_in_that_isnt_there_is_told_before_packages_are_missed(
    tmp_path: Path, capsys: Capture
) -> None:
    ran = run(capsys, "embed", tmp_path / "nowhere", "out.lance")
    assert ran.code == 2 and ran.line == f"no such file or folder: {tmp_path / 'nowhere'}"


@pytest.mark.parametrize(("suffix", "package"), [("lance", "lance"), ("parquet", "pyarrow")])
def test_without_the_packages_a_line_installs_them(
    suffix: str, package: str, pictures: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, package)
    ran = run(capsys, "embed", pictures, f"out.{suffix}")
    assert ran.code == 2 and "to install the extra cluster: " in ran.line


def test_from_pictures_to_a_table(tmp_path: Path, pictures: Path, capsys: Capture) -> None:
    lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
    (pictures / "bad.png").write_bytes(b"none")
    out = tmp_path / "out.lance"
    line = ("embed", pictures, out, "-m", "mobileclip2-nano", "--threads", "1")
    assert run(capsys, *line, "--limit", "2").code in (0, 1)
    assert run(capsys, *line).code in (0, 1)
    assert lance.dataset(str(out)).count_rows() == 4
    assert run(capsys, *line, "--json").code == 0
    other = run(capsys, "embed", pictures, out, "--float16", "--limit", "1")
    assert other.code == 0  # nothing new, so nothing to mix up
    photo(pictures / "5.png", "blue")
    other = run(capsys, "embed", pictures, out, "--float16")
    assert other.code == 2 and "holds vectors in float32, not float16" in other.line
