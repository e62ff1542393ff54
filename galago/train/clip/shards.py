"""Reinforced shards, as Apple's DataCompDR has them: WebDataset tars, read and written.

Of one key: the picture, `txt` (its caption), `paug.json` (`param_aug`, the augmentations as JSON in
a text), `syn.json` (`syn_text`, synthetic captions), `npz` or `pth.gz` (`image_emb`, a row an
augmentation; `text_emb`, the caption's row and then those of the synthetic ones; several teachers'
rows stand side by side), `json` (`uid`, `sha256`).  `pth.gz` is read as data, never run.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from galago.checkpoints.tensors import Float, read_float
from galago.checkpoints.torchfile import TorchFile
from galago.errors import OptionError
from galago.media.images import HUSH, MAX_PIXELS, PICTURE_SUFFIXES
from galago.train.clip.augment import Augmentation, read_params

__all__ = ["Sample", "SampleError", "members", "plain", "read_sample", "write_sample"]

_MOST_ROWS = 1 << 28  # bytes of one picture's rows once they are unpacked
_SYNTHETIC = "syn_text"
_ADDRESS = re.compile(r" ?<_io\.BytesIO object at \w+>")


class SampleError(OptionError):
    """What is wrong with a sample; `where` it stands, as "00012.tar:000120017"."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where, self.what = where, what

    def __reduce__(self) -> tuple[Any, ...]:  # it comes back from loading processes
        return SampleError, (self.where, self.what)


@dataclass(frozen=True)
class Sample:
    """A reinforced picture.

    image_rows: float32 (augmentations, teachers' numbers); text_rows: float32 (1 + synthetic, the
    same).  kind: the picture's extension.
    """

    key: str
    picture: bytes
    kind: str
    text: str
    synthetic: tuple[str, ...]
    augmentations: tuple[Augmentation, ...]
    image_rows: Float
    text_rows: Float


def plain(data: bytes, name: str) -> Image.Image:
    """The stored picture in RGB as every reader of such shards opens it: no turning, no profile,
    transparency dropped.  SampleError for what can't be opened."""
    try:
        with HUSH:
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise nearly anything for damaged data
        told = _ADDRESS.sub("", " ".join(str(error).split()))  # else each time it is another
        reason = told[:120] or type(error).__name__
        raise SampleError(name, f"the picture can't be opened ({reason})") from None


# -- reading ---------------------------------------------------------------------------------------


def read_sample(members: Mapping[str, bytes], key: str, shard: str) -> Sample:
    """A sample of its members by extension; SampleError for one that lacks a part or doesn't fit.

    Of several lists of synthetic captions (`syn_text…`) all that have rows count, in order of their
    names; one whose rows stand apart has them under its name and `_emb`.
    """
    where = f"{shard}:{key}"
    kind = next((name for name in members if f".{name}" in PICTURE_SUFFIXES), "")
    if not kind:
        raise SampleError(where, "it has no picture: join the reinforcements with the pictures")
    for name in ("txt", "paug.json"):
        if name not in members:
            raise SampleError(where, f"it has no .{name}: galago reinforce writes one")
    try:
        told = _object(members["paug.json"])
        augmentations = read_params(told.get("param_aug"))
        rows = _rows(members)
        synthetic, text_rows = _texts(_object(members.get("syn.json", b"{}")), rows)
        text = members["txt"].decode()
    except Exception as error:  # numpy's and zipfile's readers raise nearly anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SampleError(where, f"its reinforcements can't be read ({reason})") from None
    image_rows = rows["image_emb"]
    if len(image_rows) != len(augmentations):
        raise SampleError(
            where, f"it has {len(augmentations)} augmentations and rows of {len(image_rows)}"
        )
    if image_rows.shape[1] != text_rows.shape[1] or len(text_rows) != 1 + len(synthetic):
        raise SampleError(
            where, f"its texts have {text_rows.shape}, its pictures {image_rows.shape} numbers"
        )
    return Sample(
        key, members[kind], kind, text, synthetic, augmentations, image_rows, text_rows
    )  # fmt: skip


def _object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _rows(members: Mapping[str, bytes]) -> dict[str, Float]:
    """The arrays of rows, float32 (n, numbers)."""
    if "npz" in members:
        found = _of_npz(members["npz"])
    elif "pth.gz" in members:
        found = _of_pth(members["pth.gz"])
    else:
        raise ValueError("neither npz nor pth.gz")
    for name in ("image_emb", "text_emb"):
        if name not in found:
            raise ValueError(f"no {name}")
    for name, array in found.items():
        if array.ndim != 2 or not np.isfinite(array).all():
            raise ValueError(f"{name} holds no rows of numbers")
    return found


def _of_npz(data: bytes) -> dict[str, Float]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_ROWS:
            raise ValueError("its rows are larger than any")
    with np.load(io.BytesIO(data), allow_pickle=False) as held:
        return {name: np.asarray(held[name], np.float32) for name in held.files}


def _of_pth(data: bytes) -> dict[str, Float]:
    """torch.save's tensors by name, bfloat16 in Apple's; read without running anything."""
    with gzip.open(io.BytesIO(data)) as stream:
        whole = stream.read(_MOST_ROWS + 1)
    if len(whole) > _MOST_ROWS:
        raise ValueError("its rows are larger than any")
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        file.write(whole)
        file.flush()
        held = TorchFile(file.name).tensors
        return {name: np.array(read_float(tensor), np.float32) for name, tensor in held.items()}


def _texts(told: Mapping[str, Any], rows: Mapping[str, Float]) -> tuple[tuple[str, ...], Float]:
    """The synthetic captions, and the rows of the caption and of them."""
    synthetic: list[str] = []
    parts = [rows["text_emb"]]
    names = sorted(name for name in told if name.startswith(_SYNTHETIC))
    apart = [name for name in names if f"{name}_emb" in rows]
    if apart and len(parts[0]) == 1:  # the others' rows were never made
        names = apart
    for name in names:
        # half a surrogate, which JSON can hold and a tokenizer can't, is a ValueError
        synthetic += [str(text).encode().decode() for text in told[name]]
        if f"{name}_emb" in rows:
            parts.append(rows[f"{name}_emb"])
    return tuple(synthetic), np.concatenate(parts)


def members(stream: IO[bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a tar as it is read, (key, its members by extension).

    tarfile.ReadError at the place where a tar was cut short.
    """
    key, held = "", dict[str, bytes]()
    heard = _Heard(stream)
    with tarfile.open(fileobj=heard, mode="r|") as tar:  # type: ignore[call-overload]
        for entry in tar:
            folder, _, name = entry.name.rpartition("/")
            stem, _, kind = name.partition(".")
            here = f"{folder}/{stem}" if folder else stem
            if not entry.isreg() or not stem:
                continue
            if here != key and held:
                yield key, held
                held = {}
            file = tar.extractfile(entry)
            data = file.read() if file else b""
            if len(data) != entry.size:
                raise tarfile.ReadError("unexpected end of data")
            key, held[kind.lower()] = here, data
    if any(heard.last):  # tarfile takes a cut between two members for the end
        raise tarfile.ReadError("unexpected end of data")
    if held:
        yield key, held


class _Heard:
    """A stream whose last block is remembered: zeros end a tar."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.last = stream, b"\x01"

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.last = data[-tarfile.BLOCKSIZE :] or self.last
        return data


# -- writing ---------------------------------------------------------------------------------------


def write_sample(tar: tarfile.TarFile, sample: Sample, dtype: npt.DTypeLike = np.float16) -> None:
    """Append a sample; the same one always gives the same bytes."""
    digest = hashlib.sha256(sample.picture).hexdigest()
    parts = {
        sample.kind: sample.picture,
        "txt": sample.text.encode(),
        "syn.json": _json({_SYNTHETIC: list(sample.synthetic)}),
        "paug.json": _json({"param_aug": json.dumps([a.to_json() for a in sample.augmentations])}),
        "npz": _npz({"image_emb": sample.image_rows, "text_emb": sample.text_rows}, dtype),
        "json": _json({"uid": sample.key, "sha256": digest}),
    }
    for kind, data in parts.items():
        entry = tarfile.TarInfo(f"{sample.key}.{kind}")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _npz(arrays: Mapping[str, Float], dtype: npt.DTypeLike) -> bytes:
    """As np.savez, but for the time of day, which it stores."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            held = io.BytesIO()
            np.lib.format.write_array(held, np.ascontiguousarray(array, dtype))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), held.getvalue())
    return stream.getvalue()
