"""Queries put into English by a FastVLM's language model, on fakes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galago.errors import GalagoError, HubError, ModelError, OptionError
from galago.places import cache_dir
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.translate import Translator
from tests.helpers.fakes import fake_vlm, language, looks


def kept() -> list[Path]:
    return sorted((cache_dir() / "translations").glob("*"))


class Loading:
    """A model that is opened when it is needed; counts how often."""

    def __init__(self, vlm: FastVLM) -> None:
        self.vlm, self.times = vlm, 0

    def __call__(self) -> FastVLM:
        self.times += 1
        return self.vlm


@pytest.fixture
def make(tokenizer: Tokenizer) -> Callable[..., tuple[Translator, Loading]]:
    def made(reply: str | list[int], made_by: str = "m-1") -> tuple[Translator, Loading]:
        loading = Loading(fake_vlm(tokenizer, reply=reply))
        return Translator("m", made_by, loading), loading

    return made


Make = Callable[..., tuple[Translator, Loading]]


def test_words_only_and_once(make: Make) -> None:
    translate, loading = make("a red dress")
    assert loading.times == 0
    assert translate("红色连衣裙") == "a red dress"
    assert looks(loading.vlm) == [] and language(loading.vlm).fed > 0
    fed = language(loading.vlm).fed
    assert translate(" 红色连衣裙\n") == "a red dress"  # from the cache
    assert (loading.times, language(loading.vlm).fed) == (1, fed)
    again, unused = make("something else")
    assert again("红色连衣裙") == "a red dress" and unused.times == 0
    other, _ = make("something else", "m-2")  # another model's are its own
    assert other("红色连衣裙") == "something else" and len(kept()) == 2


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("a girl's dress, red & blue (2)", "a girl's dress, red & blue (2)"),
        ('"a red dress."', "a red dress"),
        ("  a   red dress\nand more", "a red dress"),
        ("“猫”", ""),
    ],
)
def test_what_an_answer_is_wrapped_in_is_taken_off(make: Make, said: str, wanted: str) -> None:
    translate, _ = make(said)
    if wanted:
        assert translate("红色连衣裙") == wanted
    else:
        with pytest.raises(ModelError, match="not in English"):
            translate("红色连衣裙")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "is empty"),
        ("...", "is empty"),
        ("123", "is empty"),
        ("红色连衣裙", "is not in English"),
        ("a red 连衣裙", "is not in English"),
        ("m� &5 | E. )x%� z J", "is not in English"),
        ("a red\x07 dress", "is not in English"),
        ("{a} <red> dress", "is not in English"),
        ("a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f", "is too long"),
        ("an " * 200, "found no end"),
    ],
)
def test_an_answer_that_is_no_query_is_refused_and_not_kept(
    make: Make, said: str, told: str
) -> None:
    translate, _ = make(said)
    with pytest.raises(ModelError, match=told):
        translate("红色连衣裙")
    assert kept() == []


@pytest.mark.parametrize("text", ["", " \n", "红" * 301])
def test_what_is_no_query_is_not_asked(make: Make, text: str) -> None:
    translate, loading = make("red")
    with pytest.raises(OptionError, match="characters is not translated"):
        translate(text)
    assert loading.times == 0


@pytest.mark.parametrize(
    ("error", "raised", "told"),
    [
        (MemoryError(), ModelError, "out of memory"),
        (RuntimeError("can't allocate\n 5 GB"), ModelError, "could not .*: can't allocate$"),
        (HubError("it isn't here"), HubError, "^it isn't here$"),
    ],
)
def test_a_model_that_cannot_be_opened_is_told(
    error: Exception, raised: type[GalagoError], told: str
) -> None:
    def load() -> FastVLM:
        raise error

    with pytest.raises(raised, match=told):
        Translator("m", "m-1", load)("红")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"asked": "\xe7\x8c\xab", "english": "a cat"}',  # of another query
        '{"asked": "红", "english": 5}'.encode(),
        '{"asked": "红", "english": "红"}'.encode(),
        b"[" * 100_000,
    ],
)
def test_a_damaged_cache_is_made_anew(make: Make, content: bytes) -> None:
    translate, loading = make("red")
    translate("红")
    (path,) = kept()
    path.write_bytes(content)
    assert translate("红") == "red" and loading.times == 2
    assert translate("红") == "red" and loading.times == 2


def test_a_cache_that_cannot_be_used_is_done_without(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "file"))
    translate, loading = make("red")
    assert translate("红") == translate("红") == "red" and loading.times == 2


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_what_a_person_searched_for_is_for_nobody_else(make: Make) -> None:
    make("red")[0]("红")
    (path,) = kept()
    assert path.stat().st_mode & 0o077 == 0 and "红" not in path.name


def test_several_at_once(make: Make) -> None:
    translators = [make("red")[0] for _ in range(8)]
    start = threading.Barrier(8)

    def one(translate: Translator) -> str:
        start.wait()
        return translate("红")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, translators)) == ["red"] * 8
    (path,) = kept()
    assert path.suffix == ".json"
