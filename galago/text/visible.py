"""Text from outside made fit to be shown: what would steer a terminal is seen, not obeyed.

Names of files, tensors and models, values in configurations, a hub's answers and a model's words
come from strangers. They may hold terminal escapes (which move the cursor, change the title or
paste), marks that turn the order of letters round (CVE-2021-42574, "Trojan Source"), halves of
characters, or 23,000 characters where a name is expected.
"""

from __future__ import annotations

import re

__all__ = ["brief", "json_safe", "visible"]

# C0 and C1 controls, the line and paragraph separators, bidirectional embeddings, overrides and
# isolates, surrogates. Joiners, soft hyphens and wide blanks are part of honest writing and stay.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_TEXT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONG_WORD = re.compile(r"\S{321,}")
_WORD, _LINE = 320, 1600  # paths of people are shorter, data URLs and mistakes are longer


def visible(text: str, *, lines: bool = False) -> str:
    r"""`text` with what a terminal would obey written out: ESC as \x1b, an override as \u202e.

    `lines`: newlines and tabs stay. A byte of a file's name that is no text stands as \xff.
    """
    return (_IN_TEXT if lines else _STEERING).sub(_written_out, text)


def json_safe(text: str) -> str:
    r"""JSON with the same characters as JSON's own escapes (\u009b): it still means the same."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def brief(text: str) -> str:
    """A message of bearable length: long words and long lines lose their middle ("…")."""
    return _cut(_LONG_WORD.sub(lambda found: _cut(found[0], _WORD), text), _LINE)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    # Beginnings say what it is, endings what to do about it.
    return f"{text[: most * 2 // 3]}…{text[-(most // 3) :]}"


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte that is no text
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
