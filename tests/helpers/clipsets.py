"""Small stand-ins of the field's benchmarks, in the forms that clip_benchmark reads."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.places import TOP

__all__ = ["SEEN", "captions_tars", "labels_tars", "picture", "shown"]

SEEN = {  # photographs of examples/album, and what they show
    "IMG_1041": "mushroom",
    "IMG_2322": "garlic",
    "IMG_2681": "pineapple",
    "IMG_6148": "hat",
    "IMG_6234": "banana",
    "IMG_9385": "lemon",
}


def shown(name: str) -> bytes:
    """A photograph of the album, as its file has it."""
    return (TOP / "examples" / "album" / f"{name}.jpg").read_bytes()


def picture(number: int) -> bytes:
    """A PNG of its own for each number."""
    rng = np.random.default_rng(number)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (40 + number % 3, 48, 3), np.uint8)).save(out, "png")
    return out.getvalue()


def labels_tars(
    folder: Path,
    samples: Sequence[tuple[bytes, int]],
    names: Sequence[str],
    templates: Sequence[str],
    metadata: Sequence[Sequence[int]] = (),
    tars: int = 2,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """A set of labels in WebDataset form; `extra` are more files of the first sample."""
    every: list[dict[str, bytes]] = []
    for number, (data, label) in enumerate(samples):
        end = "png" if data.startswith(b"\x89PNG") else "jpg"
        files = {end: data, "cls": str(label).encode()}
        if metadata:
            out = io.BytesIO()
            np.save(out, np.array(metadata[number]))
            files["npy"] = out.getvalue()
        every.append(files)
    if extra:
        every[0] |= extra
    _tars(folder, every, tars)
    (folder / "classnames.txt").write_text("\n".join(names) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates) + "\n")
    return folder


def captions_tars(folder: Path, samples: Sequence[tuple[bytes, Sequence[str]]]) -> Path:
    """A set of pictures with captions in WebDataset form."""
    _tars(folder, [{"jpg": data, "txt": "\n".join(texts).encode()} for data, texts in samples], 1)
    (folder / "dataset_type.txt").write_text("retrieval\n")
    return folder


def captions_folder(folder: Path, samples: Sequence[tuple[bytes, Sequence[str]]]) -> Path:
    """The same as COCO's files, with its annotations as JSON."""
    (folder / "val2014").mkdir(parents=True)
    images, annotations = [], []
    for number, (data, texts) in enumerate(samples):
        (folder / "val2014" / f"{number}.jpg").write_bytes(data)
        images.append({"id": number, "file_name": f"{number}.jpg"})
        for text in texts:
            annotations.append({"id": len(annotations), "image_id": number, "caption": text})
    found = {"images": images, "annotations": annotations}
    (folder / "coco_test_karpathy.json").write_text(json.dumps(found))
    return folder


def _tars(folder: Path, samples: Sequence[Mapping[str, bytes]], tars: int) -> None:
    place = folder / "test"
    place.mkdir(parents=True)
    (place / "nshards.txt").write_text(f"{tars}\n")
    each = -(-len(samples) // tars)
    for number in range(tars):
        with tarfile.open(place / f"{number}.tar", "w") as tar:
            for index in range(number * each, min((number + 1) * each, len(samples))):
                for end, data in samples[index].items():
                    info = tarfile.TarInfo(f"s{index:07d}.{end}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
