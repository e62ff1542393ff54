"""Pictures to measure doubt with: known ones that were held out, and ones never taught.

Known: the shards that a model was trained on. Their train part shows what was taught; of the val
part, which it never saw, one half is fitted with and the other measured with, by recording and by
key. Unknown: shards of anything else, or a folder of pictures with their names. What names a thing
that the model does know is left out.
"""

from __future__ import annotations

import hashlib
import io
import random
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from galago.errors import CheckpointError, OptionError
from galago.train.nano.data.assets import hand_split, samples

# "beside": measured, but with figures of its own: what was taught, as it never came in training.
Part = Literal["taught", "fit", "measure", "beside"]
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SIDE = 384  # of the page that a cut-out is put on


@dataclass(frozen=True)
class Shown:
    """A picture, where it comes from, what it shows, and what it is for.

    `truth` is a label, a number of fingers or a text; "" of what was never taught. `group`: no
    picture of one is measured with where another was fitted with.
    """

    picture: Image.Image
    source: str
    kind: str  # "object", "fingers", "emoji", "note", "scene" (scenes.py); "unknown"
    truth: str
    part: Part
    group: str


def halved(text: str, seed: int) -> Part:
    """One of two halves, the same for the same text."""
    return "fit" if number_of(f"{seed}-{text}") % 2 else "measure"


def known(shards: Collection[Path], seed: int, each: int, taught: int) -> Iterator[Shown]:
    """Of shards that were trained on `each` pictures of the val part, and `taught` a label."""
    for shard in shards:
        rows = list(rows_of(shard))
        for info, data in _chosen(rows, "val", seed, each):
            part = halved(_group(info), seed)
            yield _known(info, data, shard, part)
        by_label: dict[str, list[tuple[dict[str, Any], bytes]]] = defaultdict(list)
        for info, data in _chosen(rows, "train", seed, len(rows)):
            by_label[_truth(info)].append((info, data))
        for several in by_label.values():
            for info, data in several[:taught]:
                yield _known(info, data, shard, "taught")


def beside(shards: Collection[Path], seed: int, most: int) -> Iterator[Shown]:
    """Hands and texts as training never had them, from shards with `fingers` or `text`."""
    for shard in shards:
        rows = sorted(rows_of(shard), key=lambda row: number_of(f"{seed}-{row[0]['key']}"))
        for info, data in rows[:most]:
            kind = "fingers" if "fingers" in info else "note"
            truth = str(info.get("fingers", info.get("text")))
            picture = opened(data, shard).convert("RGB")
            yield Shown(picture, source_of(shard), kind, truth, "beside", _group(info))


def labels_of(shards: Collection[Path]) -> list[str]:
    """The labels that a model was taught with these shards."""
    rows = (info for shard in shards for info, _ in rows_of(shard) if info.get("task") == "object")
    return sorted({info["label"] for info in rows if info["split"] == "train"})


def unknown(
    place: Path, taught: Collection[str], seed: int, most: int, *, held_out: bool
) -> Iterator[Shown]:
    """At most `most` pictures of a shard or a folder that show nothing of `taught`.

    Whole groups (a book's pictures) are fitted with or measured with; `held_out`: measured alone.
    """
    avoided = {singular(name) for name in taught}
    rows = folder_rows(place) if place.is_dir() else _captioned(place)
    fit = [row for row in rows if not names_any(row[1], avoided)]
    fit.sort(key=lambda row: number_of(f"{seed}-{row[0]}"))
    for key, _, group, data in fit[:most]:
        part = "measure" if held_out else halved(group, seed)
        picture = cut_out(opened(data, place), key)
        yield Shown(picture, source_of(place), "unknown", "", part, group)


def words_of(places: Collection[Path], taught: Collection[str]) -> dict[str, list[str]]:
    """Short names of things by source, without those that hold one of `taught`: what to ask for
    that a model was never taught."""
    avoided = {part for name in taught for part in singular(name).split()}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for place in places:
        for label in _named(place) if place.is_dir() else _labels(place):
            words = label.lower().strip()
            if _NAME.fullmatch(words) and not avoided & set(singular(words).split()):
                found[source_of(place)][words] += 1
    return {
        source: [word for word, _ in some.most_common(MOST_WORDS)] for source, some in found.items()
    }


_NAME = re.compile("[a-z ]{3,20}")
MOST_WORDS = 400  # of a source, the commonest


def _labels(shard: Path) -> Iterator[str]:
    for info, _ in rows_of(shard):
        yield from info.get("labels", [])


def _named(folder: Path) -> Iterator[str]:
    for _, words, _, _ in folder_rows(folder):
        yield words.split(" ; ")[1]


def names_any(text: str, names: Collection[str]) -> bool:
    """Whether a text holds one of the names, as words in the singular."""
    words = f" {singular(text)} "
    return any(f" {name} " in words for name in names)


def singular(text: str) -> str:
    """Lower-case words without a plural's s, with single blanks between."""
    words = re.findall("[a-z]+", text.lower())
    return " ".join(w[:-1] if w.endswith("s") and not w.endswith("ss") else w for w in words)


def source_of(place: Path) -> str:
    """captions-openstax-0.tar and -1.tar are one source."""
    return re.sub(r"-\d+$", "", place.stem)


def _known(info: dict[str, Any], data: bytes, shard: Path, part: Part) -> Shown:
    kind = "fingers" if info["task"] == "fingers" else "object"
    picture = opened(data, shard).convert("RGB")
    return Shown(picture, source_of(shard), kind, _truth(info), part, _group(info))


def _group(info: dict[str, Any]) -> str:
    return str(info.get("group", info["key"]))


def _truth(info: dict[str, Any]) -> str:
    return str(info["fingers"] if info["task"] == "fingers" else info["label"])


def _chosen(
    rows: list[tuple[dict[str, Any], bytes]], split: str, seed: int, most: int
) -> list[tuple[dict[str, Any], bytes]]:
    found = [row for row in rows if (row[0].get("split") or hand_split(row[0])) == split]
    return sorted(found, key=lambda row: number_of(f"{seed}-{row[0]['key']}"))[:most]


def _captioned(shard: Path) -> list[tuple[str, str, str, bytes]]:
    """Key, words, group and bytes of what a shard has captions or labels of."""
    rows = []
    for info, data in rows_of(shard):
        detected = [name for name, _ in info.get("detected", [])]
        words = [*info.get("captions", []), *info.get("labels", []), *detected]
        rows.append((info["key"], " ; ".join(words), _group(info), data))
    return rows


def folder_rows(folder: Path) -> list[tuple[str, str, str, bytes]]:
    """The same of pictures in a folder, named by a .txt beside them and by their paths.

    Mirrored and turned copies (Tux Paint's stamps have them) are left out.
    """
    rows = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or re.search("_(mirror|flip)", path.stem):
            continue
        name = path.relative_to(folder).as_posix()
        told = path.with_suffix(".txt")
        line = told.read_text("utf-8", "replace").split("\n")[0] if told.is_file() else ""
        words = f"{line} ; {path.stem} ; {path.parent.name}".replace("_", " ")
        rows.append((name, words, path.parent.as_posix(), path.read_bytes()))
    return rows


def rows_of(shard: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """As `samples`, with the shard's name in the keys; OptionError for what is no shard."""
    try:
        for info, data in samples(shard):
            yield info | {"key": f"{shard.stem}/{info['key']}"}, data
    except (OSError, tarfile.TarError, ValueError) as error:
        raise OptionError(f"{shard} can't be read as a shard of pictures ({error})") from None


def opened(data: bytes, place: Path) -> Image.Image:
    """A picture of a shard or folder; CheckpointError for what is none."""
    try:
        return Image.open(io.BytesIO(data))
    except OSError as error:
        raise CheckpointError(f"a picture of {place} can't be read ({error})") from None


def cut_out(picture: Image.Image, key: str) -> Image.Image:
    """A cut-out on a plain page, white or of any colour; a photograph as it is."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    rng = random.Random(key)
    picture = picture.convert("RGBA")
    scale = SIDE * rng.uniform(0.6, 0.95) / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    white = rng.random() < 0.5
    colour = (255, 255, 255) if white else tuple(rng.randint(0, 255) for _ in range(3))
    page = Image.new("RGB", (SIDE, SIDE), colour)
    cut = picture.resize(size)
    page.paste(cut, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2), cut)
    return page


def number_of(text: str) -> int:
    """To sort by: the same for the same text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
