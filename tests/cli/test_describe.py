"""`galago describe`: what a person types and sees."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from galago.cli.describe import _Ahead
from galago.cli.pictures import Picture, expand
from galago.cli.questions import Asked
from galago.text.visible import visible
from galago.vlm.sampling import SamplingOptions
from tests.helpers.commandline import run, start
from tests.helpers.running import unchecked

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


def test_describe_streams_text_to_stdout_only(capsys: Capture, ready: Path, picture: Path) -> None:
    quiet = run(capsys, "describe", picture, "-m", ready, *SHORT)
    assert quiet.code == 0 and quiet.out.endswith("\n") and quiet.told == []
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
    assert record["finish"] == "length" and result.err == ""
    assert record["time_to_first_token"] > 0 and record["tokens_per_second"] > 0
    assert set(record["seconds"]) == {"vision", "prefill", "decode"}
    assert record["peak_memory_mb"] is None or record["peak_memory_mb"] > 10
    asked = run(capsys, "describe", picture, "-m", ready, *SHORT, "--json", "-p", "Why?")
    assert json.loads(asked.out)["prompt"] == "Why?" and "preset" not in json.loads(asked.out)


def test_an_answer_that_was_cut_is_told(
    capsys: Capture, ready: Path, picture: Path, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = "the answer was cut at 4 tokens; --max-tokens gives it more\n"
    assert run(capsys, "describe", picture, "-m", ready, *SHORT).err == cut
    many = run(capsys, "describe", pages, "-m", ready, *SHORT).err
    assert many.count(cut) == 3 and all(
        line.startswith(f"{pages}/page") for line in many.splitlines()
    )
    # Whatever it says, it says it again.
    monkeypatch.setattr("galago.vlm.speaker.make_sampler", lambda _: lambda logits: 70)
    long = ("describe", picture, "-m", ready, "--max-tokens", "200")
    round_and_round = run(capsys, *long)
    assert "went round in circles and was cut; --repetition-penalty" in round_and_round.err
    assert len(set(round_and_round.out.strip())) == 1 and len(round_and_round.out) < 20
    assert json.loads(run(capsys, *long, "--json").out)["finish"] == "repetition"
    kept = json.loads(run(capsys, *long, "--json", "--keep-repetition").out)
    assert kept["finish"] == "length" and kept["tokens"] == 200


def test_json_text_is_the_streamed_text(capsys: Capture, ready: Path, picture: Path) -> None:
    plain = run(capsys, "describe", picture, "-m", ready, *SHORT).out
    record = json.loads(run(capsys, "describe", picture, "-m", ready, *SHORT, "--json").out)
    assert visible(record["text"], lines=True) == plain.removesuffix("\n")


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
    for narrow in (("--top-k", "1"), ("--min-p", "1")):
        assert ask(*warm, *narrow)["text"] == ask()["text"]
    assert ask("--repetition-penalty", "0.1")["text"] != ask()["text"]  # says the first again


def test_picture_from_stdin(
    capsys: Capture, ready: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(capsys, "describe", picture, "-m", ready, *SHORT).out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    result = run(capsys, "describe", "-", "-m", ready, *SHORT, "--json")
    record = json.loads(result.out)
    assert record["picture"] == "-" and visible(record["text"], lines=True) == expected[:-1]


def test_many_pictures_are_named(capsys: Capture, ready: Path, pages: Path) -> None:
    result = run(capsys, "describe", pages, "-m", ready, *SHORT)
    starts = [line for line in result.out.splitlines() if line.startswith(str(pages))]
    assert result.code == 0 and len(starts) == 3


def test_many_are_answered_as_each_alone(capsys: Capture, ready: Path, pages: Path) -> None:
    """The next picture is opened while one is answered; a bad one waits for its turn."""
    (pages / "page5.png").write_bytes(b"no picture")
    Image.new("RGB", (300, 200), "red").save(pages / "page2.JPG")
    files = [picture.label for picture in expand([str(pages)])]
    together = run(capsys, "describe", *files, "-m", ready, *SHORT, "--json")
    records = [json.loads(line) for line in together.out.splitlines()]
    assert [record["picture"] for record in records] == files and together.code == 1
    for record in records:
        alone = run(capsys, "describe", record["picture"], "-m", ready, *SHORT)
        told = visible(record["text"], lines=True) + "\n" if "text" in record else ""
        assert alone.out == told
        if "text" in record:
            assert record["time_to_first_token"] > record["seconds"]["vision"] > 0


def test_one_bad_picture_of_many(capsys: Capture, ready: Path, pages: Path) -> None:
    (pages / "page4.jpg").write_text("hello")
    result = run(capsys, "describe", pages, pages / "gone.jpg", "-m", ready, *SHORT, "--json")
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
        (["--top-k", "-1"], "top-k -1"),
        (["--min-p", "1.5"], "min-p 1.5"),
        (["--repetition-penalty", "0"], "repetition penalty 0"),
        (["--max-tokens", "-1"], "max"),
        (["--max-tokens", "0"], "use 1 or more"),
        (["-m", "fastvlm-nanoo"], "did you mean fastvlm-nano?"),
        (["-m", "./nowhere"], "no folder"),
        (["-m", "apple/FastVLM-7B"], "galago pull apple/FastVLM-7B"),
    ],
)
def test_bad_options(
    capsys: Capture, tiny: Path, ready: Path, picture: Path, options: list[str], said: str
) -> None:
    model = [] if "-m" in options else ["-m", str(tiny if "--precision" in options else ready)]
    result = run(capsys, "describe", picture, *model, *options)
    assert result.code == 2 and result.out == "" and said in result.line


@pytest.mark.slow
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
@pytest.mark.slow
def test_interrupt_ends_cleanly(ready: Path, picture: Path, tmp_path: Path) -> None:
    for index in range(100):
        shutil.copy(picture, tmp_path / f"{index}.jpg")
    process = start("describe", tmp_path, "-m", ready, "--json", "--max-tokens", "40")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.strip() == ""


def test_no_picture_is_looked_at_after_an_interrupt(picture: Path) -> None:
    stop, inside = threading.Event(), threading.Event()
    looked: list[Any] = []

    class Model:
        def prepare(self, source: Any, **_: Any) -> Any:
            return source

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


def test_describe_shows_the_figures_of_a_conversion_it_made(
    capsys: Capture, tiny: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked(monkeypatch)
    first = run(capsys, "describe", picture, "-m", tiny, "--max-tokens", "1")
    assert first.err.count("self-check passed") == 1
    assert run(capsys, "describe", picture, "-m", tiny, "--max-tokens", "1").told == []
