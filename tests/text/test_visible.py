"""What strangers wrote, made fit to be shown."""

from __future__ import annotations

import json

from galago.text.visible import brief, json_safe, visible


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert visible("a\x1b[2Jb\x07\x7f\x9b") == r"a\x1b[2Jb\x07\x7f\x9b"
    assert visible("cod\u202egpj.exe\u2066\u2029") == r"cod\u202egpj.exe\u2066\u2029"
    assert visible("bad\udcff\ud800") == r"bad\xff\ud800"
    assert visible("a\nb\tc\rd") == r"a\x0ab\x09c\x0dd"
    assert visible("a\nb\tc\rd", lines=True) == "a\nb\tc\\x0dd"


def test_honest_writing_stays() -> None:
    for text in (
        "plain [bold]",
        "写真\u3000です",
        "👩\u200d👧 🏴",
        "می\u200cخواهم",
        "co\u00adop",
        "1\u00a0kg",
    ):
        assert visible(text) == text and json_safe(text) == text


def test_json_means_the_same() -> None:
    record = {"a": "\x1b\x9b\x7f\u202e\udcff é 写"}
    text = json_safe(json.dumps(record, ensure_ascii=False))
    assert json.loads(text) == record and "é 写" in text
    assert not any(steering in text for steering in "\x1b\x9b\x7f\u202e\udcff")


def test_messages_are_bounded() -> None:
    address = "data:image/png;base64," + "A" * 23_000
    told = brief(f"no such picture: {address}; check the name")
    assert len(told) < 400 and "…" in told
    assert told.startswith("no such picture: data:image/png") and told.endswith("check the name")
    assert len(brief("word " * 5000)) < 2000
    usual = "/home/somebody/" + "folder/" * 30 + "photo.jpg is no picture"
    assert brief(usual) == usual
