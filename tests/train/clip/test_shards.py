"""DataCompDR's shards written and read, Apple's bfloat16 rows too, and what is wrong with some."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.train.clip.augment import Augmentation
from galago.train.clip.shards import (
    Sample,
    SampleError,
    members,
    plain,
    read_sample,
    write_sample,
)
from tests.helpers.pickles import write_pt

AUGMENTATIONS = (Augmentation((1, 2, 30, 40), ((0, 0.0), (6, 0.27))),
                 Augmentation((0, 0, 9, 9), ((11, 178.5), (1, -0.09))))  # fmt: skip

_STREAM = io.BytesIO()
with zipfile.ZipFile(_STREAM, "w") as _archive:
    _archive.writestr("image_emb.npy", b"x")
# of a method of compression that nobody has
ODD = _STREAM.getvalue().replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00",
                                 b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x63\x00")  # fmt: skip


def sample(key: str = "000000017") -> Sample:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (10, 200, 30)).save(stream, "webp", lossless=True)
    rng = np.random.default_rng(0)
    image_rows, text_rows = (rng.normal(size=(n, 7)).astype(np.float32) for n in (2, 3))
    return Sample(
        key, stream.getvalue(), "webp", "a gröt", ("one", "two"), AUGMENTATIONS, image_rows,
        text_rows,
    )  # fmt: skip


def written(*samples: Sample, dtype: str = "float32") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for one in samples:
            write_sample(tar, one, dtype)
    return stream.getvalue()


def parts() -> dict[str, bytes]:
    ((_, held),) = members(io.BytesIO(written(sample())))
    return dict(held)


def wrong(held: dict[str, bytes]) -> str:
    with pytest.raises(SampleError) as caught:
        read_sample(held, "k", "00000.tar")
    message = str(caught.value)
    assert message.startswith("00000.tar:k: ") and "\n" not in message
    return message


@pytest.mark.parametrize("dtype", ("float32", "float16"))
def test_what_is_written_is_read(dtype: str) -> None:
    given = [sample("000000017"), sample("dir/000000018")]
    found = [
        read_sample(held, key, "x.tar")
        for key, held in members(io.BytesIO(written(*given, dtype=dtype)))
    ]
    for one, other in zip(given, found, strict=True):
        for part in dataclasses.fields(Sample):
            if not part.name.endswith("rows"):
                assert getattr(one, part.name) == getattr(other, part.name)
        for name in ("image_rows", "text_rows"):
            kept = getattr(one, name).astype(dtype).astype(np.float32)
            assert np.array_equal(getattr(other, name), kept)
            assert getattr(other, name).dtype == np.float32


def test_the_same_sample_gives_the_same_bytes_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    before = written(sample())
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert written(sample()) == before


def test_the_names_are_those_of_datacompdr() -> None:
    held = parts()
    assert {*held} == {"webp", "txt", "syn.json", "paug.json", "npz", "json"}
    told = json.loads(held["paug.json"])["param_aug"]
    assert json.loads(told)[0] == [[1, 2, 30, 40], [[0, 0.0], [6, 0.27]]]  # JSON in a text
    assert json.loads(held["syn.json"]) == {"syn_text": ["one", "two"]}
    with np.load(io.BytesIO(held["npz"]), allow_pickle=False) as rows:
        assert rows["image_emb"].shape == (2, 7) and rows["text_emb"].shape == (3, 7)


def test_rows_of_torch_files_are_read_as_data(tmp_path: Path) -> None:
    one, held = sample(), parts()
    path = write_pt(tmp_path / "rows.pth", {"image_emb": one.image_rows, "text_emb": one.text_rows})
    del held["npz"]
    found = read_sample(held | {"pth.gz": gzip.compress(path.read_bytes())}, "k", "00000.tar")
    assert np.array_equal(found.image_rows, one.image_rows)
    assert np.array_equal(found.text_rows, one.text_rows)


def test_torchs_own_bfloat16_file_is_read() -> None:
    torch = pytest.importorskip("torch")
    one, held, stream = sample(), parts(), io.BytesIO()
    rows = {"image_emb": one.image_rows, "text_emb": one.text_rows}
    torch.save({n: torch.tensor(array).bfloat16() for n, array in rows.items()}, stream)
    del held["npz"]
    found = read_sample(held | {"pth.gz": gzip.compress(stream.getvalue())}, "k", "00000.tar")
    assert np.allclose(found.image_rows, one.image_rows, rtol=2**-8, atol=0)


def test_several_lists_of_captions_are_one(tmp_path: Path) -> None:
    one, held = sample(), parts()
    rows = {"image_emb": one.image_rows, "text_emb": one.text_rows[:1],
            "syn_text_emb": one.text_rows[1:2], "syn_text_b_emb": one.text_rows[2:]}  # fmt: skip
    path = write_pt(tmp_path / "rows.pth", rows)
    del held["npz"]
    held["pth.gz"] = gzip.compress(path.read_bytes())
    held["syn.json"] = json.dumps({"syn_text_b": ["two"], "syn_text": ["one"]}).encode()
    found = read_sample(held, "k", "00000.tar")
    assert found.synthetic == ("one", "two") and np.array_equal(found.text_rows, one.text_rows)
    # of a third list rows were never made
    told = {"syn_text_b": ["two"], "syn_text": ["one"], "syn_text_a": ["x", "y"]}
    held["syn.json"] = json.dumps(told).encode()
    again = read_sample(held, "k", "00000.tar")
    assert again.synthetic == ("one", "two") and np.array_equal(again.text_rows, one.text_rows)


def test_what_a_sample_lacks_is_said() -> None:
    held = parts()
    assert "no picture: join" in wrong({n: d for n, d in held.items() if n != "webp"})
    assert "no .paug.json" in wrong({n: d for n, d in held.items() if n != "paug.json"})
    assert "no .txt" in wrong({n: d for n, d in held.items() if n != "txt"})
    assert "neither npz nor pth.gz" in wrong({n: d for n, d in held.items() if n != "npz"})


@pytest.mark.parametrize(
    "name, data",
    [
        ("paug.json", b"{"), ("paug.json", b"[]"), ("paug.json", b'{"param_aug": "[]"}'),
        ("paug.json", b"[" * 100_000), ("npz", b"PK\x03\x04nothing"), ("npz", b""),
        ("paug.json", b'{"param_aug": [[[1e999, 0, 9, 9], [[0, 0]]]]}'), ("npz", ODD),
        ("syn.json", b'{"syn_text": ["\\ud800", "two"]}'), ("txt", b"\xff"),
        ("syn.json", b'{"syn_text": 5}'),
        ("syn.json", b'{"syn_text": ["one"]}'), ("syn.json", b"null"),
    ],
)  # fmt: skip
def test_damaged_parts_are_a_line(name: str, data: bytes) -> None:
    wrong(parts() | {name: data})


def test_rows_of_another_count_or_width_dont_fit() -> None:
    one = sample()
    for other in (
        dataclasses.replace(one, augmentations=AUGMENTATIONS[:1]),
        dataclasses.replace(one, image_rows=one.image_rows[:, :5]),
        dataclasses.replace(one, text_rows=one.text_rows[:2]),
    ):
        ((_, held),) = members(io.BytesIO(written(other)))
        wrong(held)
    nan = dataclasses.replace(one, image_rows=one.image_rows * np.nan)
    ((_, held),) = members(io.BytesIO(written(nan)))
    assert "no rows of numbers" in wrong(held)


def test_a_pickle_among_the_rows_is_never_run() -> None:
    stream = io.BytesIO()
    np.savez(stream, image_emb=np.array([{"a": 1}], object), text_emb=np.zeros((1, 1)))
    assert "allow_pickle=False" in wrong(parts() | {"npz": stream.getvalue()})


def test_a_shard_that_is_cut_short_gives_what_is_before_the_cut() -> None:
    whole = written(sample("a"), sample("b"))
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        second = next(one for one in tar if one.name.startswith("b.syn"))
    for cut in (second.offset, second.offset + 100, second.offset_data, second.offset_data + 5):
        found = []
        with pytest.raises(tarfile.ReadError):
            for key, _ in members(io.BytesIO(whole[:cut])):
                found.append(key)
        assert found == ["a"]


def test_a_picture_that_cant_be_opened_is_a_line() -> None:
    for data in (b"", b"no picture", sample().picture[:40]):
        with pytest.raises(SampleError, match="x:1: the picture can't be opened"):
            plain(data, "x:1")
