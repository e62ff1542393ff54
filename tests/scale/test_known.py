"""Names that are rows already."""

from __future__ import annotations

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
