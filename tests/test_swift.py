"""examples/swift is Swift by its grammar, and uses the names that packages have.

Nothing here compiles it: what is checked is its syntax (tree-sitter) and every name of a package, a
port or a key that it asks for.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from galago.checkpoints.vlm import open_checkpoint
from tests.helpers.places import TOP

SOURCES = sorted((TOP / "examples" / "swift").rglob("*.swift"))
TEXT = {path.name: path.read_text("utf-8") for path in SOURCES}


def _errors(text: str) -> list[str]:
    tree_sitter = pytest.importorskip("tree_sitter")
    grammar = pytest.importorskip("tree_sitter_swift")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    ahead, found = [parser.parse(text.encode()).root_node], []
    while ahead:
        node = ahead.pop()
        if node.is_error or node.is_missing:
            found.append(f"line {node.start_point[0] + 1}: {node.text.decode()[:60]}")
        ahead += node.children
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_syntax(path: Path) -> None:
    assert not _errors(TEXT[path.name])


def test_mistakes_are_seen() -> None:
    text = TEXT["Captioner.swift"]
    assert _errors(text.replace("-> MLMultiArray", "MLMultiArray ->").replace("func ", "fun ", 1))
    assert _errors(text.replace("{", "", 1))


def test_ports(tiny: Path) -> None:
    """What stands in quotes beside a model are the ports and packages that galago writes."""
    pytest.importorskip("coremltools", reason="needs the extra coreml")
    from galago.export.coreml_folder import APP_TRUNK, ports_of

    known = ports_of(open_checkpoint(tiny), APP_TRUNK)
    ports = {name for one in known.values() for name in one} - {"key_cache", "value_cache"}
    text = TEXT["Captioner.swift"]
    words = {*re.findall(r'"(\w+)": MLMulti', text), *re.findall(r'[(\[:,] ?\s*"(\w+)"', text)}
    packages = {word for word in words if any(name.startswith(word) for name in known)} - ports
    assert packages == {"fastvithd", "projector", "embed_tokens", "decoder"}
    assert words - packages - {"trunk_"} == ports
    assert {"image", "text", "final_emb_1"} <= set(
        re.findall(r'"(\w+)"', TEXT["PhotoSearch.swift"])
    )


def test_keys_of_galago_json() -> None:
    """The example decodes keys that an export writes."""
    block = re.search(r"struct About: Decodable \{(.*?)\}", TEXT["Captioner.swift"], re.S)
    assert block is not None
    folder = (TOP / "galago" / "export" / "coreml_folder.py").read_text("utf-8")
    for key in re.findall(r"let (\w+):", block[1]):
        assert f'"{key}":' in folder, key
