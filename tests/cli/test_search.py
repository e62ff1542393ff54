"""`galago search`: what a person types and sees."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path

import pytest

from tests.helpers.albums import Models, photo
from tests.helpers.commandline import found, run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("models")


def test_search_by_words(capsys: Capture, indexed: Path) -> None:
    result = run(capsys, "search", "a", "red", "thing", "-k", "5")
    paths = found(result)
    assert result.code == 0 and len(paths) == 5 and result.err == ""
    assert {Path(path).parent.name for path in paths} == {"red"}
    scores = [float(line.split()[0]) for line in result.out.splitlines()]
    assert scores == sorted(scores, reverse=True)


def test_json_has_what_was_promised(capsys: Capture, indexed: Path) -> None:
    lines = run(capsys, "search", "a red thing", "-k", "3", "--json").out.splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 3
    fields = {"path", "score", "strength", "match", "copies", "taken", "taken_by"}
    assert all(set(record) == fields and record["copies"] == [] for record in records)
    assert all(record["match"] and Path(record["path"]).is_file() for record in records)


def test_a_query_with_no_match_says_so(capsys: Capture, indexed: Path) -> None:
    nothing = next(
        result
        for word in ("xylophone", "seven", "quarter", "figures")
        if not (result := run(capsys, "search", word)).out
    )
    assert nothing.code == 0 and nothing.err == (
        "no photo matches; --all shows the nearest all the same\n"
    )
    every = run(capsys, "search", "a red thing", "--all", "-k", "100", "--json")
    records = [json.loads(line) for line in every.out.splitlines()]
    assert len(records) == 45 and not all(record["match"] for record in records)


def test_search_by_pictures(capsys: Capture, indexed: Path) -> None:
    blue, red = indexed / "blue" / "3.png", indexed / "red" / "3.png"
    like = found(run(capsys, "search", "--image", blue, "-k", "15"))
    assert like[0] == str(blue) and {Path(path).parent.name for path in like} == {"blue"}
    mixed = found(run(capsys, "search", "a red thing", "--plus", blue, "--all", "-k", "30"))
    assert {Path(path).parent.name for path in mixed} == {"red", "blue"}
    apart = found(run(capsys, "search", "a red thing", "--plus", blue, "--minus", red, "-k", "9"))
    assert {Path(path).parent.name for path in apart} == {"blue"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "say what to look for"),
        ([""], "say what to look for"),
        (["--minus", "people"], "say what to look for"),
        (["red", "--plus", " "], "--plus is empty"),
        (["--image", "none.jpg"], "no such picture"),
        (["red", "--plus", "none.jpg"], "no such picture: none.jpg"),
        (["red", "-k", "0"], "ask for 1 or more"),
        (["red", "--html", "/"], "is no file"),
        (["red", "--html", ""], "is no file"),
    ],
)
def test_queries_that_ask_nothing(
    capsys: Capture, indexed: Path, models: Models, args: list[str], said: str
) -> None:
    models.asked.clear()
    result = run(capsys, "search", *args)
    assert result.code == 2 and said in result.line
    assert models.asked == []  # a model may be large, and have to be fetched


def test_a_very_long_query_is_cut_with_a_note(capsys: Capture, indexed: Path) -> None:
    result = run(capsys, "search", "red " * 10_000, "-k", "2")
    assert result.code == 0 and len(result.out.splitlines()) == 2
    assert (
        result.err == "note: the model reads 77 tokens of a query; the end of yours is left out\n"
    )


def test_chinese_is_searched_in_english_and_that_is_said(capsys: Capture, indexed: Path) -> None:
    plain = run(capsys, "search", "红色的图片", "-k", "2")
    assert plain.code == 0 and plain.err == "searched for: red (word by word)\n"
    assert found(plain) == found(run(capsys, "search", "red", "-k", "2")) != []
    line = run(capsys, "search", "红色", "-k", "1", "--json").out
    assert json.loads(line)["searched_for"] == "red" and "note" not in json.loads(line)
    mixed = run(capsys, "search", "红色 thing", "--plus", "蓝色", "--minus", "绿色", "--all")
    assert "searched for: red thing + blue − green (word by word)\n" in mixed.err
    part = run(capsys, "search", "鬽红色", "-k", "1", "--json")
    assert "left out of the query: “鬽”" in json.loads(part.out)["note"]
    plain_english = run(capsys, "search", "red", "--json", "-k", "1")
    assert not {"note", "searched_for"} & set(json.loads(plain_english.out))


def test_words_that_the_model_was_never_taught_are_told(capsys: Capture, indexed: Path) -> None:
    plain = run(capsys, "search", "hippogriff", "-k", "2", "--all")
    assert plain.code == 0 and "was never taught “hippogriff”" in plain.err
    lines = run(capsys, "search", "hippogriff", "-k", "2", "--all", "--json").out.splitlines()
    assert len(lines) == 2 and all("never taught" in json.loads(line)["note"] for line in lines)
    assert "never taught" not in run(capsys, "search", "red", "-k", "2").err


def test_words_that_nobody_here_reads_are_told(capsys: Capture, indexed: Path) -> None:
    """The model reads English: what it makes of other letters is chance."""
    for line in (["красный"], ["赤い"], ["红色", "--as-is"]):
        plain = run(capsys, "search", *line, "-k", "2", "--all")
        assert plain.code == 0 and "reads English only" in plain.err
        assert "searched for" not in plain.err
        lines = run(capsys, "search", *line, "-k", "2", "--all", "--json").out.splitlines()
        assert len(lines) == 2
        assert all("reads English" in json.loads(line)["note"] for line in lines)
    minus = run(capsys, "search", "red", "--minus", "синий")
    assert "“синий”" in minus.err


def test_a_page_says_what_was_searched_for(capsys: Capture, indexed: Path, tmp_path: Path) -> None:
    page = tmp_path / "found.html"
    run(capsys, "search", "红色", "--html", page)
    assert "红色" in page.read_text("utf-8") and "searched for: red" in page.read_text("utf-8")


def test_another_model_is_refused(capsys: Capture, indexed: Path, models: Models) -> None:
    refused = run(capsys, "search", "red", "-m", "other")
    assert refused.code == 2 and refused.line.endswith("galago index --fresh -m other")
    assert run(capsys, "index", "--fresh", "-m", "other").code == 0
    models.asked.clear()
    assert run(capsys, "search", "red", "--all").code == 0 and models.asked == ["other"]


def test_a_page_to_look_at(
    capsys: Capture, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    page = tmp_path / "page.html"
    result = run(capsys, "search", "a <red> thing", "--html", page, "-k", "4")
    assert result.code == 0 and not opened
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg") == 4 and "a &lt;red&gt; thing" in text
    run(capsys, "search", "a red thing", "--open", "-k", "4")
    (address,) = opened
    assert Path(address.removeprefix("file://")).is_relative_to(tmp_path)
    refused = run(capsys, "search", "a red thing", "--html", tmp_path / "none" / "page.html")
    assert refused.code == 2 and "can't be written" in refused.line


def test_a_page_takes_no_place_of_value(
    capsys: Capture, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run(capsys, "search", "red", "--html", indexed / "red" / "1.png")
    assert refused.code == 2 and "is the name of a picture" in refused.line

    def full(*_: object, **__: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("galago.media.pool.PicturePool.thumbnail", full)
    page = tmp_path / "page.html"
    page.write_text("old")
    before = sorted(tmp_path.iterdir())
    cut = run(capsys, "search", "a red thing", "--html", page)
    assert cut.code == 2 and f"can't be written to {page}: No space" in cut.line
    assert page.read_text() == "old" and sorted(tmp_path.iterdir()) == before
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    nowhere = run(capsys, "search", "a red thing", "--open")
    assert nowhere.code == 2 and f"can't be written to {tempfile.gettempdir()}: " in nowhere.line


@pytest.mark.skipif(sys.platform == "win32", reason="names of POSIX")
def test_odd_names_are_printed_safely(capsys: Capture, tmp_path: Path) -> None:
    odd = [b"new\nline.png", "🐶 dog.png".encode(), b"latin \xe9.png", b"esc\x1b[31m.png"]
    photo(tmp_path / "a.png")
    for seed, name in enumerate(odd, 1):
        photo(tmp_path / os.fsdecode(name), seed=seed)
    run(capsys, "index", tmp_path)
    paths = found(run(capsys, "search", "red", "--all"))
    assert len(paths) == 5 and not any("\x1b" in path for path in paths)
    assert any(path.endswith("new\\nline.png'") for path in paths)
    assert any(path.endswith("latin \\351.png'") for path in paths)
    lines = run(capsys, "search", "red", "--all", "--json").out.splitlines()
    records = [json.loads(line) for line in lines]
    raw = {
        os.path.basename(
            bytes.fromhex(r["path_bytes"]) if "path_bytes" in r else r["path"].encode()
        )
        for r in records
    }
    assert raw == {*odd, b"a.png"} and any("🐶" in line for line in lines)
    assert run(capsys, "search", "red", "--all", "--html", tmp_path / "p.html").code == 0


def test_copies_share_a_line(capsys: Capture, tmp_path: Path) -> None:
    first = photo(tmp_path / "p" / "a.png")
    for number in range(19):
        shutil.copy2(first, first.with_name(f"copy {number:02}.png"))
    photo(first.with_name("other.png"), "red", 1)
    run(capsys, "index", first.parent)
    result = run(capsys, "search", "red", "--all", "-k", "2")
    assert sorted(line.split("  ", 1)[1] for line in result.out.splitlines()) == [
        f"{first}  and 19 copies",
        str(first.with_name("other.png")),
    ]
    page = tmp_path / "page.html"
    run(capsys, "search", "red", "--all", "--html", page)
    assert "a.png  and 19 copies" in page.read_text() and page.read_text().count("<img") == 2
    lines = run(capsys, "search", "red", "--all", "--json").out.splitlines()
    copies = {len(record["copies"]) for record in map(json.loads, lines)}
    assert copies == {0, 19}


def test_what_is_no_longer_there_is_left_out_and_told(
    capsys: Capture, indexed: Path, tmp_path: Path
) -> None:
    for number in range(14):
        (indexed / "red" / f"{number}.png").unlink()
    page = tmp_path / "page.html"
    result = run(capsys, "search", "a red thing", "--html", page)
    assert found(result) == [str(indexed / "red" / "14.png")]
    told = "left out of what was indexed: 14 no longer there"
    assert result.err == f"{told}; to bring the album up to date: galago index\n"
    assert told in page.read_text()
    *_, last = run(capsys, "search", "a red thing", "--json").out.splitlines()
    assert json.loads(last) == {"left_out": {"missing": 14, "changed": 0}}
    assert (
        found(run(capsys, "search", "a blue thing"))
        and "left out" in run(capsys, "duplicates", "--threshold", "0.5").err
    )


def test_without_a_match_no_page_is_written_and_that_is_said(
    capsys: Capture, indexed: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    result = run(capsys, "search", "a letter", "--html", page)
    assert result.out == "" and not page.exists()
    assert result.err.endswith("all the same; no page was written\n")
    assert "page" not in run(capsys, "search", "a letter").err


def test_a_video_is_found_at_a_moment(
    capsys: Capture, tmp_path: Path, clip: Path, models: Models
) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(clip, tmp_path / "videos")
    assert run(capsys, "index", tmp_path / "videos").code == 0
    line = run(capsys, "search", "red", "--all").out
    found = re.fullmatch(r"-?0\.\d{3}  .*clip\.mp4 @ 0:0(\d)\n", line)
    record = json.loads(run(capsys, "search", "red", "--all", "--json").out)
    assert found is not None and int(record["second"]) == int(found[1])
    sheet = tmp_path / "sheet.html"
    assert run(capsys, "search", "red", "--all", "--html", sheet).code == 0
    assert "data:image/jpeg" in sheet.read_text()
