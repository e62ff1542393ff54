"""The rules of the house: who may import whom, what loads when, how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import cache
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
    "rows": {"media", "text"},
    "album": {"media"},  # a model is passed in
    "scale": {"media", "text", "rows", "album", "vlm", "clip"},
    "server": {"media", "text", "vlm"},  # models and the album are passed in
    "llm": {"text", "vlm"},
    "train": {"checkpoints", "engine", "convert", "hub", "media", "text", "rows", "vlm", "clip"},
    "evaluate": {"media", "text", "rows", "vlm", "clip"},  # models are passed in
    "export": {"checkpoints", "engine", "convert", "hub", "media", "text", "vlm", "clip"},
    "bench": {"checkpoints", "engine", "convert", "hub", "album", "vlm", "clip"},
    "__main__": {"cli"},
    # The public names.
    "": {"media", "text", "vlm", "clip"},
}
# What a single module may import beyond its room's, or the only ones that may be imported of a
# room.
ALSO = {
    "vlm.loading": {"hub", "convert", "engine"},
    "train.clip.shelf": {"scale"},
    "train.clip.ray_work": {"scale"},
}
ONLY = {
    ("hub", "checkpoints"): {"checkpoints.folders"},
    ("train", "scale"): {"scale.addresses", "scale.ray_start"},
    ("server", "vlm"): {"vlm.forms", "vlm.reply", "vlm.sampling"},
}
# The ground stands on itself: only these of it may be imported there.
FOUNDATION = {"errors", "specs", "places"}
FREE = {"cli"}  # it may import anything, heavy things inside functions

ENGINES = {
    "openvino": {"engine.runtime"},
    "coremltools": {"engine.coreml"},
    "av": {"media.frames", "media.video", "media.camera"},
    "huggingface_hub": {"hub.fetch"},
    "onnx": {
        "export.onnx_writer",
        "export.tensor_data",
        "export.fastvlm",
        "export.mobileclip",
        "export.overflow",
        "export.parts",
    },
    "llguidance": {"vlm.forms"},
    "ray": {"scale.ray_serve", "scale.ray_start"},
    "lance": {"scale.lance_table"},
    "fsspec": {"scale.addresses"},
}
HEAVY = {"torch", "torchvision", "timm", "transformers", "open_clip", "onnxruntime"}
WITH_TORCH = {"train", "bench", "evaluate"}  # in the extras of those names


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def edges() -> dict[str, set[str]]:
    return graph()


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


@pytest.mark.parametrize("module", [dotted(path) for path in modules()])
def test_rooms_import_only_what_they_may(module: str) -> None:
    room = room_of(module)
    assert room in {"ground", *ROOMS, *FREE}, f"{room} is a new room: give it a line in ROOMS"
    for target in sorted(edges()[module]):
        assert allowed(module, target), f"{module} may not import galago.{target}"


def test_there_is_no_circle() -> None:
    assert circles(edges()) == []


def test_the_root_is_an_entrance_not_a_corridor() -> None:
    names = {path.stem for path in PACKAGE.glob("*.py")}
    assert names == {"__init__", "__main__", "llm"} | GROUND and len(names) <= 12


# Of the folders with code: others (__pycache__) come and go while the tests are collected.
@pytest.mark.parametrize("room", sorted({path.parent for path in PACKAGE.rglob("*.py")}))
def test_every_room_says_why_it_exists(room: Path) -> None:
    tree = parsed(room / "__init__.py")
    assert ast.get_docstring(tree), room
    # albums and the server are packages that people import by their names
    public = room.name in ("galago", "album", "server")
    assert public or len(tree.body) == 1, f"{room.name}/__init__.py is more than a docstring"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_engines_stay_in_their_rooms(path: Path) -> None:
    names = imported(path)
    tops = {name.split(".")[0] for name in names}
    for engine, places in ENGINES.items():
        assert engine not in tops or dotted(path) in places, f"{path} imports {engine}"
    if room_of(dotted(path)) not in WITH_TORCH:
        assert not tops & HEAVY, f"{path} imports {tops & HEAVY}"
    for name in names:  # telemetry and conversion tools are not used
        assert not name.startswith(("nncf", "openvino.tools", "openvino_telemetry")), path


ENGINE_ROOM = {"torch", "openvino", "PIL", "tokenizers", "huggingface_hub", "numpy"}
LATE = {"torch", "openvino", "openvino_telemetry", "huggingface_hub"}
# What a fresh interpreter does, one after the other, and what must not be loaded behind it.
STEPS = {
    "import galago": ENGINE_ROOM,
    "from galago.cli.main import main; main(['--help'])": ENGINE_ROOM,
    "import galago.album": LATE,
    "import galago.vlm.fastvlm": LATE,
    "import galago.clip.mobileclip": LATE,
    "[getattr(galago, name) for name in galago.__all__]": LATE,
}


@pytest.fixture(scope="module")
def loaded() -> list[set[str]]:
    """The packages that are loaded behind each of the steps."""
    told = "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    code = "\n".join(["import sys", *(f"{step}\n{told}" for step in STEPS)])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    return [set(line.split()[1:]) for line in lines]


@pytest.mark.parametrize("step", STEPS)
def test_no_engine_is_loaded_before_it_is_needed(loaded: list[set[str]], step: str) -> None:
    assert not loaded[list(STEPS).index(step)] & STEPS[step]


def test_only_the_command_line_prints_and_exits() -> None:
    for path in modules():
        # a trainer and the processes of a benchmark are programs of their own
        if room_of(dotted(path)) in ("cli", "train", "__main__"):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                called = ast.unparse(node.func) if name in ("print", "exit") else name
                assert called not in ("print", "sys.exit", "exit"), f"{path}:{node.lineno}"


def test_docs_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(TOP / "tools" / "docs.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function among statements, and in them."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement
        for part in ("body", "orelse", "finalbody", "handlers"):
            yield from functions(getattr(statement, part, []))


def test_lengths() -> None:
    """Files of at most 400 lines, tests too; warns from 50 lines a function, fails at 80."""
    long = []
    others = [*(TOP / "tools").glob("*.py"), *(TOP / "tests").rglob("*.py")]
    for path in [*modules(), *sorted(others)]:
        lines = len(path.read_text("utf-8").splitlines())
        name = path.relative_to(TOP)
        assert lines <= 400, f"{name} has {lines} lines"
        for function in functions(parsed(path).body):
            size = (function.end_lineno or function.lineno) - function.body[0].lineno + 1
            if size > 50:
                long.append(f"{name}: {function.name} {size} lines")
            assert size <= 80, f"{name}: {function.name} has {size} lines"
    if long:
        warnings.warn("; ".join(long), stacklevel=1)


TESTS = sorted((TOP / "tests").rglob("test_*.py"))
OTHERS = {"parity", "clients", "load", "helpers"}  # folders of tests/ that are no rooms


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(TOP / "tests")))
def test_tests_stand_in_the_room_of_what_they_test(path: Path) -> None:
    """Named after a module of it, perhaps with a word on which part is tested."""
    room, stem = path.parent.relative_to(TOP / "tests").as_posix(), path.stem.removeprefix("test_")
    if room == "." or room.split("/")[0] in OTHERS:
        return
    known = {one.stem for one in (PACKAGE / room).rglob("*")}
    assert any(stem == name or stem.startswith(f"{name}_") for name in known), f"what is {stem}?"


def test_tests_share_only_what_lies_in_helpers() -> None:
    for path in sorted((TOP / "tests").rglob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                assert node.module.startswith(("tests.helpers", "tests.load")), path


def test_every_room_has_its_row_in_the_docs() -> None:
    text = (TOP / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    for name in {*rooms, *ROOMS, *FREE} - {"", "__main__"}:
        assert f"\n| `{name}` | " in text, name
    assert all(f"`{name}`" in text for name in GROUND)


def test_what_others_import_stands_in_all() -> None:
    """Where a module has an __all__, it is the whole of what it offers."""
    offered = {f"galago.{dotted(path)}".rstrip("."): _all_of(path) for path in modules()}
    for path in modules():
        for node in ast.walk(parsed(path)):
            names = offered.get(node.module or "") if isinstance(node, ast.ImportFrom) else None
            for alias in node.names if names is not None else ():
                inner = f"{node.module}.{alias.name}" in offered
                assert inner or alias.name in names, f"{path}: {node.module} hides {alias.name}"


def _all_of(path: Path) -> set[str] | None:
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None
