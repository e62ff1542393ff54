"""Names, tensors and words of strangers: every verb shows them, no terminal obeys them."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from galago.cli.main import main
from galago.cli.terminal import Bar, complain, say, stages, write, write_place
from galago.progress import Stage
from tests.helpers.commandline import Result, run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names of POSIX")

# A title for the window, a colour, markup, an emoji's name, an 8-bit escape, letters turned round.
EVIL = "a\x1b]0;owned\x07\x1b[31m[bold]b [link=x]:smile:\x9b2J\u202e\n"
FORBIDDEN = ("\x1b", "\x07", "\x9b", "\u202e")


def check(result: Result, *, tty: bool = False) -> None:
    for text in (result.out, result.err):
        # At a terminal a progress bar has escapes of its own, but none of these.
        for forbidden in ("\x1b]", "\x07", "\x9b", "\u202e") if tty else FORBIDDEN:
            assert forbidden not in text, text
        assert "owned" not in text or "[bold]b [link" in text  # no markup is read
    assert "Traceback" not in result.err and result.code != 3


@pytest.fixture
def evil(tmp_path: Path, picture: Path, clip_folder: Path) -> Path:
    """A folder of that name, with pictures, a video and a file that are none, and a model."""
    folder = tmp_path / EVIL
    folder.mkdir()
    shutil.copy(picture, folder / f"{EVIL}.jpg")
    (folder / f"{EVIL}.png").write_bytes(b"no picture")
    (folder / f"{EVIL}.mp4").write_bytes(b"no video")
    (folder / "labels.txt").write_text(f"cat{EVIL}dog\x1b[31m\n", "utf-8")
    shutil.copytree(clip_folder, folder / "clip")
    return folder


LINES: dict[str, Callable[[Path, Path], list[str]]] = {
    "describe": lambda at, m: ["describe", f"{at}/{EVIL}.jpg", f"{at}/{EVIL}.png", "-m", f"{m}"],
    "describe one": lambda at, m: ["describe", f"{at}/{EVIL}.png", "-m", f"{m}"],
    "describe missing": lambda at, m: ["describe", EVIL, f"{EVIL}2.jpg"],
    "describe json": lambda at, m: ["describe", f"{at}", "--json", "-m", f"{m}"],
    "describe model": lambda at, m: ["describe", f"{at}/{EVIL}.jpg", "-m", f"{at}"],
    "watch": lambda at, m: ["watch", f"{at}/{EVIL}.mp4", "-m", f"{m}"],
    "watch vtt": lambda at, m: ["watch", "x.mp4", "--vtt", f"{at}/{EVIL}/{EVIL}"],
    "chat": lambda at, m: ["chat", f"{at}/{EVIL}.jpg", "-m", f"{m}", "--max-tokens", "3"],
    "chat missing": lambda at, m: ["chat", EVIL],
    "classify": lambda at, m: [
        *("classify", f"{at}", "--labels-from", f"{at}/labels.txt", "-m", f"{at}/clip")
    ],
    "classify labels": lambda at, m: ["classify", f"{at}", "--labels-from", f"{at}/{EVIL}"],
    "pull": lambda at, m: ["pull", f"{at}"],
    "pull clip": lambda at, m: ["pull", f"{at}/clip"],
    "pull hub": lambda at, m: ["pull", EVIL],
    "bench": lambda at, m: ["bench", EVIL],
    "serve": lambda at, m: ["serve", "--host", EVIL],
    "serve model": lambda at, m: ["serve", "-m", EVIL, "--port", "0"],
    "album": lambda at, m: ["album", "--album", EVIL],
    "verb": lambda at, m: [EVIL],
    "option": lambda at, m: ["describe", f"--{EVIL}"],
    "value": lambda at, m: ["describe", "--threads", EVIL, "x"],
    "resolution": lambda at, m: ["describe", f"{at}/{EVIL}.jpg", "--resolution", EVIL],
    "completion": lambda at, m: ["--show-completion", EVIL],
}


@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("line", LINES)
def test_no_verb_passes_on_what_a_terminal_obeys(
    line: str,
    tty: bool,
    evil: Path,
    ready: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"What?\n/open {EVIL}\n"))
    if tty:
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    result = run(capsys, *LINES[line](evil, ready))
    if line == "pull clip" and not tty:
        # What scripts take up is exact, as `ls` is behind a pipe.
        assert result.out == f"{evil / 'clip'}\n"
        result.out = ""
    check(result, tty=tty)
    assert result.out or result.err


@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "terminal"])
def test_albums_neither(
    models: object, evil: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tty: bool
) -> None:
    shutil.copy(evil / f"{EVIL}.jpg", evil / f"{EVIL}copy.jpg")
    if tty:
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    page = evil / "page.html"
    for line in (
        ["index", f"{evil}"],
        ["index", f"{evil}/none"],
        ["search", "red", "--all", "--html", f"{page}"],
        ["search", f"{EVIL}", "--all", "--json"],
        ["search", "--image", f"{evil}/{EVIL}"],
        ["duplicates"],
        ["duplicates", "--json"],
        ["album"],
        ["album", "--json"],
        ["album", "--failed"],
        ["album", "--failed", "--json"],
        ["album", "--forget", f"{evil}"],
    ):
        result = run(capsys, *line)
        check(result, tty=tty)
        assert result.out or result.err, line
    assert not any(steering in page.read_text("utf-8") for steering in FORBIDDEN)


def test_tensors_shards_and_configurations(tmp_path: Path, tiny: Path, capsys: Capture) -> None:
    evil = EVIL.strip()
    for name in ("shards", "tensors", "kind", "size"):
        shutil.copytree(tiny, tmp_path / name)
    weights = next(tiny.glob("*.safetensors")).name
    (tmp_path / "shards" / weights).unlink()
    index = {"weight_map": {"a.weight": f"{evil}.safetensors"}}
    (tmp_path / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    header = json.dumps({f"{evil}": {"dtype": f"F{evil}", "shape": [1], "data_offsets": [0, 4]}})
    data = len(header.encode()).to_bytes(8, "little") + header.encode() + bytes(4)
    (tmp_path / "tensors" / weights).write_bytes(data)
    config = json.loads((tiny / "config.json").read_text())
    for name, key in (("kind", "model_type"), ("size", "num_hidden_layers")):
        (tmp_path / name / "config.json").write_text(json.dumps({**config, key: evil}))
    for name in ("shards", "tensors", "kind", "size"):
        result = run(capsys, "pull", tmp_path / name)
        check(result)
        assert result.code == 2 and len(result.err.splitlines()) <= 2, name


def test_words_of_a_model_and_of_an_error(capsys: Capture) -> None:
    write(f"words{EVIL}")
    say(f"said{EVIL}")
    complain(f"wrong: {EVIL}")
    captured = capsys.readouterr()
    check(Result(0, captured.out, captured.err))
    assert len(captured.err.splitlines()) == 2 and "\\x1b]0;owned" in captured.out
    with stages() as report:
        report(Stage(f"fetching {EVIL}", lasting=True), 0.0)
    assert "\x1b" not in capsys.readouterr().err


def test_bars_and_lasting_stages_at_a_terminal(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without colour nothing is bold either (https://no-color.org), and no markup is read."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with stages() as report:
        report(Stage(f"licence 4.2 GB, 'x' True /a/b {EVIL}", lasting=True), 0.0)
    lasting = next(line for line in capsys.readouterr().err.splitlines() if "licence" in line)
    assert "licence 4.2 GB, 'x' True /a/b a\\x1b]0;owned\\x07" in lasting
    assert "[bold]b [link=x]:smile:" in lasting
    with Bar(3) as bar:
        bar.name(EVIL)
        bar.advance()
        bar.update(EVIL, 1, 3)
    with stages() as report:
        report(Stage(EVIL), 0.5)
    check(Result(0, "", capsys.readouterr().err), tty=True)


def test_places_are_exact_for_scripts(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    write_place("/a\x1b[0m b")
    assert capsys.readouterr().out == "/a\x1b[0m b\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write_place("/a\x1b[0m b")
    assert capsys.readouterr().out == "$'/a\\033[0m b'\n"


def test_one_bad_line_is_bearable(capsys: Capture) -> None:
    address = "data:image/png;base64," + "A" * 23_000
    for line in (
        ["describe", address],
        ["describe", "-m", address, address],
        ["pull", address],
        [address],
        ["describe", f"--{address}"],
        ["classify", "--labels", "a,b", address],
        ["chat", address],
        ["watch", address],
        ["search", "--image", address],
        ["describe", "x.jpg", "-r", address],
    ):
        result = run(capsys, *line)
        assert result.code == 2 and 20 < len(result.line) < 1000, line
    assert main(["describe", address, address + "B", "--json"]) == 2
    captured = capsys.readouterr()
    assert all(len(json.loads(line)["error"]) < 1000 for line in captured.out.splitlines())
    assert max(map(len, captured.err.splitlines())) < 1000
