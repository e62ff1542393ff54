"""`galago search` by folder, date and text, and how what is found is handed on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from galago.cli.query import asked_for
from galago.errors import OptionError
from galago.places import albums_dir
from tests.helpers.albums import POSIX, Models, photo, say
from tests.helpers.commandline import found, run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("models")


@pytest.fixture
def days(capsys: Capture, photos: Path) -> Path:
    """The fifteen red photos are of March 2024, one a day; the others of now."""
    for number in range(15):
        then = datetime(2024, 3, number + 1, 12).timestamp()
        os.utime(photos / "red" / f"{number}.png", (then, then))
    assert run(capsys, "index", photos).code == 0
    return photos


def test_only_in_a_folder(capsys: Capture, indexed: Path) -> None:
    result = run(capsys, "search", "a red thing", "--in", indexed / "blue", "--all", "-k", "99")
    assert {Path(path).parent.name for path in found(result)} == {"blue"}
    none = run(capsys, "search", "a red thing", "--in", indexed / "blue")
    assert none.code == 0 and none.out == ""
    assert none.err == "no photo matches there; --all shows the nearest there all the same\n"
    two = [str(indexed / name) for name in ("blue", "red")]
    both = run(capsys, "search", "a red thing", "--in", two[0], "--in", two[1], "-k", "99")
    assert {Path(path).parent.name for path in found(both)} == {"red"}


def test_dates_alone_list_the_newest_and_load_no_model(
    capsys: Capture, days: Path, models: Models
) -> None:
    models.asked.clear()
    result = run(capsys, "search", "--since", "2024-03-02", "--until", "2024-03-04")
    assert result.out.splitlines() == [
        f"2024-03-0{day}        {days / 'red'}/{day - 1}.png  (its file's date)"
        for day in (4, 3, 2)
    ]
    assert result.err == "note: 3 of these don't say when taken; the date of the file stands in\n"
    assert len(run(capsys, "search", "--in", days, "-k", "7").out.splitlines()) == 7
    nothing = run(capsys, "search", "--until", "2001")
    assert nothing.out == "" and nothing.err == "no photo from that time is in the album\n"
    nothing = run(capsys, "search", "red", "--until", "2001", "--in", days / "red")
    assert nothing.err.endswith("no photo from that time in that folder is in the album\n")
    assert models.asked == []


def test_text_alone_loads_no_model(capsys: Capture, indexed: Path, models: Models) -> None:
    nothing = run(capsys, "search", "--text", "invoice")
    assert nothing.err.startswith("no picture has these words") and "index --read" in nothing.err
    say(albums_dir() / "default", "blue", "3", "Invoice\x1b[31m\nno. 17")
    say(albums_dir() / "default", "blue", "4", "an invoice", "caption")
    models.asked.clear()
    lines = run(capsys, "search", "--text", "INVOICE").out.splitlines()
    assert sorted(lines) == [
        f"{indexed / 'blue' / '3.png'}  read: “Invoice\\x1b[31m no. 17”",
        f"{indexed / 'blue' / '4.png'}  caption: “an invoice”",
    ]
    assert run(capsys, "search", "--text", "invoice", "--in", indexed / "red").out == ""
    assert run(capsys, "search", "--text", "invoice", "--minus", "no.").out.count("\n") == 1
    assert run(capsys, "search", "--text", "red").err == (
        "no picture has these words in its text or caption\n"
    )
    assert models.asked == []
    first = run(capsys, "search", "invoice", "-k", "1", "--json").out
    record = json.loads(first.splitlines()[0])
    assert record["text_kind"] in ("read", "caption") and record["match"]
    assert record["score"] is not None and record["taken_by"] == "file"


REFUSED = [
    (["--in", "nowhere"], "there is no folder nowhere"),
    (["red", "--in", ""], "the name of a folder is empty"),
    (["--since", "soon"], "since: 'soon' is no date: give 2025, 2025-06"),
    (["--until", "2025-02-30"], "until: '2025-02-30' is no date"),
    (["--since", "2999"], "is yet to come"),
    (["--since", "2025-06", "--until", "2025-05"], "until 2025-05 is before since 2025-06"),
    (["--text"], "say which words to look for"),
    (["--text", "red", "--image", "."], "--text looks for words alone"),
    (["--minus", "people", "--since", "2025"], "say what to look for"),
    (["--", "-1:dog"], "can't be negative; what is rather not wanted: --minus dog"),
    (["red", "--plus", "-0.5:dog"], "can't be negative"),
    (["-1:dog"], "--minus X is what is rather not wanted"),
    (["0:dog"], "a weight is more than 0"),
    (["9999:dog"], "1000 at most"),
    (["red", "--json", "--paths"], "leave out --paths"),
    (["red", "--paths", "--preview"], "--preview doesn't go with"),
    (["red", "--preview"], "stdout is none"),
    (["red", "--folder", "x"], "--in FOLDER searches in one"),
]


def test_what_cannot_be_asked_is_told(capsys: Capture, indexed: Path, models: Models) -> None:
    models.asked.clear()
    for args, said in REFUSED:
        result = run(capsys, "search", *args)
        assert result.code == 2 and said in result.line, args
    assert models.asked == []  # a model may be large, and have to be fetched


def parts(*words: str, **more: list[str]) -> list[tuple[str, float]]:
    lists = (more.get(name, []) for name in ("images", "plus", "minus"))
    return [(part.text, part.weight) for part in asked_for(words, *lists)]


def test_a_number_before_words_weighs_them() -> None:
    assert parts("2:dog", "0.5:a beach") == [("dog", 2), ("a beach", 0.5)]
    assert parts("on", "2：狗", "a", "beach") == [("on a beach", 1), ("狗", 2)]
    assert parts("1,5:dog", plus=["3:cat"], minus=["2:men"]) == [
        ("dog", 1.5),
        ("cat", 3),
        ("men", 2),
    ]
    # Words that only look like it.
    for text in ("16:9", "4:20 pm", "at 2:dog", "2: dog", "2:", ":dog", "12:30", "1:1 portrait"):
        assert parts(text) == [(text, 1)], text
    with pytest.raises(OptionError, match="--minus 'red dog'"):
        parts("-2:red dog")


def test_weights_tip_the_scales(capsys: Capture, indexed: Path) -> None:
    for first, second in (("red", "blue"), ("blue", "red")):
        query = [f"3:a {first} thing", f"1:a {second} thing"]
        best = found(run(capsys, "search", *query, "-k", "10"))
        assert {Path(path).parent.name for path in best} == {first}
    blue = indexed / "blue" / "3.png"
    heavy = found(run(capsys, "search", "a red thing", "--plus", f"9:{blue}", "-k", "5"))
    assert {Path(path).parent.name for path in heavy} == {"blue"}


@POSIX
def test_paths_are_exact_for_other_programs(capsys: Capture, tmp_path: Path) -> None:
    odd = [b"new\nline.png", b"latin \xe9.png", b" blank .png", b"-rf.png", b"esc\x1b[31m'\".png"]
    for seed, name in enumerate(odd):
        photo(tmp_path / "p" / os.fsdecode(name), seed=seed)
    run(capsys, "index", tmp_path / "p")
    albums = {"GALAGO_ALBUMS": os.environ["GALAGO_ALBUMS"]}
    command = [sys.executable, "-m", "galago", "search", "--in", str(tmp_path / "p")]
    environment = {**os.environ, **albums, "PYTHONPATH": os.getcwd()}
    out = subprocess.run([*command, "-0"], env=environment, capture_output=True, check=True)
    names = out.stdout.split(b"\0")
    assert names.pop() == b"" and {os.path.basename(name) for name in names} == set(odd)
    listed = subprocess.run([*command, "--paths"], env=environment, capture_output=True, check=True)
    assert listed.stdout == b"".join(name + b"\n" for name in names)
    assert b"1 name holds a line break; -0 keeps" in listed.stderr
    # As a shell would.
    copied = tmp_path / "copied"
    copied.mkdir()
    subprocess.run(["xargs", "-0", "cp", "-t", copied, "--"], input=out.stdout, check=True)
    assert {os.fsencode(name) for name in os.listdir(copied)} == set(odd)


def test_an_album_from_before_is_told_to_be_indexed(capsys: Capture, days: Path) -> None:
    from galago.album import Store

    with Store.open(albums_dir() / "default", write=True) as store:
        store.db.execute("UPDATE vectors SET taken = NULL")
    result = run(capsys, "search", "--until", "2024")
    assert len(result.out.splitlines()) == 12
    assert result.err == (
        "note: 45 photos' dates are not known yet, and their files' stand in; "
        "galago index looks for them\n"
    )
    assert run(capsys, "index").code == 0
    assert "not known yet" not in run(capsys, "search", "--until", "2024").err


def test_a_page_and_filters_go_together(capsys: Capture, days: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run(capsys, "search", "--until", "2024", "--html", page, "-k", "3")
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg") == 3 and "until 2024" in text
    red = days / "red" / "3.png"
    like = run(capsys, "search", "--image", red, "--since", "2024-03", "--until", "2024-03-05")
    assert len(found(like)) == 5 and found(like)[0] == str(red)
    shutil.rmtree(days / "red")
    gone = run(capsys, "search", "--until", "2024", "-k", "3")
    assert gone.out == "" and "15 no longer there" in gone.err
