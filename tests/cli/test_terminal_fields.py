"""docs/cli.md names every field of every --json, and no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from galago.album import album_folder
from galago.album.keeper import Keeper
from galago.cli import embed
from galago.convert import cached, store
from galago.convert.selfcheck import judge
from galago.engine.precision import PrecisionPlan
from galago.errors import StorageError
from galago.export.figures import Proof
from galago.export.layouts import Same
from galago.export.web import WebProof
from galago.places import albums_dir
from tests.helpers.albums import FakeClip, say
from tests.helpers.clips import tiny_clip
from tests.helpers.commandline import documented, run
from tests.helpers.kept import fill_cache
from tests.helpers.tables import FakeCrew, KeptTable

Capture = pytest.CaptureFixture[str]


def emitted(capsys: Capture, *lines: list[str | Path]) -> set[str]:
    """The fields of all records that command lines write, those of lists of objects too."""

    def fields(record: dict[str, Any]) -> Iterator[str]:
        for name, value in record.items():
            yield name
            for one in value if isinstance(value, list) else ():
                yield from (f"{name}[].{key}" for key in one) if isinstance(one, dict) else ()

    found: set[str] = set()
    for line in lines:
        records = [json.loads(row) for row in run(capsys, *line).out.splitlines()]
        assert records, line
        found |= {name for record in records for name in fields(record)}
    return found


def test_describe_and_watch(
    capsys: Capture, ready: Path, picture: Path, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"none")
    (schema := tmp_path / "schema.json").write_text('{"type": "object"}')
    short = ("-m", ready, "--max-tokens", "2", "--json")
    assert documented("describe and watch") == emitted(
        capsys,
        ["describe", picture, tmp_path / "bad.jpg", clip, *short],
        ["describe", picture, "-p", "What?", *short],
        ["describe", picture, "--schema", schema, *short],
        ["watch", clip, "--every", "9s", *short],
    )


def test_classify(capsys: Capture, clip_folder: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"none")
    shutil.copy(picture, tmp_path)
    line = ["classify", tmp_path, "--labels", "a dog,狗", "-m", clip_folder, "--json"]
    assert documented("classify") == emitted(capsys, line)


def test_embed(
    capsys: Capture, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "open_table", lambda out: KeptTable(tmp_path, {}))
    monkeypatch.setattr(embed, "_crew", lambda work, ray, bar: FakeCrew)
    assert documented("embed") == emitted(capsys, ["embed", picture, "out.lance", "--json"])


def test_albums(capsys: Capture, indexed: Path, clip: Path) -> None:
    shutil.copy(indexed / "red" / "0.png", indexed / "again.png")
    shutil.copy(clip, indexed)
    (indexed / "bad.png").write_bytes(b"none")
    assert run(capsys, "index").code == 1
    say(albums_dir() / "default", "red", "0", "an invoice")
    search = [["search", "red", "--json"], ["search", "红", "--all", "-k", "99", "--json"]]
    search.append(["search", "赤い", "--all", "--json"])
    search.append(["search", "--text", "invoice", "--json"])
    keeper = Keeper(album_folder("door"), FakeClip("fake-1"), "mobileclip2-nano")
    keeper.keep(indexed / "red" / "0.png", "red")
    keeper.close()
    search.append(["search", "red", "--all", "--json", "--album", "door"])
    assert documented("search") == emitted(capsys, *search)
    assert documented("duplicates") == emitted(capsys, ["duplicates", "--json"])
    album: list[list[str | Path]] = [["album", "--json"], ["album", "--failed", "--json"]]
    assert documented("album") == emitted(capsys, *album)


def test_cache(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path))
    fill_cache(tmp_path, tmp_path)
    shown: list[str | Path] = ["cache", "--json"]
    monkeypatch.setattr(cached, "remove", refused)
    assert documented("cache") == emitted(capsys, shown, ["cache", "clear", "-y", "--json"])


def refused(thing: cached.Thing) -> None:
    raise StorageError(f"{thing.place} can't be removed: no")


def test_models(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = store.Entry(tmp_path, "mine", PrecisionPlan("fp32", "int8"), "int8", 1)
    monkeypatch.setattr(store, "kept", lambda name=None: [] if name else [own])
    assert documented("models") == emitted(capsys, ["models", "--json"])
    last = json.loads(run(capsys, "models", "--json").out.splitlines()[-1])
    assert set(last) == {"model", "kind", "used", "here", "bytes", "summary"}


def test_export(capsys: Capture, tmp_path: Path) -> None:
    model = tiny_clip(tmp_path / "model")
    line: list[str | Path] = ["export", model, tmp_path / "out", "--dtype", "fp32", "--json"]
    words = Proof("fp32", judge([], [], "fp32"), 0.0, 6, 6)
    layout = Same("stored", 1, 2, 0)
    page = WebProof("mine", words.to_json())
    fields = {name for proof in (words, layout, page) for name in proof.to_json()}
    assert documented("export") == {"folder", *fields} | emitted(capsys, line)
