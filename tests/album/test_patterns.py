"""What --skip leaves out."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from galago.album import patterns
from galago.album.patterns import matcher, understood
from galago.errors import OptionError

ROOT = os.sep + os.path.join("disk", "photos")


def leaves_out(pattern: str, inner: str, folder: bool = False) -> bool:
    """Whether this very path is left out, not a folder that it lies in."""
    path = os.path.join(ROOT, *inner.split("/"))
    return bool(matcher((pattern,)).matching(ROOT, path, path, lambda: folder))


@pytest.mark.parametrize(
    ("pattern", "inner", "wanted"),
    [
        ("private", "private", True),
        ("private", "a/b/private", True),
        ("private", "private2", False),
        ("*.tmp.jpg", "a/x.tmp.jpg", True),
        ("IMG_?.jpg", "IMG_1.jpg", True),
        ("IMG_?.jpg", "IMG_12.jpg", False),
        ("IMG_[0-3].jpg", "a/IMG_2.jpg", True),
        ("IMG_[!0-3].jpg", "a/IMG_2.jpg", False),
        ("IMG_[^0-3].jpg", "a/IMG_7.jpg", True),
        ("a[b.jpg", "a[b.jpg", True),
        ("private/*", "private/a.jpg", True),
        ("private/*", "b/private/a.jpg", False),
        ("private/*", "private", False),
        ("a/private", "a/private", True),
        ("a/private", "b/a/private", False),
        ("**/private/*", "b/private/a.jpg", True),
        ("a/**", "a/b/c.jpg", True),
        ("a/**/c.jpg", "a/c.jpg", True),
        ("a/**/c.jpg", "a/b/d/c.jpg", True),
        ("a/*/c.jpg", "a/b/d/c.jpg", False),
        ("/private", "private", True),
        ("/private", "a/private", False),
        ("/disk/photos/private", "private", True),
        ("/disk/photos/*/x.jpg", "a/x.jpg", True),
        ("/disk/other/private", "private", False),
        ("a+(b).jpg", "a+(b).jpg", True),
        ("[]", "[]", True),
        ("[!]", "[!]", True),
        ("[^]", "[^]", True),
        ("[!]", "!", False),
        ("[]]", "]", True),
        ("[!]]", "]", False),
        ("[]-]", "-", True),
        ("[z-a]", "m", False),
        ("[z-a]", "z", False),
        ("[!z-a]", "m", True),
        ("[c-ax]", "x", True),
        ("[a--b]", "b", True),
        ("[a||b]", "|", True),
        ("[a&&b]", "&", True),
        ("[a~~b]", "~", True),
        ("[[:x]", "[", True),
        ("[+--]", ",", True),
        ("[a-]", "-", True),
        ("[-a]", "-", True),
        ("[!^]", "^", False),
        ("[*]", "*", True),
        ("[*]", "a", False),
    ],
)
def test_patterns_mean_what_they_mean_to_git(pattern: str, inner: str, wanted: bool) -> None:
    assert leaves_out(pattern, inner) == wanted


def test_a_slash_at_the_end_means_folders() -> None:
    assert leaves_out("private/", "a/private", folder=True)
    assert not leaves_out("private/", "a/private", folder=False)


def test_capitals_count_as_they_do_on_the_systems_own_disks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patterns.matcher.cache_clear()
    patterns._pattern.cache_clear()
    for no_capitals in (True, False):
        monkeypatch.setattr(patterns, "_NO_CAPITALS", no_capitals)
        assert leaves_out("PRIVATE", "private") == leaves_out("/A/b", "a/B") == no_capitals
        patterns.matcher.cache_clear()
        patterns._pattern.cache_clear()


def test_paths_into_the_folder_are_understood_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    (root / "private" / "deep").mkdir(parents=True)
    roots, whole = [str(root)], str(root / "private")
    monkeypatch.chdir(tmp_path)
    assert understood(["photos/private", "photos/private/"], roots) == (whole, f"{whole}/")
    assert understood([whole, f"{root}//x/../private/"], roots) == (whole, f"{whole}/")
    assert understood(["private/*", "./private", "./a/b"], roots) == (
        "private/*",
        "/private",
        "a/b",
    )
    assert understood(["photos/*/deep"], roots) == (f"{root}/*/deep",)
    monkeypatch.chdir(root)
    assert understood(["private/deep"], roots) == ("private/deep",)
    monkeypatch.chdir(root / "private")
    assert understood(["../private/deep"], roots) == (f"{whole}/deep",)


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_paths_by_a_link_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "photos" / "private").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    root = str(tmp_path / "photos")
    assert understood([str(tmp_path / "link" / "private")], [root]) == (f"{root}/private",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!private", "taken in again"),
        ("", "names nothing"),
        ("/", "names nothing"),
        ("../other/x", "leads out"),
        (ROOT, "the folder to index itself"),
        ("a\0b", "names nothing"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        understood([text], [ROOT])


@pytest.mark.skipif(os.name == "nt", reason="a separator there")
def test_backslashes_are_refused() -> None:
    with pytest.raises(OptionError, match="no backslash"):
        understood([r"a\*b"], [ROOT])


def test_brackets_warn_of_nothing() -> None:
    patterns._pattern.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in ("[a||b]", "[a&&b]", "[a~~b]", "[a--b]", "[[a]", "[]", "[!]", "[z-a]"):
            matcher.__wrapped__((text,))
            assert understood([text], [ROOT]) == (text,)


def test_what_cannot_be_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_part", lambda part: "(")
    with pytest.raises(OptionError, match="--skip odd[?] can't be understood"):
        understood(["odd?"], [ROOT])
    assert not patterns.is_sound("odd?")


def test_a_path_that_is_there_is_taken_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "[ph] 2"
    (root / "[x]" / "[y]").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def left_out(text: str, *inner: str) -> bool:
        path = os.path.join(root, *inner)
        found = matcher(understood([text], [str(root)]))
        return bool(found.matching(str(root), path, path, lambda: True))

    for text in ("[ph] 2/[x]", "[ph] 2/[x]/", str(root / "[x]"), "[x]", "/[x]"):
        assert left_out(text, "[x]"), text
        assert not left_out(text, "x"), text
    for text in ("[ph] 2/[x]/[y]", "[x]/[y]", str(root / "[x]" / "[y]")):
        assert left_out(text, "[x]", "[y]"), text
    assert left_out("[z]", "z")
    assert left_out(f"{root}/b*", "bc")  # a glob in a folder whose name has brackets
