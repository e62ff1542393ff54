"""The bench's peers are told to report nothing before they load."""

from __future__ import annotations

import ast
import contextlib
import os
import sys

import pytest

from galago.bench.telemetry import quiet_onnxruntime
from tests.helpers.places import TOP


def test_onnxruntime_loads_with_its_reports_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "onnxruntime":
                seen.append(os.environ.get("ORT_DISABLE_TELEMETRY"))

    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with contextlib.suppress(ImportError):  # it is the bench's extra
        quiet_onnxruntime()
    assert seen and seen[0] == "1"


def test_nobody_else_loads_it() -> None:
    found = [
        path.relative_to(TOP).as_posix()
        for folder in ("galago", "tests", "tools", "examples")
        for path in (TOP / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
        if name.split(".")[0] == "onnxruntime"
    ]
    assert found == ["galago/bench/telemetry.py"]
