"""Replies held to forms, with a vocabulary that has bytes and parts of characters."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from galago.errors import OptionError
from galago.text.tokens import Tokenizer
from galago.vlm.forms import Form, call_form, json_form
from galago.vlm.grammar import Constraint, Grammars, constrained
from tests.helpers.fakes import control, fake_tokenizer

pytest.importorskip("llguidance")

PADDED = 500  # ids beyond the tokenizer's, as models have them
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "hair": {"enum": ["brown", "weiß", None]},
        "seen": {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name", "age", "hair", "seen"],
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def grammars(tokenizer: Tokenizer) -> Grammars:
    return Grammars(tokenizer, PADDED, control(tokenizer, "<|im_end|>"))


def wander(constraint: Constraint, tokenizer: Tokenizer, seed: int, most: int = 400) -> list[int]:
    """Ids drawn among those that may come next; what closes something is preferred."""
    draw = random.Random(seed)
    ids: list[int] = []
    while not constraint.done and len(ids) < most:
        some = np.flatnonzero(constraint.allowed()).tolist()
        closing = [at for at in some if tokenizer.token_bytes(at) in (b'"', b"}", b"]", b"")]
        ids.append(draw.choice(closing if closing and draw.random() < 0.3 else some))
        constraint.push(ids[-1])
    return ids


def test_whatever_is_drawn_is_json_of_the_schema(grammars: Grammars, tokenizer: Tokenizer) -> None:
    form, split = json_form(PERSON), 0
    for seed in range(30):
        ids = wander(grammars.begin(form), tokenizer, seed)
        said = b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8")  # whole characters
        split += any(at >= 0x80 for at in said.encode())
        person = json.loads(said)
        assert list(person) == ["name", "age", "hair", "seen"]
        assert 1 <= len(person["name"]) <= 6 and person["hair"] in ("brown", "weiß", None)
        assert isinstance(person["age"], int) and 0 <= person["age"] <= 150
        assert 1 <= len(person["seen"]) <= 2
        assert "\n" not in said and '": ' in said
    assert split > 5  # bytes of characters were put together


def test_control_tokens_and_padding_are_never_allowed(
    grammars: Grammars, tokenizer: Tokenizer
) -> None:
    end = control(tokenizer, "<|im_end|>")
    constraint = grammars.begin(json_form({"type": "string"}))
    for at in tokenizer.encode('"a'):
        constraint.push(at)
    mask = constraint.allowed()
    assert mask.shape == (PADDED,) and not mask[tokenizer.vocab_size :].any()
    assert not mask[end] and not mask[control(tokenizer, "<|im_start|>")]
    constraint.push(tokenizer.encode('"')[0])
    assert constraint.done and np.flatnonzero(constraint.allowed()).tolist() == [end]


def follow(constraint: Constraint, tokenizer: Tokenizer, text: str) -> bool:
    """Whether a text may be said, and is whole at its end."""
    for at in tokenizer.encode(text):
        if not constraint.allowed()[at]:
            return False
        constraint.push(at)
    return bool(constraint.done or constraint.allowed()[control(tokenizer, "<|im_end|>")])


CALL = '<tool_call>\n{"name": "look", "arguments": {"at": 3}'


@pytest.mark.parametrize(
    ("said", "must", "may", "json_or"),
    [
        (CALL, True, True, True),
        (CALL.replace("look", "see"), False, False, False),
        (CALL.replace("3", '"x"'), False, False, False),
        ("Let me see. " + CALL, False, True, False),
        ("I see <tool_box>", False, True, False),
        ('{"a": 1}', False, True, True),
    ],
)
def test_calls(
    grammars: Grammars, tokenizer: Tokenizer, said: str, must: bool, may: bool, json_or: bool
) -> None:
    look = {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}
    functions: list[tuple[str, Any]] = [("nothing", None), ("look", look)]
    forms = (
        call_form(functions, free=False),
        call_form(functions, free=True),
        call_form(functions, free=True, answer={}),
    )
    for form, possible in zip(forms, (must, may, json_or), strict=True):
        assert follow(grammars.begin(form), tokenizer, said) is possible


def test_half_a_character_cannot_be_written_as_an_escape(
    grammars: Grammars, tokenizer: Tokenizer
) -> None:
    form = json_form()
    assert follow(grammars.begin(form), tokenizer, '{"a": "b\\n\\"", "c": [1.5, null]}')
    assert not follow(grammars.begin(form), tokenizer, '{"a": "\\ud800"}')


def test_digits_end(grammars: Grammars, tokenizer: Tokenizer) -> None:
    for schema in (None, {"type": "object", "additionalProperties": {"type": "number"}}):
        for number in ("1" * 17, "0." + "1" * 7, "1e9"):
            said = f'{{"a": {number}}}'
            assert not follow(grammars.begin(json_form(schema)), tokenizer, said)
        assert follow(grammars.begin(json_form(schema)), tokenizer, '{"a": -12.000001}')


def test_a_reply_is_chosen_among_what_is_allowed(grammars: Grammars, tokenizer: Tokenizer) -> None:
    constraint = grammars.begin(json_form({"enum": ["milk", "eggs"]}))
    asked = 0

    def greedy(logits: Any) -> int:
        nonlocal asked
        asked += 1
        return int(np.argmax(logits))

    sample = constrained(greedy, constraint)
    wanted = np.zeros(PADDED, np.float32)
    wanted[tokenizer.encode("bread")] = 9  # not possible
    wanted[tokenizer.encode("eggs")] = 5
    ids: list[int] = []
    while not constraint.done:
        ids.append(sample(wanted))
    assert json.loads(tokenizer.decode(ids)) == "eggs"
    assert 0 < asked < len(ids)  # where one id is possible nobody is asked


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "string", "pattern": "^\\w{1,999}(\\p{L}|\\d){999}$"},
    ],
)
def test_what_is_too_complex_ends_in_an_error(
    grammars: Grammars, tokenizer: Tokenizer, schema: Any
) -> None:
    with pytest.raises(OptionError, match="asks for too much"):
        for seed in range(10):
            wander(grammars.begin(json_form(schema)), tokenizer, seed, 3000)


def test_a_damaged_form_is_an_error(grammars: Grammars) -> None:
    with pytest.raises(OptionError, match="asks for too much"):
        grammars.begin(Form("start: nothing"))
