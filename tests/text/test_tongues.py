"""Languages as people name them."""

from __future__ import annotations

import pytest

from galago.errors import OptionError
from galago.text.presets import preset_prompt
from galago.text.tongues import TONGUES, language_named


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        *[(one, "Chinese") for one in ("zh", "chinese", " 中文 ", "ZH", "zho", "汉语", "Mandarin")],
        *[(one, "German") for one in ("Deutsch", "de", "GERMAN", "德语", "de-AT", "de_CH")],
        *[(one, "Simplified Chinese") for one in ("简体中文", "zh-CN", "zh_Hans")],
        *[(one, "Traditional Chinese") for one in ("繁體中文", "zh-TW", "繁体中文")],
        *[(one, "Brazilian Portuguese") for one in ("brazilian portuguese", "pt_BR")],
        *[(one, "French") for one in ("français", "Francais", "FRANÇAIS")],
        ("日本語", "Japanese"),
        ("русский", "Russian"),
        ("한국어", "Korean"),
        ("हिन्दी", "Hindi"),
        ("simple German", "simple German"),
    ],
)
def test_a_language_has_many_names(name: str, wanted: str) -> None:
    assert language_named(name) == wanted
    assert preset_prompt("translate", to=name) == f"Translate the text in this image into {wanted}."


def test_every_name_in_the_table_names_its_own() -> None:
    for one in TONGUES:
        for called in (one.name, one.code, *one.called):
            assert language_named(called) == one.name, called
    codes = [one.code for one in TONGUES]
    assert codes[:2] == ["en", "zh"] and len(set(codes)) == len(codes) == 35


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Germn", "did you mean German"),
        ("deutch", "did you mean German"),
        ("spansh", "did you mean Spanish"),
        ("中文字", "did you mean Chinese"),
        ("xyzzy", "it speaks English, Chinese, Spanish"),
        ("Klingon", "a prompt of your own"),
        ("z" * 5000, "it speaks"),
    ],
)
def test_a_misspelt_one_is_told_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(OptionError, match=told) as error:
        language_named(name)
    assert len(str(error.value)) < 500
    with pytest.raises(OptionError):
        preset_prompt("translate", to=name)
