"""`galago watch`, and `galago describe` of videos: what a person types and sees."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageGrab

from galago.cli import captions, watch
from galago.cli.captions import Speech, WebVTT
from galago.cli.terminal import write
from galago.errors import OptionError, StorageError
from tests.commandline import run, spawn, start
from tests.videos import shots, write_sound, write_unknown, write_video

pytest.importorskip("av", reason="the extra `video` is not installed")

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three views, three seconds each."""
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", shots([1, 2, 3], 30))


@pytest.fixture(scope="module")
def half(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "half.mp4"
    data = clip.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return path


def records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def cues(path: Path) -> list[tuple[str, str]]:
    """Times and text of each cue; the file must be WebVTT as the standard has it."""
    head, *blocks = path.read_text("utf-8").strip().split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        times, *lines = block.split("\n")
        begin, end = times.split(" --> ")
        assert len(begin) == len(end) == 12 and begin < end and lines
        found.append((begin, "\n".join(lines)))
    return found


# -- watch -----------------------------------------------------------------------------------------


def test_only_what_changed_is_described(capsys: Capture, ready: Path, clip: Path) -> None:
    seen = run(capsys, "watch", clip, "-m", ready, *SHORT, "--json", "--stats")
    assert seen.code == 0 and "9 pictures looked at, 3 of them described" in seen.err
    all_of_them = run(capsys, "watch", clip, "-m", ready, *SHORT, "--json", "--stale", "0")
    assert [r["start"] for r in records(all_of_them.out)] == list(range(9))
    found = records(seen.out)
    assert 1 <= len(found) <= 3 and found[0]["start"] == 0
    assert all({"source", "text", "model", "preset", "seconds"} <= set(one) for one in found)
    assert all(a["text"] != b["text"] for a, b in itertools.pairwise(found)), "nor said twice"
    stale = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "2s", "--stats")
    assert "6 of them described" in stale.err


def test_lines_have_times(capsys: Capture, ready: Path, clip: Path) -> None:
    quiet = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "0", "--every", "3s")
    assert quiet.code == 0 and quiet.err == ""
    assert [t in quiet.out for t in ("0:00.0  ", "0:03.0  ", "0:06.0  ")] == [True] * 3
    told = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "0", "--every", "3", "--json")
    for record in records(told.out):
        assert str(record["text"]) in quiet.out


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
def test_interrupt_leaves_a_valid_file(ready: Path, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", shots(range(40), 15))
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


def test_a_closed_pipe_is_quiet(ready: Path, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", shots(range(20), 15))
    process = start("watch", long, "-m", ready, *SHORT, "--json", "--stale", "0", "--every", "0")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""


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
        assert missing.code == 2 and "pip install 'galago[video]'" in missing.line


def test_a_file_that_is_no_webvtt_is_not_lost(
    capsys: Capture, clip: Path, ready: Path, tmp_path: Path
) -> None:
    """A slip of the fingers: --vtt and the video's own name."""
    path = tmp_path / "clip.mp4"
    shutil.copy(clip, path)
    result = run(capsys, "watch", path, "--vtt", path, "-m", ready)
    assert result.code == 2 and "not a WebVTT file" in result.line
    assert path.read_bytes() == clip.read_bytes()


# -- where captions go -----------------------------------------------------------------------------


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


def test_webvtt_is_valid_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "out.vtt"
    with WebVTT(path) as vtt:
        assert not path.exists(), "nothing before the first caption"
        vtt.show(0.0, "one & <two> --> three\n\n\nfour\t five")
        assert cues(path) == []
        vtt.tick(2.0)
        vtt.show(3661.5, "  ")
        assert cues(path) == [("00:00:00.000", "one &amp; &lt;two&gt; --&gt; three\nfour five")]
        vtt.show(3662.0, "last")
    assert [begin for begin, _ in cues(path)][1:] == ["01:01:02.000"]
    assert "01:01:02.000 --> 01:01:02.100" in path.read_text()


def test_webvtt_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no folder"):
        WebVTT(tmp_path / "none" / "out.vtt")
    with pytest.raises(StorageError, match="can't be written"):
        WebVTT(tmp_path)
    if Path("/dev/full").exists():
        full = tmp_path / "full.vtt"
        full.symlink_to("/dev/full")
        with pytest.raises(StorageError, match="No space left"):
            WebVTT(full).show(0, "a")


@pytest.fixture
def speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program that writes down what it is given to say, slowly."""
    spoken = tmp_path / "spoken"
    code = (
        "import sys, time; text = sys.stdin.read(); time.sleep(0.3); "
        f"open({str(spoken)!r}, 'a').write(text)"
    )
    monkeypatch.setattr(captions, "_OTHERS", ([sys.executable, "-c", code],))
    monkeypatch.setattr(captions, "_SPEAKERS", {})
    yield spoken


def test_speech_keeps_up_by_leaving_out(speaker: Path) -> None:
    with Speech() as speech:
        for number in range(5):
            speech.show(number, f"caption {number}; $(touch x) -x")
            speech.tick(number)
    spoken = speaker.read_text().splitlines()
    assert spoken == ["caption 0; $(touch x) -x", "caption 4; $(touch x) -x"]


def test_the_last_caption_of_a_video_is_spoken_to_its_end(
    capsys: Capture, ready: Path, tmp_path: Path, speaker: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", shots([1], 5))
    result = run(capsys, "watch", clip, "-m", ready, *SHORT, "--speak")
    assert result.code == 0 and result.err == ""
    assert speaker.exists()


def test_speech_stops_at_an_interrupt(speaker: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Speech() as speech:
        speech.show(0, "a long story")
        raise KeyboardInterrupt
    time.sleep(0.6)  # a program that went on talking would have written by now
    assert not speaker.exists()


def test_speech_that_fails_says_so_once(
    monkeypatch: pytest.MonkeyPatch, speaker: Path, capsys: Capture
) -> None:
    monkeypatch.setattr(captions, "_OTHERS", ([sys.executable, "-c", "raise SystemExit(3)"],))
    with Speech() as speech:
        for number in range(3):
            speech.show(number, "hello")
            assert speech._speaking is not None
            speech._speaking.wait()
    assert capsys.readouterr().err.count("could not speak (exit 3)") == 1


def test_nothing_to_speak_with(
    capsys: Capture, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "_SPEAKERS", {})
    monkeypatch.setattr(captions, "_OTHERS", (["no-such-program"],))
    with pytest.raises(OptionError):
        Speech()
    result = run(capsys, "watch", clip, "--speak", "-m", "apple/FastVLM-7B")
    assert result.code == 2 and "needs no-such-program" in result.line


# -- describe --------------------------------------------------------------------------------------


def test_a_caption_for_each_scene(capsys: Capture, ready: Path, clip: Path) -> None:
    result = run(capsys, "describe", clip, "-m", ready, *SHORT)
    assert result.code == 0 and result.err == ""
    for times in ("0:00.0-0:03.0  ", "0:03.0-0:06.0  ", "0:06.0-0:09.0  "):
        assert result.out.count(times) == 1


def test_videos_among_pictures(
    capsys: Capture, ready: Path, clip: Path, picture: Path, tmp_path: Path
) -> None:
    shutil.copy(clip, tmp_path / "b.mp4")
    shutil.copy(picture, tmp_path / "a.jpg")
    shutil.copy(picture, tmp_path / "c.jpg")
    every = run(capsys, "describe", f"{tmp_path}/*", "-m", ready, *SHORT, "--json")
    found = records(every.out)
    assert [Path(str(r["picture"])).name for r in found] == ["a.jpg", *["b.mp4"] * 3, "c.jpg"]
    assert [r.get("start") for r in found] == [None, 0.0, 3.0, 6.0, None]
    assert all(float(str(r["start"])) <= float(str(r["frame"])) for r in found[1:4])
    named = run(capsys, "describe", tmp_path / "a.jpg", tmp_path / "b.mp4", "-m", ready, *SHORT)
    assert f"{tmp_path}/b.mp4 0:03.0-0:06.0: " in named.out
    folder = run(capsys, "describe", tmp_path, "-m", ready, *SHORT, "--json")
    assert len(records(folder.out)) == 2, "a folder's videos are left out"


def test_bad_videos_among_pictures(
    capsys: Capture, ready: Path, half: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("hello")
    many = run(capsys, "describe", half, tmp_path / "bad.mp4", picture, "-m", ready, *SHORT)
    assert many.code == 1 and "2 of 3" in many.err and "0:00.0-0:03.0" in many.out
    lone = run(capsys, "describe", half, "-m", ready, *SHORT)
    assert lone.code == 1 and "cut short" in lone.line and "0:00.0-0:03.0" in lone.out


def test_a_video_in_an_unknown_format_stops_no_others(
    capsys: Capture, ready: Path, picture: Path, tmp_path: Path
) -> None:
    odd = write_unknown(tmp_path / "odd.mkv")
    many = run(capsys, "describe", odd, picture, "-m", ready, *SHORT)
    assert many.code == 1 and "can't decode" in many.err and f"{picture}: " in many.out
    assert "odd.mkv" in run(capsys, "watch", odd, "-m", "apple/FastVLM-7B").line


def test_describe_of_no_video(ready: Path) -> None:
    result = spawn("describe", "none.mp4", "-m", ready)
    assert result.code == 2 and "no such video: none.mp4" in result.line
