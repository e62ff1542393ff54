"""The rules of the house: who may import whom, what loads when, how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "galago"

# room -> the rooms it may import. A room is a module or a folder of galago; longer names win.
# `errors` and `specs` (frozen data) are open to everyone. docs/architecture.md explains the plan.
EVERYONE = {"errors", "specs"}
MODEL_FILES = {"layout", "config", "safetensors", "checkpoint"}
ENGINE = {"precision", "quantise", "weights", "sessions", "converted", "selfcheck", "convert"}
ENGINE |= {"calibrate"}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "specs": set(),
    "catalog": set(),
    "presets": set(),
    "images": set(),
    "detail": {"images"},
    "still": set(),
    "scenes": set(),
    "video": {"images", "still"},
    "live": {"video"},
    "locks": set(),
    "album": {"images", "locks"},  # a model is passed in
    "sampling": set(),
    "tokens": set(),
    "clip_tokens": set(),
    "templates": set(),
    "torchpickle": set(),
    "torchfile": {"safetensors", "torchpickle"},
    "fuse": {"layout", "quantise", "safetensors"},
    "clip_first": {"fuse", "layout", "quantise", "safetensors"},
    "clip_checkpoint": {"clip_first", "clip_tokens", "fuse", "quantise", "torchfile"} | MODEL_FILES,
    "clip_sessions": {"clip_checkpoint", "graph", "layout", "quantise", "sessions", "weights"}
    | {"graph_cache", "safetensors"},
    "precision": set(),
    "quantise": {"safetensors"},
    "safetensors": set(),
    "layout": set(),
    "config": {"layout"},
    "checkpoint": MODEL_FILES,
    "fetch": {"catalog"},
    "hub": {"catalog", "fetch"},
    "phrases": {"hub"},
    "graph": {"graph", "layout", "safetensors"},
    "weights": {"graph", "precision", "quantise", *MODEL_FILES},
    "graph_cache": {"graph", "safetensors", ""},  # "" for the version
    "sessions": {"graph", "graph_cache", "precision", "quantise", "layout", "safetensors"},
    "together": {"sessions"},
    "converted": {"config", "precision", "safetensors"},
    "selfcheck": {"graph", "images", "tokens", *MODEL_FILES, *ENGINE},
    "calibrate": {"graph", "images", *MODEL_FILES, *ENGINE},
    "convert": {*MODEL_FILES, *ENGINE},
    "compile": {"graph_cache", *MODEL_FILES, *ENGINE},
    "store": {"catalog", "fetch", "hub", "checkpoint", "compile", "converted", "precision"}
    | {"locks", "selfcheck"},
    "decode": {"sampling"},
    "prefix": {"decode"},
    "reply": {"prefix", "tokens", "decode", "sampling"},
    "conversation": {"reply", "sampling", "tokens", "fastvlm"},
    # Models and the album are passed in; these are data, and what a picture or a chunk is.
    "server": {"server", "images", "catalog", "presets", "reply", "sampling", "tokens"},
    "llm": {"catalog", "fastvlm", "presets", "reply", "sampling", "tokens"},  # a plug-in of llm's
    # "" is the public API: what was trained is measured the way people use it.
    "train": {"train", "images", "catalog", "tokens", "presets", "quantise", "", *MODEL_FILES}
    | {"clip_checkpoint", "clip_tokens", "templates"},
    # "" again: speed is measured the way people use it; the rest is for making random models.
    "bench": {"catalog", "checkpoint", "compile", "config", "converted", "graph", "hub", "layout"}
    | {"quantise", "safetensors", ""},
    "export": {"export", "images", "catalog", "tokens", *MODEL_FILES},
    "": {"", "presets", "sampling", "fastvlm", "conversation", "reply"}
    | {"mobileclip", "templates"},  # galago/__init__.py
    "__main__": {"cli"},
}
# what nobody else may import
ABOVE = {"train", "export", "bench", "cli", "llm", "server", "__main__", ""}
FREE = {"cli", "fastvlm", "mobileclip"}  # these may import anything that isn't above them

ENGINES = {
    "openvino": {"graph", "compile", "sessions", "selfcheck", "calibrate", "clip_sessions"}
    | {"graph_cache"},
    "av": {"video"},
}
HEAVY = {"torch", "torchvision", "timm", "transformers", "open_clip"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """galago/graph/ops.py -> 'graph.ops'; galago/__init__.py -> ''."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.split(".")[0]


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, at any depth, types included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import; write it in full"
            assert node.module
            if node.module == "galago":  # from galago import hub
                found |= {f"galago.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
    return found


def is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_rooms_import_only_what_they_may(path: Path) -> None:
    room = room_of(dotted(path))
    names = {name.removeprefix("galago.") for name in imports(path) if name.startswith("galago.")}
    for name in sorted(names):
        target = room_of(name) if is_module(name) else ""
        if target in EVERYONE or target == room:
            continue
        if room in FREE:
            allowed = target not in ABOVE or (room == "cli" and target in ("", "bench", "server"))
        else:
            assert room in ROOMS, f"{room} is a new room: give it a line in ROOMS"
            allowed = target in ROOMS[room]
        assert allowed, f"galago/{room} may not import galago/{target or '__init__'}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_engines_stay_in_their_rooms(path: Path) -> None:
    room = room_of(dotted(path))
    tops = {name.split(".")[0] for name in imports(path)}
    for engine, rooms in ENGINES.items():
        assert engine not in tops or room in rooms, f"galago/{room} imports {engine}"
    if room not in ("train", "export", "bench"):  # peers, in the extra of that name
        assert not tops & HEAVY, f"galago/{room} imports {tops & HEAVY}"


def test_telemetry_and_conversion_tools_are_not_used() -> None:
    for path in modules():
        if room_of(dotted(path)) in ("train", "export"):
            continue
        for name in imports(path):
            assert not name.startswith(("nncf", "openvino.tools", "openvino_telemetry")), path


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, check=True
    )
    return done.stdout.strip()


LOADED = "print(*sorted({m.split('.')[0] for m in __import__('sys').modules}))"


def test_import_loads_no_engine() -> None:
    loaded = set(fresh(f"import galago; {LOADED}").split())
    assert not loaded & {"torch", "openvino", "PIL", "tokenizers", "huggingface_hub", "numpy"}


def test_help_loads_no_engine() -> None:
    code = f"from galago.cli.main import main; main(['--help']); {LOADED}"
    loaded = set(fresh(code).splitlines()[-1].split())
    assert not loaded & {"torch", "openvino", "PIL", "tokenizers", "huggingface_hub", "numpy"}


def test_public_names_load() -> None:
    assert fresh("import galago\nfor n in galago.__all__: getattr(galago, n)\nprint('ok')") == "ok"


def test_only_the_command_line_prints_and_exits() -> None:
    for path in modules():
        if room_of(dotted(path)) in ("cli", "train", "export", "__main__"):
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
    """Warns from 400 lines a file and 50 a function; fails where it is far over."""
    long = []
    for path in [*modules(), *sorted((TOP / "tools").glob("*.py"))]:
        text = path.read_text("utf-8")
        lines = len(text.splitlines())
        name = path.relative_to(TOP)
        assert lines <= 500, f"{name} has {lines} lines"
        if lines > 400:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                if size > 50:
                    long.append(f"{name}: {node.name} {size} lines")
                assert size <= 80, f"{name}: {node.name} has {size} lines"
    if long:
        warnings.warn("; ".join(long), stacklevel=1)
