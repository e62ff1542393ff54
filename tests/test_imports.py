"""What tools/imports.py says of imports, on graphs drawn by hand and on galago's own."""

from __future__ import annotations

from tools.imports import PACKAGE, by_room, circles, dotted, imported, longest, room_of

CHAIN = {"a.one": {"a.two", "b.one"}, "a.two": {"b.one"}, "b.one": {"c"}, "c": set()}
CIRCLE = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}


def test_circles_the_largest_first() -> None:
    assert circles(CHAIN) == []
    assert circles(CIRCLE) == [["a", "b", "c"], ["d", "e"]]


def test_the_longest_chain_counts_a_circle_whole() -> None:
    assert longest(CHAIN) == ["a.one", "a.two", "b.one", "c"]
    assert longest(CIRCLE) == ["f", "a", "b", "c", "d", "e"]


def test_rooms_import_as_their_modules_do() -> None:
    assert by_room(CHAIN) == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert room_of("disk") == room_of("places") == "ground" and room_of("vlm.speaker") == "vlm"


def test_names_of_modules_and_what_they_import() -> None:
    assert dotted(PACKAGE / "engine" / "network.py") == "engine.network"
    assert dotted(PACKAGE / "engine" / "__init__.py") == "engine" and not dotted(
        PACKAGE / "__init__.py"
    )
    found = imported(PACKAGE / "engine" / "network.py")
    assert {"galago.engine.graph_cache", "galago.engine.runtime", "numpy"} <= found
