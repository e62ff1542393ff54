"""The rules of the house: who may import whom, what loads when, how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tools.imports import GROUND, PACKAGE, circles, dotted, graph, imported, room_of

TOP = PACKAGE.parent

# room -> the rooms it may import, besides the ground. docs/architecture.md explains the plan.
ROOMS: dict[str, set[str]] = {
    "media": set(),
    "text": set(),
    "checkpoints": set(),
    "hub": {"checkpoints"},
    "engine": {"checkpoints"},
    "convert": {"engine", "checkpoints", "hub", "media", "text"},
    "clip": {"engine", "checkpoints", "hub", "media", "text"},
    "vlm": {"media", "text"},
    "album": {"media"},  # a model is passed in
    "server": {"media", "text", "vlm"},  # models and the album are passed in
    "llm": {"text", "vlm"},
    "train": {"checkpoints", "engine", "convert", "hub", "media", "text", "vlm", "clip"},
    "bench": {"checkpoints", "engine", "convert", "hub", "album", "vlm", "clip"},
    "__main__": {"cli"},
    # The public names.
    "": {"text", "vlm", "clip"},
}
# What a single module may import beyond its room's, or the only ones that may be imported of a room.
ALSO = {"vlm.loading": {"hub", "convert", "engine"}}
ONLY = {
    ("hub", "checkpoints"): {"checkpoints.folders"},
    ("server", "vlm"): {"vlm.reply", "vlm.sampling"},
}
# The ground stands on itself: only these of it may be imported there.
FOUNDATION = {"errors", "specs", "places"}
FREE = {"cli"}  # it may import anything, heavy things inside functions

ENGINES = {
    "openvino": {"engine.runtime"},
    "av": {"media.frames", "media.video", "media.camera"},
    "huggingface_hub": {"hub.fetch"},
}
HEAVY = {"torch", "torchvision", "timm", "transformers", "open_clip", "onnxruntime"}
WITH_TORCH = {"train", "bench"}  # in the extras of those names

EDGES = graph()


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def allowed(module: str, target: str) -> bool:
    """Whether one module of galago may import another."""
    room, other = room_of(module), room_of(target)
    if room == "ground":
        return target in FOUNDATION
    if other == "ground" or (other == room and other not in ("", "__main__")):
        return True
    if room in FREE:
        return other != ""
    if other not in ROOMS[room] | ALSO.get(module, set()):
        return False
    return target in ONLY.get((room, other), {target})


@pytest.mark.parametrize("module", sorted(EDGES))
def test_rooms_import_only_what_they_may(module: str) -> None:
    room = room_of(module)
    assert room in {"ground", *ROOMS, *FREE}, f"{room} is a new room: give it a line in ROOMS"
    for target in sorted(EDGES[module]):
        assert allowed(module, target), f"{module} may not import galago.{target}"


def test_there_is_no_circle() -> None:
    assert circles(EDGES) == []


def test_the_root_is_an_entrance_not_a_corridor() -> None:
    names = {path.stem for path in PACKAGE.glob("*.py")}
    assert names == {"__init__", "__main__", "llm"} | GROUND and len(names) <= 12


@pytest.mark.parametrize("room", sorted(path for path in PACKAGE.rglob("*") if path.is_dir()))
def test_every_room_says_why_it_exists(room: Path) -> None:
    if not any(room.glob("*.py")):
        return
    tree = ast.parse((room / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree), room
    # albums and the server are packages that people import by their names
    public = room.name in ("galago", "album", "server")
    assert public or len(tree.body) == 1, f"{room.name}/__init__.py is more than a docstring"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_engines_stay_in_their_rooms(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    for engine, places in ENGINES.items():
        assert engine not in tops or dotted(path) in places, f"{path} imports {engine}"
    if room_of(dotted(path)) not in WITH_TORCH:
        assert not tops & HEAVY, f"{path} imports {tops & HEAVY}"


def test_telemetry_and_conversion_tools_are_not_used() -> None:
    for path in modules():
        for name in imported(path):
            assert not name.startswith(("nncf", "openvino.tools", "openvino_telemetry")), path


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, check=True
    )
    return done.stdout.strip()


LOADED = "print(*sorted({m.split('.')[0] for m in __import__('sys').modules}))"
ENGINE_ROOM = {"torch", "openvino", "PIL", "tokenizers", "huggingface_hub", "numpy"}


def test_import_loads_no_engine() -> None:
    loaded = set(fresh(f"import galago; {LOADED}").split())
    assert not loaded & ENGINE_ROOM


def test_help_loads_no_engine() -> None:
    code = f"from galago.cli.main import main; main(['--help']); {LOADED}"
    loaded = set(fresh(code).splitlines()[-1].split())
    assert not loaded & ENGINE_ROOM


@pytest.mark.parametrize("module", ["galago.vlm.fastvlm", "galago.clip.mobileclip", "galago.album"])
def test_models_and_albums_load_no_engine_before_they_need_it(module: str) -> None:
    loaded = set(fresh(f"import {module}; {LOADED}").split())
    assert not loaded & {"torch", "openvino", "huggingface_hub"}


def test_public_names_load() -> None:
    assert fresh("import galago\nfor n in galago.__all__: getattr(galago, n)\nprint('ok')") == "ok"


def test_only_the_command_line_prints_and_exits() -> None:
    for path in modules():
        # a trainer and the processes of a benchmark are programs of their own
        if room_of(dotted(path)) in ("cli", "train", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "sys.exit", "exit"), f"{path}:{node.lineno}"


def test_docs_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(TOP / "tools" / "docs.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_lengths() -> None:
    """Files of at most 400 lines, tests too; warns from 50 lines a function, fails at 80."""
    long = []
    others = [*(TOP / "tools").glob("*.py"), *(TOP / "tests").rglob("*.py")]
    for path in [*modules(), *sorted(others)]:
        text = path.read_text("utf-8")
        lines = len(text.splitlines())
        name = path.relative_to(TOP)
        assert lines <= 400, f"{name} has {lines} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                if size > 50:
                    long.append(f"{name}: {node.name} {size} lines")
                assert size <= 80, f"{name}: {node.name} has {size} lines"
    if long:
        warnings.warn("; ".join(long), stacklevel=1)
