"""Batches out of shards: for any number of processes, from any step, whatever is damaged."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tarfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")

from galago.checkpoints.clip_config import clip_image_spec  # noqa: E402
from galago.errors import OptionError, StorageError  # noqa: E402
from galago.text.clip_tokens import load_clip_tokenizer  # noqa: E402
from galago.train.clip.augment import Augmentation, replay  # noqa: E402
from galago.train.clip.reading import Place, find_shards, read_shard  # noqa: E402
from galago.train.clip.shards import plain, write_sample  # noqa: E402
from galago.train.clip.stream import Lessons, Stream, first_sample  # noqa: E402
from tests.helpers.clips import TINY_CLIP  # noqa: E402
from tests.helpers.reinforced import reinforced, write_shards  # noqa: E402

ALONE = Place()
IMAGE = clip_image_spec(32, 32, (0.0,) * 3, (1.0,) * 3, "bilinear")
SPEC = dataclasses.replace(TINY_CLIP, image=IMAGE)


def lessons(folder: Path, batch: int = 4, **more: Any) -> Lessons:
    given = {"dims": (6, 5), "two": True, "spec": SPEC, "seed": 3, "shuffle": 5} | more
    return Lessons(find_shards(str(folder)), batch=batch, **given)


def batches(
    folder: Path, count: int, place: Place = ALONE, start: int = 0, **more: Any
) -> list[Any]:
    return list(islice(Stream(lessons(folder, **more), place, start, 0), count))


def tell(batch: Any) -> bytes:
    """What is in a batch, to compare."""
    tensors = (batch.pixels, *batch.texts, batch.image_rows, *batch.text_rows)
    return b"".join(tensor.numpy().tobytes() for tensor in tensors)


def test_a_batch_is_a_replayed_augmentation_with_its_rows(tmp_path: Path) -> None:
    write_shards(tmp_path, [3, 3])
    (batch,) = batches(tmp_path, 1, batch=6)
    assert batch.pixels.shape == (6, 3, 32, 32) and batch.pixels.dtype == torch.uint8
    tokenizer = load_clip_tokenizer(SPEC.text.vocab)
    seen = set()
    for number in range(6):
        one = reinforced(number, (6, 5))
        squares = [replay(plain(one.picture, ""), a, 32) for a in one.augmentations]
        for place in range(6):
            own = batch.pixels[place].permute(1, 2, 0).numpy()
            for which, square in enumerate(squares):
                row = batch.image_rows[place].numpy()
                if np.array_equal(own, np.asarray(square)) and np.allclose(
                    row, one.image_rows[which], atol=1e-3
                ):
                    assert np.array_equal(batch.texts[0][place], tokenizer([one.text])[0])
                    said = [
                        which
                        for which, text in enumerate(one.synthetic)
                        if np.array_equal(batch.texts[1][place], tokenizer([text])[0])
                    ]
                    told = batch.text_rows[1][place].numpy()
                    assert np.allclose(told, one.text_rows[1 + said[0]], atol=1e-3)
                    seen.add(number)
    assert seen == {*range(6)}


def test_two_processes_see_together_what_one_sees(tmp_path: Path) -> None:
    write_shards(tmp_path, [11])
    alone = batches(tmp_path, 5, batch=4)
    parts = [batches(tmp_path, 5, Place(rank, 2), batch=2) for rank in range(2)]
    for whole, first, second in zip(alone, *parts, strict=True):
        assert torch.equal(whole.pixels, torch.cat([first.pixels, second.pixels]))
        assert torch.equal(whole.texts[1], torch.cat([first.texts[1], second.texts[1]]))


def test_with_enough_shards_each_reads_its_own(tmp_path: Path) -> None:
    write_shards(tmp_path, [4, 4])
    texts = [batches(tmp_path, 1, Place(rank, 2), batch=4)[0].image_rows for rank in range(2)]
    assert not torch.equal(*texts)
    rows = torch.cat(texts).numpy()
    known = [reinforced(number, (6, 5)).image_rows for number in range(8)]
    found = [min(range(8), key=lambda n: np.abs(known[n] - row).min(0).sum()) for row in rows]
    assert sorted(found) == list(range(8))


@pytest.mark.parametrize("counts", ([9], [5, 4]))
def test_from_any_step_it_goes_on_as_it_would_have(tmp_path: Path, counts: list[int]) -> None:
    write_shards(tmp_path, counts)
    whole = batches(tmp_path, 7)
    assert [tell(b) for b in batches(tmp_path, 4, start=3)] == [tell(b) for b in whole[3:]]
    assert len({tell(batch) for batch in whole}) == 7


@pytest.mark.slow
def test_loading_processes_give_the_same_from_any_step(tmp_path: Path) -> None:
    write_shards(tmp_path, [6, 6])

    def loaded(start: int, count: int) -> list[bytes]:
        stream = Stream(lessons(tmp_path), Place(), start, 2)
        loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=2)
        return [tell(batch) for batch in islice(loader, count)]

    whole = loaded(0, 6)
    assert loaded(3, 3) == whole[3:] and loaded(2, 4) == whole[2:]


def test_epochs_draw_other_augmentations_in_another_order(tmp_path: Path) -> None:
    write_shards(tmp_path, [8])
    first, second = batches(tmp_path, 2, batch=8)
    assert not torch.equal(first.pixels, second.pixels)
    assert sorted(map(tuple, first.texts[0].tolist())) == sorted(
        map(tuple, second.texts[0].tolist())
    )


def test_without_synthetic_captions_there_is_one_text(tmp_path: Path) -> None:
    write_shards(tmp_path, [4], captions=0)
    (batch,) = batches(tmp_path, 1, two=False)
    assert len(batch.texts) == len(batch.text_rows) == 1


def test_a_shard_that_is_cut_short_is_told_and_the_rest_is_learnt(tmp_path: Path) -> None:
    write_shards(tmp_path, [4, 4])
    path = tmp_path / "00001.tar"
    path.write_bytes(path.read_bytes()[:9000])
    found = batches(tmp_path, 3, batch=4)
    notes = [note for batch in found for note in batch.notes]
    assert any("00001.tar is cut short or damaged" in note for note in notes)
    assert all(len(batch.pixels) == 4 for batch in found)


def test_a_sample_that_cant_be_read_is_made_up_for_and_told(tmp_path: Path) -> None:
    good, bad = reinforced(0, (6, 5)), reinforced(1, (6, 5))
    small = io.BytesIO()
    Image.new("RGB", (5, 5)).save(small, "png")
    for picture, why in ((b"nothing", "can't be opened"), (small.getvalue(), "another picture")):
        with tarfile.open(tmp_path / "00000.tar", "w") as tar:
            write_sample(tar, good)
            write_sample(tar, dataclasses.replace(bad, picture=picture))
        (batch,) = batches(tmp_path, 1, batch=2)
        assert len(batch.pixels) == 2 and torch.equal(batch.texts[0][0], batch.texts[0][1])
        (note,) = batch.notes
        assert "00000.tar:000000001" in note and why in note


def test_rows_of_other_teachers_end_it_in_a_line(tmp_path: Path) -> None:
    write_shards(tmp_path, [4], dims=(6, 6))
    with pytest.raises(OptionError, match="its rows have 12 numbers, and the teachers 6 . 5"):
        batches(tmp_path, 1)


def test_nothing_that_can_be_read_ends_it_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "00000.tar").write_bytes(b"no tar")
    with pytest.raises(OptionError, match="none of the shards has a sample: 00000.tar is cut"):
        batches(tmp_path, 1)
    with pytest.raises(OptionError, match="no sample of 1 shards can be read"):
        first_sample(find_shards(str(tmp_path)))


def test_shards_are_found_by_folder_braces_and_pipe(tmp_path: Path) -> None:
    write_shards(tmp_path, [2, 2])
    assert len(find_shards(str(tmp_path))) == 2
    assert len(find_shards(f"{tmp_path}/{{00000..00001}}.tar")) == 2
    with pytest.raises(OptionError, match="no such shard"):
        find_shards(f"{tmp_path}/{{00000..00002}}.tar")
    with pytest.raises(OptionError, match="holds no shards"):
        (tmp_path / "empty").mkdir()
        find_shards(str(tmp_path / "empty"))
    piped = find_shards(f"pipe:cat {tmp_path}/{{00000..00001}}.tar")
    assert first_sample(piped).text == "a red disc"


def test_a_bucket_that_throttles_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(tmp_path, [3])
    waited: list[float] = []
    monkeypatch.setattr("galago.train.clip.reading.sleep", waited.append)
    once = f"pipe:test -e {tmp_path}/met || (touch {tmp_path}/met; exit 22) && "
    shards = (f"{once}cat {tmp_path}/00000.tar",)
    assert first_sample(shards).text == "a red disc" and waited == [1.0]


def test_a_file_is_never_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shards(tmp_path, [2])
    name = "pipe:touch OWNED; echo .tar"
    (tmp_path / "00000.tar").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for place in (".", name):
        assert find_shards(place) == (str(tmp_path / name),)
        assert first_sample(find_shards(place)).text == "a red disc"
    assert not (tmp_path / "OWNED").exists()


def test_addresses_that_nothing_opens_are_refused() -> None:
    with pytest.raises(OptionError, match="no address that can be opened: .* 'pipe:some command"):
        find_shards("host:00000.tar")


def test_a_bucket_that_breaks_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some samples come, then nothing for a while: none is lost, none comes twice."""
    write_shards(tmp_path, [5])
    data = (tmp_path / "00000.tar").read_bytes()
    whole = [key for key, _ in read_shard(str(tmp_path / "00000.tar"), [])]
    waited: list[float] = []
    patience = 0

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > len(data) // 2 and len(waited) < patience:
                raise OSError("SLOW_DOWN")
            return super().read(size)

    def throttled(address: str) -> Any:
        return contextlib.closing(Breaking(data))

    def read(notes: list[str]) -> list[str]:
        waited.clear()
        return [key for key, _ in read_shard("s3://bucket/00000.tar", notes)]

    monkeypatch.setattr("galago.train.clip.reading.opened_far", throttled)
    monkeypatch.setattr("galago.train.clip.reading.sleep", waited.append)
    said: list[str] = []
    patience = 2
    assert read(said) == whole and waited == [1.0, 4.0] and not said
    patience = 99
    with pytest.raises(StorageError, match="s3://bucket/00000.tar .* refuses .SLOW_DOWN.: run the"):
        read(said)
    assert waited == [1.0, 4.0, 16.0, 60.0]


def test_a_reader_whose_shard_gives_nothing_reads_the_others(tmp_path: Path) -> None:
    write_shards(tmp_path, [4, 4])
    (tmp_path / "00001.tar").write_bytes(b"no tar")
    for rank in range(2):
        found = batches(tmp_path, 9, Place(rank, 2), batch=2)
        assert all(len(batch.pixels) == 2 for batch in found)


def test_what_cant_be_replayed_is_a_row_less(tmp_path: Path) -> None:
    bad = dataclasses.replace(
        reinforced(1, (6, 5)), augmentations=(Augmentation((0, 0, 9, 9), ((10, 9.0),)),) * 3
    )
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        write_sample(tar, reinforced(0, (6, 5)))
        write_sample(tar, bad)
    (batch,) = batches(tmp_path, 1, batch=2)
    (note,) = batch.notes
    assert "its augmentations can't be replayed" in note
