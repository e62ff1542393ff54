"""Where captions go besides stdout: a WebVTT file, and the loudspeaker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from galago.cli import captions
from galago.cli.captions import Speech, WebVTT
from galago.errors import StorageError
from tests.helpers.captions import Speaker, cues

Capture = pytest.CaptureFixture[str]


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
def speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Speaker:
    return Speaker(tmp_path, monkeypatch)


def test_speech_keeps_up_by_leaving_out(speaker: Speaker) -> None:
    with Speech() as speech:
        for number in range(5):
            speech.show(number, f"caption {number}; $(touch x) -x")
            speech.tick(number)
        speaker.let_go()
    spoken = speaker.spoken.read_text().splitlines()
    assert spoken == ["caption 0; $(touch x) -x", "caption 4; $(touch x) -x"]


def test_speech_stops_at_an_interrupt(speaker: Speaker) -> None:
    """It would go on talking until it is let go."""
    with pytest.raises(KeyboardInterrupt), Speech() as speech:
        speech.show(0, "a long story")
        talking = speech._speaking
        raise KeyboardInterrupt
    assert talking is not None and talking.returncode
    assert not speaker.spoken.exists()


def test_speech_that_fails_says_so_once(
    monkeypatch: pytest.MonkeyPatch, speaker: Speaker, capsys: Capture
) -> None:
    monkeypatch.setattr(captions, "_OTHERS", ([sys.executable, "-c", "raise SystemExit(3)"],))
    with Speech() as speech:
        for number in range(3):
            speech.show(number, "hello")
            assert speech._speaking is not None
            speech._speaking.wait()
    assert capsys.readouterr().err.count("could not speak (exit 3)") == 1
