"""Training material: photographs from WebDataset shards, emoji designs, fonts and words.

Photographs are decoded once into one memory-mapped file, so that the workers share the pages and
an epoch reads no archive. Validation pictures, fonts and designs are kept apart here, by name, and
nowhere else.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from galago.errors import OptionError
from galago.train.nano.config import CONFIGS
from galago.train.nano.data.held_out import APART, FONTS, is_apart

SHORT_SIDE = 160  # px; the shorter side of what shows one thing
LARGER = ("captions", "labels", "hands-rooms")  # shards of scenes: as large as they are


@dataclass(frozen=True)
class Photo:
    """One decoded picture: where its bytes lie, and what its shard says of it."""

    offset: int
    height: int
    width: int
    info: dict[str, Any]


class PhotoStore:
    """Decoded RGB pictures, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self.data = np.memmap(folder / "photos.bin", np.uint8, "r")
        rows = json.loads((folder / "photos.json").read_text())
        self.photos = [Photo(*row) for row in rows]

    def picture(self, photo: Photo) -> Image.Image:
        size = photo.height * photo.width * 3
        flat = self.data[photo.offset : photo.offset + size]
        return Image.fromarray(flat.reshape(photo.height, photo.width, 3))

    def select(self, task: str, split: str) -> list[Photo]:
        """The photographs of a task ("object", "fingers", "background", "caption") in a split:
        "train", "val", or "apart" (held_out.py)."""
        return [p for p in self.photos if p.info["task"] == task and p.info["split"] == split]


def build_photos(shards: Path, out: Path) -> None:
    """Decode every shard under `shards` into `out`/photos.bin and photos.json (done once).

    OptionError where there are none: an empty file would be taken for what was decoded.
    """
    if (out / "photos.json").exists():
        return
    if not any(shards.glob("*.tar")):
        raise OptionError(f"{shards} holds no shards (NAME.tar): --data is the folder of them")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[int, int, int, dict[str, Any]]] = []
    offset = 0
    with open(out / "photos.bin", "wb") as sink:
        for shard in sorted(shards.glob("*.tar")):
            for info, data in samples(shard):
                picture = Image.open(io.BytesIO(data)).convert("RGB")
                if not shard.stem.startswith(LARGER):
                    picture = _shrunk(picture)
                info["shard"] = shard.stem
                info["split"] = split_of(info, shard.stem)
                sink.write(picture.tobytes())
                rows.append((offset, picture.height, picture.width, info))
                offset += picture.width * picture.height * 3
    part = out / "photos.json.part"
    part.write_text(json.dumps(rows))
    part.rename(out / "photos.json")


def samples(shard: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What each picture's .json says, with its `key`, and its bytes."""
    held: dict[str, dict[str, bytes]] = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            stem, _, ending = member.name.rpartition(".")
            stream = tar.extractfile(member)
            if stream is None:
                continue
            sample = held.setdefault(stem, {})
            sample[ending] = stream.read()
            if {"webp", "json"} <= sample.keys():
                info = json.loads(sample["json"])
                info["key"] = stem
                yield info, held.pop(stem)["webp"]


def _shrunk(picture: Image.Image) -> Image.Image:
    scale = SHORT_SIDE / min(picture.size)
    if scale >= 1:
        return picture
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BICUBIC)


# Frames of one recording are near-copies of each other, so whole recordings are held out: the
# second person of hands-counting, five of the larger recordings of hands-crops and every fourth of
# its single pictures, and the last fifth of the people of hands-signs (frames are numbered by
# person).
HELD_OUT_CROPS = frozenset({"996", "5", "15", "46", "Hand"})
HELD_OUT_SIGNS_FROM = 5500


def split_of(info: dict[str, Any], shard: str) -> str:
    """ "train", "val" or "apart": which side of the figures a picture stands on."""
    if is_apart(info, shard):
        return APART
    if shard == "hands-rooms":  # what is left has fives alone: nothing to measure counting with
        return "train"
    return str(info.get("split") or hand_split(info))


def hand_split(info: dict[str, Any]) -> str:
    group = str(info.get("group", ""))
    if info.get("source") == "finger-counting":
        return "val" if group == "Set2" else "train"
    if info.get("source") == "hands-dataset":
        single = group.startswith("pic") and int(group[3:]) % 4 == 0
        return "val" if group in HELD_OUT_CROPS or single else "train"
    if info.get("source") == "sign-language-digits":
        return "val" if int(group.split("_")[-1]) >= HELD_OUT_SIGNS_FROM else "train"
    return "train"


TRAIN_DESIGNS = (
    "noto",
    "noto-v1",
    "fluent-emoji",
    "fluent-emoji-flat",
    "openmoji",
    "emojione",
    "emojione-v1",
    "fxemoji",
    "streamline-emojis",
    "fluent-emoji-high-contrast",
)
HELD_OUT_DESIGN = "twemoji"
EMOJI_SIDE = 144


def emoji_names() -> list[str]:
    """The short names taught, as the icon sets spell them ("red-heart")."""
    text = (CONFIGS / "emoji.txt").read_text()
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def emoji_label(name: str) -> str:
    """As the photographs' labels spell it: one thing has one name."""
    return name if name == "t-shirt" else name.replace("-", " ")


@dataclass(frozen=True)
class EmojiStore:
    """Rendered emoji: (n, 144, 144, 4) uint8 RGBA, with name index and design of each."""

    pictures: np.ndarray
    names: np.ndarray
    designs: list[str]

    def select(self, split: str) -> list[int]:
        held = split == "val"
        return [i for i, d in enumerate(self.designs) if (d == HELD_OUT_DESIGN) == held]


def build_emoji(packages: Path, out: Path) -> None:
    """Rasterise the icon sets under `packages` (npm's @iconify-json) once into `out`/emoji.npz."""
    if (out / "emoji.npz").exists():
        return
    pictures, names, designs = [], [], []
    for design in (*TRAIN_DESIGNS, HELD_OUT_DESIGN):
        for index, drawn in rasterised(packages, design):
            pictures.append(np.asarray(drawn))
            names.append(index)
            designs.append(design)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "emoji.npz", pictures=np.stack(pictures), names=names, designs=designs)


def rasterised(packages: Path, design: str) -> Iterator[tuple[int, Image.Image]]:
    """The emoji of one icon set: which of `emoji_names`, and RGBA (EMOJI_SIDE, EMOJI_SIDE)."""
    import resvg_py

    icons = json.loads((packages / design / "icons.json").read_text())
    for index, name in enumerate(emoji_names()):
        entry = icons["icons"].get(icons.get("aliases", {}).get(name, {}).get("parent", name))
        if entry is None:
            continue
        width = entry.get("width", icons.get("width", 16))
        height = entry.get("height", icons.get("height", 16))
        box = f"{entry.get('left', 0)} {entry.get('top', 0)} {width} {height}"
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">{entry["body"]}</svg>'
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=EMOJI_SIDE, height=EMOJI_SIDE))
        drawn = Image.open(io.BytesIO(png)).convert("RGBA")
        yield index, drawn.resize((EMOJI_SIDE, EMOJI_SIDE))


def load_emoji(out: Path) -> EmojiStore:
    with np.load(out / "emoji.npz") as held:
        return EmojiStore(held["pictures"], held["names"], [str(d) for d in held["designs"]])


# Families never trained on: three handwritten, four printed.
HELD_OUT_FONTS = ("kalam", "short-stack", "handlee", "lora", "nunito", "ibm-plex-mono", "poppins")


def font_families(packages: Path, split: str) -> Sequence[str]:
    """Families under `packages`: "val" are the held-out ones, "apart" those with more hands."""
    names = sorted(p.name for p in packages.iterdir() if p.is_dir())
    chosen = {"val": HELD_OUT_FONTS, "apart": (*HELD_OUT_FONTS, *FONTS)}
    if split in chosen:
        return [n for n in names if n in chosen[split]]
    return [n for n in names if n not in chosen["apart"]]


def find_words(allowed: Container[str], most: int = 14000) -> list[str]:
    """Common English words (PyPI's wordfreq, Apache-2.0 code, CC BY-SA 4.0 data), 1–9 letters."""
    from wordfreq import top_n_list

    return [w for w in top_n_list("en", most) if len(w) < 10 and all(c in allowed for c in w)]
