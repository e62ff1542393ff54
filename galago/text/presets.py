"""Ready questions, worded as in Apple's demonstration app where it has them."""

from __future__ import annotations

from galago.errors import OptionError
from galago.text.tongues import language_named

__all__ = ["PRESETS", "preset_prompt"]

PRESETS: dict[str, str] = {
    "describe": "Describe the image in English.",
    "brief": "Describe the image in English. Output should be brief, about 15 words or less.",
    "read": "What is written in this image? Output only the text in the image.",
    "count": (
        "How many fingers am I holding up? Respond using a single number. "
        "If no hand is present, respond with 0."
    ),
    "expression": "What is this person's facial expression? Output only one or two words.",
    "translate": "Translate the text in this image into {language}.",
}


def preset_prompt(name: str, to: str = "English") -> str:
    """The prompt of a preset; `to` is the language of "translate" (galago/text/tongues.py).

    Raises OptionError for a name that isn't in PRESETS, an empty language or an unknown one.
    """
    if name not in PRESETS:
        raise OptionError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    if not to.strip():
        raise OptionError("the language to translate into is empty; name one, such as English")
    if "{language}" not in PRESETS[name]:
        return PRESETS[name]
    return PRESETS[name].replace("{language}", language_named(to))
