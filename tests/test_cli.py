"""What a person types and sees."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import shutil
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from galago.cli.pictures import Picture, expand, for_each, natural
from galago.cli.terminal import Bar
from galago.errors import ImageError
from tests.commandline import COMMAND, run, spawn, start

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


@pytest.fixture
def album(tmp_path: Path, picture: Path) -> Path:
    """A folder with pictures whose names sort differently by letters and by numbers."""
    folder = tmp_path / "album"
    (folder / "deeper").mkdir(parents=True)
    for name in ("page10.jpg", "page2.JPG", "page1.jpg", ".hidden.jpg", "deeper/page3.jpg"):
        shutil.copy(picture, folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_natural_order() -> None:
    assert sorted(["a10", "a9", "A1", "b", "7"], key=natural) == ["7", "A1", "a9", "a10", "b"]


def test_folders_and_globs(album: Path) -> None:
    names = [Path(p.label).name for p in expand([str(album)])]
    assert names == ["page1.jpg", "page2.JPG", "page10.jpg"]
    deep = [Path(p.label).name for p in expand([str(album)], recursive=True)]
    assert deep == ["page3.jpg", *names]
    assert [Path(p.label).name for p in expand([f"{album}/page1*.jpg"])] == [
        "page1.jpg",
        "page10.jpg",
    ]
    assert len(expand([str(album), f"{album}/page1.jpg", str(album)])) == 3
    for nothing in (str(album / "*.png"), str(album / "nowhere*")):
        with pytest.raises(ImageError, match="no picture matches"):
            expand([nothing])


def test_version_and_help(capsys: Capture) -> None:
    from galago.version import __version__

    assert run(capsys, "--version").out == f"galago {__version__}\n"
    assert "describe" in run(capsys, "--help").out
    for verb in ("describe", "chat", "models", "pull"):
        shown = run(capsys, verb, "--help")
        assert shown.code == 0 and "Examples:" in shown.out and f"galago {verb}" in shown.out


def test_describe_streams_text_to_stdout_only(capsys: Capture, ready: Path, picture: Path) -> None:
    quiet = run(capsys, "describe", picture, "-m", ready, *SHORT)
    assert quiet.code == 0 and quiet.out.endswith("\n") and quiet.err == ""
    told = run(capsys, "describe", picture, "-m", ready, *SHORT, "--stats")
    assert told.out == quiet.out
    for word in ("vision", "prefill", "first token", "decode", "tokens", "fp32", "256 px"):
        assert word in told.err


def test_json_has_what_was_promised(capsys: Capture, ready: Path, picture: Path) -> None:
    result = run(capsys, "describe", picture, "-m", ready, *SHORT, "--json", "--preset", "read")
    (line,) = result.out.splitlines()
    record = json.loads(line)
    assert record["picture"] == str(picture)
    assert record["model"] == "tiny" and record["preset"] == "read" and "prompt" not in record
    assert record["resolution"] == 256 and record["precision"] == "fp32"
    assert record["tokens"] == 4 and record["image_tokens"] == 16
    assert record["time_to_first_token"] > 0 and record["tokens_per_second"] > 0
    assert set(record["seconds"]) == {"vision", "prefill", "decode"}
    assert record["peak_memory_mb"] is None or record["peak_memory_mb"] > 10
    asked = run(capsys, "describe", picture, "-m", ready, *SHORT, "--json", "-p", "Why?")
    assert json.loads(asked.out)["prompt"] == "Why?" and "preset" not in json.loads(asked.out)


def test_json_text_is_the_streamed_text(capsys: Capture, ready: Path, picture: Path) -> None:
    plain = run(capsys, "describe", picture, "-m", ready, *SHORT).out
    record = json.loads(run(capsys, "describe", picture, "-m", ready, *SHORT, "--json").out)
    assert record["text"] == plain.removesuffix("\n")


def test_options_reach_the_model(capsys: Capture, ready: Path, picture: Path) -> None:
    def ask(*more: str) -> dict[str, object]:
        out = run(capsys, "describe", picture, "-m", ready, *SHORT, "--json", *more).out
        record: dict[str, object] = json.loads(out)
        return record

    assert ask("--resolution", "320")["image_tokens"] == 25
    assert ask("--resolution", "320")["resolution"] == 320
    assert ask("--resolution", "auto")["resolution"] == 256
    warm = ("--temperature", "2", "--top-p", "0.95")
    same = {str(ask(*warm, "--seed", "1")["text"]) for _ in range(2)}
    assert len(same) == 1
    assert len({str(ask(*warm, "--seed", str(s))["text"]) for s in range(4)}) > 1
    assert ask("--threads", "1")["text"] == ask()["text"]


def test_picture_from_stdin(
    capsys: Capture, ready: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(capsys, "describe", picture, "-m", ready, *SHORT).out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    result = run(capsys, "describe", "-", "-m", ready, *SHORT, "--json")
    record = json.loads(result.out)
    assert record["picture"] == "-" and record["text"] == expected.removesuffix("\n")


def test_many_pictures_are_named(capsys: Capture, ready: Path, album: Path) -> None:
    result = run(capsys, "describe", album, "-m", ready, *SHORT)
    starts = [line for line in result.out.splitlines() if line.startswith(str(album))]
    assert result.code == 0 and len(starts) == 3


def test_many_are_answered_as_each_alone(capsys: Capture, ready: Path, album: Path) -> None:
    """The next picture is opened while one is answered; a bad one waits for its turn."""
    from PIL import Image

    (album / "page5.png").write_bytes(b"no picture")
    Image.new("RGB", (300, 200), "red").save(album / "page2.JPG")
    files = [picture.label for picture in expand([str(album)])]
    together = run(capsys, "describe", *files, "-m", ready, *SHORT, "--json")
    records = [json.loads(line) for line in together.out.splitlines()]
    assert [record["picture"] for record in records] == files and together.code == 1
    for record in records:
        alone = run(capsys, "describe", record["picture"], "-m", ready, *SHORT)
        assert alone.out == (f"{record['text']}\n" if "text" in record else "")
        if "text" in record:
            assert record["time_to_first_token"] > record["seconds"]["vision"] > 0


def test_one_bad_picture_of_many(capsys: Capture, ready: Path, album: Path) -> None:
    (album / "page4.jpg").write_text("hello")
    result = run(capsys, "describe", album, album / "gone.jpg", "-m", ready, *SHORT, "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1 and len(records) == 5
    assert [Path(r["picture"]).name for r in records if "error" in r] == ["page4.jpg", "gone.jpg"]
    assert "page4.jpg" in result.err and "gone.jpg" in result.err
    assert "2 of 5" in result.err and "Traceback" not in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prompt", "a", "--preset", "read"], "not both"),
        (["--prompt", "  "], "empty"),
        (["--preset", "nonsense"], "choose one of describe"),
        (["--to", "German"], "--preset translate"),
        (["--resolution", "300"], "multiple of 64"),
        (["--resolution", "2048"], "multiple of 64"),
        (["--resolution", "large"], "neither a number of pixels nor auto"),
        (["--precision", "int3"], "int4"),
        (["--threads", "0"], "threads"),
        (["--temperature", "-1"], "temperature"),
        (["--top-p", "1.5"], "top"),
        (["--max-tokens", "-1"], "max"),
        (["-m", "fastvlm-nanoo"], "did you mean fastvlm-nano?"),
        (["-m", "./nowhere"], "no folder"),
        (["-m", "apple/FastVLM-7B"], "galago pull apple/FastVLM-7B"),
    ],
)
def test_bad_options(
    capsys: Capture, tiny: Path, picture: Path, options: list[str], said: str
) -> None:
    model = [] if "-m" in options else ["-m", str(tiny)]
    result = run(capsys, "describe", picture, *model, *options)
    assert result.code == 2 and result.out == "" and said in result.line


def test_usage_errors(capsys: Capture) -> None:
    assert run(capsys, "describe").code == 2
    assert run(capsys, "describe", "x.jpg", "--nonsense").code == 2
    assert run(capsys, "nonsense").code == 2


def test_debug_shows_the_traceback(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, ready: Path
) -> None:
    monkeypatch.setenv("GALAGO_DEBUG", "1")
    with pytest.raises(ImageError):
        run(capsys, "describe", "none.jpg", "-m", ready)


def test_a_fault_of_ours_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, ready: Path, picture: Path
) -> None:
    from galago.vlm.fastvlm import FastVLM

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(FastVLM, "stream", broken)
    result = run(capsys, "describe", picture, "-m", ready)
    assert result.code == 3 and "GALAGO_DEBUG=1" in result.line


def test_models(capsys: Capture) -> None:
    table = run(capsys, "models").out
    for word in ("fastvlm-nano", "embedded", "apple/FastVLM-0.5B", "1.5 GB", "apple-amlr"):
        assert word in table
    records = [json.loads(line) for line in run(capsys, "models", "--json").out.splitlines()]
    assert {"model", "here", "licence", "bytes"} <= set(records[0])


def test_models_lists_what_was_converted_here(capsys: Capture, tiny: Path) -> None:
    assert run(capsys, "pull", tiny, "--precision", "int8").code == 0
    *_, last = run(capsys, "models").out.splitlines()
    assert last.startswith("tiny") and "int8" in last and str(tiny) in last


def test_chat_answers_line_by_line(ready: Path, picture: Path) -> None:
    asked = "What is it?\n\n/help\nAnd this?\n/new\nAgain?\n/open nowhere.jpg\n/quit\nNever.\n"
    result = spawn("chat", picture, "-m", ready, *SHORT, stdin=asked)
    assert result.code == 0, result.err
    assert "/open PICTURE" in result.err and "nowhere.jpg" in result.err
    assert result.out.count("\n") >= 3 and "Traceback" not in result.err


def test_chat_ends_with_its_input(ready: Path, picture: Path) -> None:
    result = spawn("chat", picture, "-m", ready, *SHORT, stdin="What is it?")
    assert result.code == 0 and result.out.endswith("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("key", "code"), [(b"\x04", 0), (b"\x03", 130)])
def test_chat_at_a_terminal(ready: Path, picture: Path, key: bytes, code: int) -> None:
    import pty

    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [*COMMAND, "chat", str(picture), "-m", str(ready), *SHORT])
    seen = b""
    while b"> " not in seen:
        seen += os.read(terminal, 4096)
    with contextlib.suppress(OSError):  # what Linux says when the other end is gone
        for _ in range(60):
            # A key that comes before readline has set up the terminal is lost: press it again.
            os.write(terminal, key)
            while select.select([terminal], [], [], 1)[0]:
                if not (piece := os.read(terminal, 4096)):
                    raise OSError("the other end is gone")
                seen += piece
        os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    assert b"/help lists commands" in seen and b"Traceback" not in seen


def test_chat_needs_a_picture(capsys: Capture, ready: Path) -> None:
    assert "no such picture" in run(capsys, "chat", "none.jpg", "-m", ready).line
    assert "stdin" in run(capsys, "chat", "-", "-m", ready).line


def test_a_closed_pipe_is_quiet(ready: Path, picture: Path, tmp_path: Path) -> None:
    for index in range(40):
        shutil.copy(picture, tmp_path / f"{index}.jpg")
    process = start("describe", tmp_path, "-m", ready, "--json", *SHORT)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_interrupt_ends_cleanly(ready: Path, picture: Path, tmp_path: Path) -> None:
    for index in range(400):
        shutil.copy(picture, tmp_path / f"{index}.jpg")
    process = start("describe", tmp_path, "-m", ready, "--json", "--max-tokens", "40")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.strip() == ""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("galago de", "describe"),
        ("galago describe x.jpg -m fast", "fastvlm-nano"),
        ("galago describe x.jpg --preset re", "read"),
        ("galago describe x.jpg --precision int", "int8"),
    ],
)
def test_shell_completion(words: str, offered: str) -> None:
    count = str(len(words.split()) - 1)
    result = spawn(_GALAGO_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count)
    assert offered in result.out.split()


def test_an_unsure_demonstration_model_says_so_once(capsys: Capture) -> None:
    from galago.cli import options

    options._noted.clear()
    options.doubt("fastvlm-nano", 0.99)
    options.doubt("apple/FastVLM-0.5B", 0.01)
    assert not capsys.readouterr().err
    options.doubt("fastvlm-nano", 0.1)
    options.doubt("fastvlm-nano", 0.1)
    err = capsys.readouterr().err
    assert err.count("small demonstration model") == 1
    assert "galago pull apple/FastVLM-0.5B" in err


def test_many_pictures_are_made_ready_a_few_at_once_and_told_in_order() -> None:
    pictures = [Picture(f"{n}.jpg", b"") for n in range(12)]
    here = threading.Barrier(4)
    begun: list[str] = []
    told: list[str] = []

    def ready(_: None, picture: Picture, stop: threading.Event) -> str:
        begun.append(picture.label)
        here.wait(30)  # four are at work at once, or this breaks
        return picture.label.upper()

    def work(_: None, picture: Picture, bar: Bar) -> None:
        assert len(begun) <= len(told) + 5
        told.append(picture.source)

    assert for_each(pictures, lambda: None, work, as_json=False, ready=ready) == 0
    assert told == [f"{n}.JPG" for n in range(12)]


def test_what_is_made_ready_ends_when_the_work_is_broken_off() -> None:
    pictures = [Picture(f"{n}.jpg", b"") for n in range(40)]
    begun: list[str] = []

    def ready(_: None, picture: Picture, stop: threading.Event) -> None:
        begun.append(picture.label)
        if picture.label != "0.jpg":
            assert stop.wait(30)

    def work(_: None, picture: Picture, bar: Bar) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each(pictures, lambda: None, work, as_json=False, ready=ready)
    assert len(begun) <= 5


def test_a_second_interrupt_while_threads_end_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = [Picture(f"{n}.jpg", b"") for n in range(3)]
    ignored: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", ignored.append)

    class Interrupted(ThreadPoolExecutor):
        def __exit__(self, *error: Any) -> None:
            super().__exit__(*error)
            raise KeyboardInterrupt

    monkeypatch.setattr("galago.cli.pictures.ThreadPoolExecutor", Interrupted)

    def work(_: None, picture: Picture, bar: Bar) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each(pictures, lambda: None, work, as_json=False, ready=lambda *_: None)
    assert not ignored


def test_no_picture_is_looked_at_after_an_interrupt(picture: Path) -> None:
    from galago.cli.describe import _Ahead
    from galago.cli.questions import Asked
    from galago.vlm.sampling import SamplingOptions

    stop, inside = threading.Event(), threading.Event()
    looked: list[Any] = []

    class Model:
        resolution = 64

        def encode(self, opened: Any) -> Any:
            looked.append(opened)
            inside.set()
            assert stop.wait(30)
            return opened

        def stream(self, *_: Any) -> Any:
            raise AssertionError("asked after the interrupt")

    question = Asked("what?").question(SamplingOptions(), as_json=False, stats=False)
    ahead: Any = _Ahead(question)
    with ThreadPoolExecutor(3) as pool:
        coming = [
            pool.submit(ahead, Model(), Picture("one", picture.read_bytes()), stop)
            for _ in range(3)
        ]
        assert inside.wait(30)
        stop.set()
        assert [one.result(30) for one in coming] == [None] * 3
    assert len(looked) == 1
