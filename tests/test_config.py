"""A person's settings: read strictly, written without touching what else stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago import config
from galago.config import Config, changed, read
from galago.errors import OptionError
from galago.places import config_file


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GALAGO_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def test_no_file_says_nothing(file: Path) -> None:
    assert read() == Config() and config_file() == file


def test_every_key_is_read(file: Path) -> None:
    file.write_text('model = "a"\nclip = "b"\nprecision = "int8"\nalbum = "c"\nport = 81\n')
    assert read() == Config("a", "b", "int8", "c", 81)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model = ", "isn't TOML"),
        ('modle = "a"', "'modle' is not known; use model, clip"),
        ("model = 3", "model must be a text"),
        ('model = ""', "model must be a text"),
        ('port = "80"', "port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ('# \xff"', "no UTF-8"),
        ("#" * 70_000, "too large"),
        ("a = " + "[" * 3000, "isn't TOML"),
    ],
)
def test_what_cannot_be_understood_is_told_and_kept(file: Path, text: str, told: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    for ask in (read, lambda: changed("model", "x")):
        with pytest.raises(OptionError, match=told) as caught:
            ask()
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_one_value_is_changed_and_the_rest_stays(file: Path) -> None:
    file.write_text("# mine\nport = 81 # the usual\n")
    file.write_bytes(config.changed("model", 'odd "name"\\'))
    assert read() == Config(model='odd "name"\\', port=81)
    assert "# the usual" in file.read_text()
    file.write_bytes(config.changed("model", None))
    assert read() == Config(port=81) and file.read_text().startswith("# mine")
