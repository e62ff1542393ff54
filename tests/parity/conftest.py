"""Parity runs print what they measured, so that figures can be quoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_MEASURED: list[tuple[str, float]] = []


@pytest.fixture
def report() -> Callable[[str, float], float]:
    """Note a figure for the summary and give it back."""

    def note(what: str, value: float) -> float:
        _MEASURED.append((what, value))
        return value

    return note


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: the shapes of FastVLM-0.5B, gigabytes and minutes")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _MEASURED:
        return
    terminalreporter.section("measured")
    for what, value in _MEASURED:
        terminalreporter.write_line(f"{value:10.3g}  {what}")
