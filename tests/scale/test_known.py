"""Names that are rows already."""

from __future__ import annotations

import random

import pytest

from galago.scale import known as module
from galago.scale.known import Known


def test_a_name_is_new_once() -> None:
    known = Known([b"/a.jpg"])
    assert b"/a.jpg" in known and b"/b.jpg" not in known
    assert not known.meet(b"/a.jpg")
    assert known.meet(b"/b.jpg") and not known.meet(b"/b.jpg")
    assert len(known) == 2


def test_names_that_are_no_text_are_told_apart() -> None:
    known = Known([b"/n\xe9.jpg"])
    assert b"/n\xe8.jpg" not in known and b"/n\\xe9.jpg" not in known


@pytest.mark.parametrize("alike", [False, True], ids=["as they are", "first halves alike"])
def test_as_a_set_whatever_is_in_order(alike: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECENT", 8)
    real = module._digest
    if alike:
        monkeypatch.setattr(
            module, "_digest", lambda name: bytes([real(name)[0] & 7] * 8) + real(name)[8:]
        )
    chance = random.Random(5)
    names = [str(chance.randrange(3000)).encode() for _ in range(4000)]
    known, plain = Known(names[:1000]), set(names[:1000])
    assert len(known._runs) == 1
    for name in names[1000:]:
        assert known.meet(name) == (name not in plain)
        plain.add(name)
    assert all(name in known for name in plain) and b"other" not in known
    # Few runs, each a few times as long as the next: little is copied, little is looked into.
    lengths = [len(run) for run in known._runs]
    assert len(lengths) <= 6 and lengths == sorted(lengths, reverse=True)
