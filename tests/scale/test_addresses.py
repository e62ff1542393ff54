"""Addresses taken apart, and asked with patience."""

from __future__ import annotations

import pytest

from galago.errors import ImageError, MissingExtraError, OptionError
from galago.scale.addresses import files_of, is_address, is_web, opened, patiently
from tests.helpers.tables import lacking


def test_what_an_address_is() -> None:
    assert is_address("s3://bucket/a") and is_address("hf://datasets/x/y")
    assert not is_address("/a/b") and not is_address("C:\\a") and not is_address("a:b")
    assert is_web("https://x/a.jpg") and not is_web("s3://x/a.jpg")


def test_an_address_in_parts() -> None:
    assert files_of("s3://bucket/a/b/") == ("s3://bucket", "bucket/a/b")
    assert files_of("s3://bucket?region=x") == ("s3://bucket?region=x", "bucket")
    # where a question mark belongs to a name
    assert files_of("hf://datasets/x/a?.jpg") == ("hf://datasets", "datasets/x/a?.jpg")
    with pytest.raises(OptionError, match="names no bucket"):
        files_of("s3:///a")


def test_patience_ends_and_grows() -> None:
    pauses: list[float] = []

    def fail() -> None:
        raise OSError("slow down")

    with pytest.raises(OSError, match="slow down"):
        patiently(fail, pauses.append)
    assert len(pauses) == 4
    assert all(0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses))


def test_errors_of_other_packages_are_told_as_the_disks_are() -> None:
    class ConnectError(Exception):  # as httpx and aiohttp have of their own
        __module__ = "httpx._exceptions"

    def fail() -> None:
        tries.append(1)
        raise ConnectError("nobody listens")

    tries: list[int] = []
    with pytest.raises(OSError, match="ConnectError: nobody listens"):
        patiently(fail, lambda seconds: None)
    assert len(tries) == 5
    for error in (ValueError("a fault"), ImageError("no picture")):

        def faulty(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)):
            patiently(faulty)


def test_what_is_final_is_not_asked_again() -> None:
    for error in (
        FileNotFoundError("no"),
        PermissionError("no"),
        OSError("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation"),
        OSError("AWS Error ACCESS_DENIED during HeadObject operation"),
    ):

        def fail(error: OSError = error) -> None:
            raise error

        with pytest.raises(type(error)):
            patiently(fail, lambda pause: pytest.fail("it was waited for"))


def test_without_pyarrow_a_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, "pyarrow")
    with pytest.raises(MissingExtraError, match="reading s3://bucket needs pyarrow"):
        opened("s3://bucket")
