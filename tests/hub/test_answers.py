"""A hub that answers what no hub should: told in a line, and nothing is written anywhere."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest

from galago.errors import HubError
from galago.hub.answers import (
    bounded,
    checked_commit,
    checked_digest,
    checked_name,
    checked_size,
    no_downgrade,
)
from galago.hub.resolve import local, resolve
from galago.memory import peak_memory
from tests.helpers.hub_server import online_hub, vlm_repository

NAME = "apple/FastVLM-0.5B"
BAD_NAMES = [
    "", ".", "..", ".hidden.json", "..\\..\\x.json", "C:x.json", "x.json\0", "x\n.json",
    "x\x1b[2J.json", "con.json", "NUL.txt", "com1.json", "lpt9", "x.json.", "x.json ", " x.json",
    "x.json:stream", "x*.json", "a/x.json", "/x.json", "\u202etxt.json", "x" * 300 + ".json",
    "LICENSE.part",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_names_that_no_file_may_have(name: str) -> None:
    with pytest.raises(HubError, match="as a file's name") as told:
        checked_name(name)
    assert str(told.value).isprintable() and len(str(told.value)) < 300


def test_names_of_published_files_pass() -> None:
    names = ("config.json", "model-00001-of-00002.safetensors", "LICENSE", "mobileclip_s2.pt")
    for name in (*names, "model.safetensors.index.json", "LICENSE (weights).txt", "contents.json"):
        assert checked_name(name) == name


@pytest.mark.parametrize("value", [None, 7, "", "main", "../../x", "a" * 39, "A" * 40, "a" * 41])
def test_revisions_and_digests(value: Any) -> None:
    with pytest.raises(HubError, match="no commit"):
        checked_commit(value)
    with pytest.raises(HubError, match=r"hash of x\.json"):
        checked_digest(value, "x.json")


@pytest.mark.parametrize("value", [-1, 1 << 60, 1.5, True, "7"])
def test_sizes(value: Any) -> None:
    with pytest.raises(HubError, match=r"size of x\.json"):
        checked_size(value, "x.json")


@pytest.mark.parametrize(
    ("start", "onward", "refused"),
    [
        ("https://hub/x", "http://hub/y", True),
        ("https://hub/x", "ftp://hub/y", True),
        ("https://hub/x", "https://cdn/y", False),
        ("https://hub/x", "/y", False),
        ("http://127.0.0.1/x", "http://127.0.0.1/y", False),  # a mirror of one's own
    ],
)
def test_no_answer_leads_out_of_https(start: str, onward: str, refused: bool) -> None:
    httpx = pytest.importorskip("httpx2")  # the hub's client brings it, the older ones another

    def answer(request: Any) -> Any:
        if request.url.path == "/x":
            return httpx.Response(302, headers={"Location": onward})
        return httpx.Response(200)

    hooks = {"response": [no_downgrade]}
    transport = httpx.MockTransport(answer)
    with httpx.Client(transport=transport, follow_redirects=True, event_hooks=hooks) as client:
        if refused:
            with pytest.raises(HubError, match="not https"):
                client.get(start)
        else:
            assert client.get(start).status_code == 200


# -- a hub that lies -------------------------------------------------------------------------------


LIES: list[tuple[str, Any]] = [
    ("sha", "../../../../outside"),
    ("sha", "..\\..\\outside"),
    ("sha", "/tmp/outside"),
    ("sha", None),
    ("rfilename", "..\\..\\outside.json"),
    ("rfilename", "con.json"),
    ("rfilename", "x\x1b]0;.json"),
    ("rfilename", "CONFIG.json"),  # beside config.json: one file where case doesn't count
    ("size", -5),
    ("lfs", {"sha256": "../../outside", "size": 3, "pointerSize": 1}),
]


@pytest.mark.parametrize(("field", "value"), LIES, ids=lambda part: ascii(part))
def test_a_lying_hub_writes_nothing_anywhere(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: Any
) -> None:
    source = vlm_repository(tiny, tmp_path / "repository")
    with online_hub(NAME, source, monkeypatch) as hub:
        if field == "sha":
            hub.lie = lambda info: info.update(sha=value)
        else:
            more = {"rfilename": "more.json", "size": 2} | {field: value}
            hub.lie = lambda info: info["siblings"].append(more)
        before = {p for p in tmp_path.parent.rglob("*") if p.is_file()}
        with pytest.raises(HubError) as told:
            resolve(NAME)
        assert hub.fetched == []
    assert str(told.value).isprintable()
    assert {p for p in tmp_path.parent.rglob("*") if p.is_file()} == before and local(NAME) is None


def test_subfolders_and_manifests_in_any_case_are_left_there(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = vlm_repository(tiny, tmp_path / "repository")
    with online_hub(NAME, source, monkeypatch) as hub:
        names = ("../x.json", "a/b.json", "Galago.json", "GALAGO.json")
        more = [{"rfilename": name, "size": 2} for name in names]
        hub.lie = lambda info: info["siblings"].extend(more)
        found = {path.name for path in resolve(NAME).folder.iterdir()}
    assert found == {"config.json", "model.safetensors", "tokenizer.json", "LICENSE"}


def test_more_bytes_than_were_said_are_not_written(
    tiny: Path, tmp_path: Path, clean_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = vlm_repository(tiny, tmp_path / "repository")
    with online_hub(NAME, source, monkeypatch) as hub:
        hub.lie = lambda info: [row.update(size=1000) for row in info["siblings"] if "lfs" in row]
        with pytest.raises(HubError, match="more bytes arrived"):
            resolve(NAME)
    parts = list(clean_world.rglob("*.part"))
    assert all(part.stat().st_size <= 1000 for part in parts) and local(NAME) is None


def test_links_in_a_cache_lead_to_its_blobs_and_nowhere_else(
    tiny: Path, tmp_path: Path, clean_world: Path
) -> None:
    home = clean_world / "hf" / "hub" / f"models--{NAME.replace('/', '--')}"
    copy, blobs = home / "snapshots" / ("a" * 40), home / "blobs"
    copy.mkdir(parents=True)
    blobs.mkdir()
    for path in tiny.iterdir():
        (blobs / path.name).write_bytes(path.read_bytes())
        (copy / path.name).symlink_to(f"../../blobs/{path.name}")
    found = local(NAME)
    assert found is not None and found.folder == copy
    (copy / "config.json").unlink()
    (copy / "config.json").symlink_to(tiny / "config.json")
    assert local(NAME) is None


def spaces(count: int) -> bytes:
    """So many MB of blanks, packed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(count)) + packer.flush()


@pytest.mark.parametrize(
    ("data", "headers", "told"),
    [
        (spaces(300), {"Content-Encoding": "gzip"}, "more than 32 MB"),
        (b" " * (40 << 20), {}, "more than 32 MB"),
        (b"[]", {}, "isn't understood"),
        (b"null", {}, "isn't understood"),
        (b"<html>", {}, "isn't understood"),
        (b"\xff", {}, "isn't understood"),
        (b"[" * 200_000, {}, "isn't understood"),
        (b'{"id": "e/m", "siblings": [null]}', {}, "isn't understood"),
        (b'{"id": "e/m", "siblings": 7}', {}, "isn't understood"),
        (b'{"id": "e/m", "lastModified": "zzz"}', {}, "isn't understood"),
        (b'{"id": "e/m", "siblings": [%s{"rfilename": "z"}]}' % (b'{"rfilename": "x"},' * 6000),
         {}, "6001 files"),
    ],
    ids=range(11),
)  # fmt: skip
def test_answers_that_no_hub_gives(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    headers: dict[str, str],
    told: str,
) -> None:
    source, before = vlm_repository(tiny, tmp_path / "repository"), peak_memory()
    with online_hub(NAME, source, monkeypatch) as hub:
        hub.instead = data, headers
        with pytest.raises(HubError, match=told) as refused:
            resolve(NAME)
        assert hub.fetched == []
    assert str(refused.value).isprintable() and "HF_ENDPOINT" in str(refused.value)
    assert peak_memory() < before + (200 << 20)


def test_an_answer_within_bounds_is_read_whole_and_a_file_as_it_comes() -> None:
    httpx = pytest.importorskip("httpx2")

    def answer(request: Any) -> Any:
        return httpx.Response(200, content=iter([b"ab", b"cd"]))

    hooks = {"response": [bounded]}
    with httpx.Client(transport=httpx.MockTransport(answer), event_hooks=hooks) as client:
        assert client.get("https://hub/x").content == b"abcd"
        with client.stream("GET", "https://hub/x") as response:
            assert b"".join(response.iter_bytes()) == b"abcd"
