"""Ready questions, worded as in Apple's demonstration app where it has them."""

from __future__ import annotations

from galago.errors import OptionError

__all__ = ["LANGUAGES", "PRESETS", "preset_prompt"]

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

# Offered for "translate"; any other may be named as well.
LANGUAGES: tuple[str, ...] = (
    *("English", "Chinese", "Spanish", "French", "German", "Portuguese", "Italian"),
    *("Russian", "Japanese", "Korean", "Arabic", "Vietnamese", "Thai"),
)


def preset_prompt(name: str, to: str = "English") -> str:
    """The prompt of a preset; `to` is the language of "translate".

    Raises OptionError for a name that isn't in PRESETS, or an empty language.
    """
    if name not in PRESETS:
        raise OptionError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    if not to.strip():
        raise OptionError("the language to translate into is empty; name one, such as English")
    return PRESETS[name].replace("{language}", to.strip())
