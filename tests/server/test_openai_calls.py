"""Words and calls found in an answer, however its text is cut up."""

from __future__ import annotations

import pytest

from galago.server.openai_calls import Arguments, Begun, Piece, Pieces, Words
from galago.server.openai_forms import Function, Shape

LOOK = Function(name="look")
FREE = Shape("calls", functions=(LOOK,), callable=(LOOK,), free=True)
OR_JSON = Shape("calls", json=True, functions=(LOOK,), callable=(LOOK,), free=True)
CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "<tool_call>"}'
ASKED = '{"at": "<tool_call>"}'


def parts(shape: Shape, text: str, step: int) -> tuple[str, list[str], str]:
    """Words, names and arguments, of a text that comes a few characters at a time."""
    pieces = Pieces(shape)
    found: list[Piece] = []
    for at in range(0, len(text), step):
        found += pieces.push(text[at : at + step])
    found += pieces.finish()
    assert pieces.called == any(isinstance(one, Begun) for one in found)
    return (
        "".join(one.text for one in found if isinstance(one, Words)),
        [one.name for one in found if isinstance(one, Begun)],
        "".join(one.text for one in found if isinstance(one, Arguments)),
    )


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("shape", "text", "found"),
    [
        (FREE, CALL, ("", ["look"], ASKED)),
        (FREE, "I look. " + CALL, ("I look. ", ["look"], ASKED)),
        (FREE, "a <tool and a <", ("a <tool and a <", [], "")),
        (FREE, '<tool_call>\n{"name": "lo', ("", [], "")),  # cut before its name
        (OR_JSON, CALL, ("", ["look"], ASKED)),
        (OR_JSON, '{"a": "<tool_call>\n"}', ('{"a": "<tool_call>\n"}', [], "")),
        (Shape(), CALL, (CALL, [], "")),
    ],
)
def test_pieces(shape: Shape, text: str, found: tuple[str, list[str], str], step: int) -> None:
    assert parts(shape, text, step) == found
