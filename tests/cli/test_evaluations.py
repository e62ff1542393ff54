"""Where results are written, and what lies there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.cli.evaluations import place_for
from galago.errors import OptionError

OWN, VLM = '{"name": "a", "data": "b", "tasks": []}', '{"tasks": []}'


@pytest.mark.parametrize("text", [OWN, VLM, "[]", "7", "no JSON", "[" * 100_000])
def test_only_results_of_its_own_kind_are_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    for kind, ours in (("own", OWN), ("vlm", VLM)):
        if text == ours:
            assert place_for(str(tmp_path), 1, 1, kind) == tmp_path  # type: ignore[arg-type]
            continue
        with pytest.raises(OptionError, match="has something else in it: name a new folder"):
            place_for(str(tmp_path), 1, 1, kind)  # type: ignore[arg-type]


def test_what_earlier_runs_left_beside_several_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 3, 4):
        place_for(str(tmp_path), number, 4)
    assert capsys.readouterr().err == ""
    (tmp_path / "notes").mkdir()
    assert place_for(str(tmp_path), 1, 2) == tmp_path / "1"
    assert place_for(str(tmp_path), 2, 2) == tmp_path / "2"
    assert capsys.readouterr().err == f"of an earlier run: 3, 4 in {tmp_path}\n"
