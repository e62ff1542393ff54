"""`galago watch`: what a person types and sees."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageGrab

from galago.cli import captions, watch
from galago.cli.captions import Speech
from galago.cli.terminal import write
from galago.errors import OptionError
from galago.text.visible import visible
from tests.helpers.captions import Speaker, cues, records
from tests.helpers.commandline import run, start
from tests.helpers.videos import shots, write_sound, write_video

pytest.importorskip("av", reason="the extra `video` is not installed")

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


def test_only_what_changed_is_described(capsys: Capture, ready: Path, clip: Path) -> None:
    seen = run(capsys, "watch", clip, "-m", ready, *SHORT, "--json", "--stats")
    assert seen.code == 0 and "9 pictures looked at, 3 of them described" in seen.err
    all_of_them = run(capsys, "watch", clip, "-m", ready, *SHORT, "--json", "--stale", "0")
    assert [r["start"] for r in records(all_of_them.out)] == list(range(9))
    found = records(seen.out)
    assert 1 <= len(found) <= 3 and found[0]["start"] == 0
    assert all(one["finish"] == "length" for one in found)
    assert all({"source", "text", "model", "preset", "seconds"} <= set(one) for one in found)
    assert all(a["text"] != b["text"] for a, b in itertools.pairwise(found)), "nor said twice"
    stale = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "2s", "--stats")
    assert "6 of them described" in stale.err


def test_lines_have_times(capsys: Capture, ready: Path, clip: Path) -> None:
    quiet = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "0", "--every", "3s")
    assert quiet.code == 0 and quiet.told == []
    assert quiet.err.splitlines()[1].startswith("0:03.0: the answer was cut at 4 tokens")
    assert [t in quiet.out for t in ("0:00.0  ", "0:03.0  ", "0:06.0  ")] == [True] * 3
    told = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "0", "--every", "3", "--json")
    for record in records(told.out):
        assert visible(str(record["text"])) in quiet.out


def test_webvtt(capsys: Capture, ready: Path, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.vtt"
    told = run(capsys, "watch", clip, "-m", ready, *SHORT, "--json", "--vtt", path)
    starts = [f"00:00:0{int(float(str(r['start'])))}.000" for r in records(told.out)]
    assert [begin for begin, _ in cues(path)] == starts
    assert "--> 00:00:09.000" in path.read_text(), "the last cue ends with the video"
    assert run(capsys, "watch", clip, "-m", ready, *SHORT, "--vtt", path).code == 0, "again"


def test_the_last_cue_of_a_video_that_does_not_tell_its_length(
    capsys: Capture, ready: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.media.video.Video._duration", lambda self: None)
    path = tmp_path / "out.vtt"
    assert run(capsys, "watch", clip, "-m", ready, *SHORT, "--vtt", path).code == 0
    assert "--> 00:00:08.000" in path.read_text(), "it lasts to the last look"


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
@pytest.mark.slow
def test_interrupt_leaves_a_valid_file(ready: Path, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", shots(range(40), 5))
    path = tmp_path / "out.vtt"
    arguments = (long, "-m", ready, "--max-tokens", "40", "--json", "--vtt", path, "--stale", "0")
    process = start("watch", *arguments, "--every", "0")
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.strip() == ""
    assert len(cues(path)) >= 1


def test_a_closed_pipe_is_quiet(
    capsys: Capture, ready: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        result = run(capsys, "watch", clip, "-m", ready, *SHORT, "--json", "--stale", "0")
    assert result.code == 141 and result.err == ""


def test_the_screen(
    capsys: Capture, ready: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ends as a person ends it, by Ctrl-C, here in the middle of the fourth look."""
    shown = iter(["red", "red", "blue"])

    def grab() -> Image.Image:
        color = next(shown, None)
        if color is None:
            raise KeyboardInterrupt
        return Image.new("RGB", (64, 64), color)

    monkeypatch.setattr(ImageGrab, "grab", grab)
    path = tmp_path / "out.vtt"
    arguments = ("-m", ready, *SHORT, "--every", "10ms", "--stats", "--vtt", path)
    result = run(capsys, "watch", "screen", *arguments)
    assert result.code == 130 and result.out.startswith("0:00.0  ")
    assert len(cues(path)) >= 1


def test_a_video_cut_short(capsys: Capture, ready: Path, half: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.vtt"
    result = run(capsys, "watch", half, "-m", ready, *SHORT, "--json", "--vtt", path)
    assert result.code == 1 and "cut short" in result.line
    assert records(result.out) and cues(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.mp4"], "no such video: none.mp4"),
        (["x.mp4", "--camera", "0"], "not both"),
        (["screen", "--camera", "0"], "not both"),
        (["--camera", "97"], "no camera 97"),
        (["x.mp4", "--every", "soon"], "1s, 500ms or 2m"),
        (["x.mp4", "--stale", "-1"], "1s, 500ms or 2m"),
        (["x.mp4", "--prompt", "a", "--preset", "read"], "not both"),
        (["x.mp4", "--vtt", "nowhere/out.vtt"], "no folder"),
    ],
)
def test_what_is_told_before_a_model_is_loaded(
    capsys: Capture, arguments: list[str], said: str
) -> None:
    result = run(capsys, "watch", *arguments, "-m", "apple/FastVLM-7B")
    assert result.code == 2 and result.out == "" and said in result.line


def test_sound_text_and_a_missing_extra(
    capsys: Capture, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sound(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("Dear diary,\n")
    for verb in ("watch", "describe"):
        never = ("-m", "apple/FastVLM-7B")
        assert "only sound" in run(capsys, verb, tmp_path / "a.mp4", *never).line
        assert "not a video" in run(capsys, verb, tmp_path / "b.mp4", *never).line
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "av", None)
            missing = run(capsys, verb, clip, *never)
        assert missing.code == 2 and "to install the extra video: " in missing.line


def test_a_file_that_is_no_webvtt_is_not_lost(
    capsys: Capture, clip: Path, ready: Path, tmp_path: Path
) -> None:
    """A slip of the fingers: --vtt and the video's own name."""
    path = tmp_path / "clip.mp4"
    shutil.copy(clip, path)
    result = run(capsys, "watch", path, "--vtt", path, "-m", ready)
    assert result.code == 2 and "not a WebVTT file" in result.line
    assert path.read_bytes() == clip.read_bytes()


def test_a_caption_is_held_back_while_it_may_be_the_one_before(capsys: Capture) -> None:
    line = watch._Line(1.0, "a red car")
    written = []
    for part in ("a ", "red ", "bus"):
        line.add(part)
        line.write()
        written.append(capsys.readouterr().out)
    assert written == ["", "", "0:01.0  a red bus"]
    line.write(end=True)
    assert capsys.readouterr().out == "\n"
    shorter = watch._Line(2.0, "a red car")
    shorter.add("a red")
    shorter.write()
    write("|")
    shorter.write(end=True)
    assert capsys.readouterr().out == "|0:02.0  a red\n"


def test_the_last_caption_of_a_video_is_spoken_to_its_end(
    capsys: Capture, ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = Speaker(tmp_path, monkeypatch)
    speaker.let_go()
    clip = write_video(tmp_path / "clip.mp4", shots([1], 5))
    result = run(capsys, "watch", clip, "-m", ready, *SHORT, "--speak")
    assert result.code == 0 and result.told == []
    assert speaker.spoken.exists()


def test_nothing_to_speak_with(
    capsys: Capture, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "_SPEAKERS", {})
    monkeypatch.setattr(captions, "_OTHERS", (["no-such-program"],))
    with pytest.raises(OptionError):
        Speech()
    result = run(capsys, "watch", clip, "--speak", "-m", "apple/FastVLM-7B")
    assert result.code == 2 and "needs no-such-program" in result.line
