"""What galago's own code gives, for the browser's album to give too: python album_goldens.py FOLDER

Prints JSON: ids of texts, shares, doubt, rankings, dates. FOLDER gets the model's tokenizer.json.
"""

from __future__ import annotations

import base64
import json
import random
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from galago.album.days import stretch
from galago.album.match import Background, is_close, reach
from galago.album.ranking import Part, View, compared
from galago.album.sights import sights
from galago.album.store import Head
from galago.album.vectors import Rows
from galago.album.wording import Quotes
from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.doubt import Taught, read_taught
from galago.clip.labels import shares_of
from galago.clip.mobileclip import unit
from galago.errors import OptionError
from galago.export.transformers_js_clip import write_clip_configuration
from galago.hub.resolve import resolve
from galago.media.exif import date_in, taken
from galago.text.clip_tokens import load_clip_tokenizer
from galago.text.languages import language_note, needs_english

DIM, PHOTOS, SHOWN, ABSENT = 32, 700, 40, 25
PIECES = (
    "a dog", "Red DRESS", "it's", "Don't", "we'll've", "naïve café", "ŉ", "ﬁsh ﬂag", "Ǆ", "ﬅop",
    "&amp;", "&amp;amp;", "&lt;b&gt;", "&eacute;", "P&EACUTE;REZ", "&notit;", "&not", "&#233;", "&#x41;",
    "&#128;", "&#0;", "&#xD800;", "&#7;", "&unknown;", "&ngE;", "<b>", "<start_of_text>", "<end_of_text>",
    "\n", "\t", "\u00a0", "\u3000", "\x1b[31m", "\x07", "\ufeff", "\u200b", "\x85", "\x91quoted\x92",
    "“curly”", "‘s", "ＦＵＬＬ　ｗｉｄｔｈ", "ｶﾅ", "红色连衣裙", "一只猫在窗台上", "日本語", "한국어", "Привет", "ελληνικά",
    "שלום", "नमस्ते", "🦊", "👩‍👩‍👧‍👦", "🇩🇪", "❤️", "½", "²", "١٢٣", "1,234.5", "$5", "e\u0301", "a\u0345", "ſ's",
    "İstanbul", "ß", "ǅ", "...", "!!?", "-_-", "@home", "#tag", "supercalifragilisticexpialidocious", "x" * 90,
)  # fmt: skip
ODD = (
    "", " ", "&", "&;", "a" + "\u0301" * 40 + "b", "word " * 100, "dog " * 3000, "z" * 9000, "\ud83e\udd8a",
    "\ud83e alone", "&amp;\n<p> &amp; &eacute;", "line\r\nline", "&#xFFFFFFFF;", "a\u2028b",
)  # fmt: skip
DATES = (
    "2025",
    "2025-06",
    "2025-06-14",
    "2024-02-29",
    "2025-02-29",
    "2025-13",
    "1825",
    "1826",
    "soon",
    "2025-6-4",
)
EXIF = ("2024:05:10 14:20:00", "2024-05-10", "0000:00:00 00:00:00", "1970:01:01 00:00:00", "2024:02:30 10:00:00",
        "2024:05:10 14:20", "  2024/1/2 3:4:5.678+02:00", "3024:01:01 00:00:00", "2024:05:10 25:00:00", "text")  # fmt: skip


def texts() -> list[str]:
    draw = random.Random(7)
    mixed = [
        draw.choice(("", " ", "  ")).join(draw.choices(PIECES, k=draw.randint(2, 6)))
        for _ in range(400)
    ]
    return [*PIECES, *ODD, *mixed]


def packed(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()


def words(folder: Path) -> dict[str, Any]:
    checkpoint = open_clip_checkpoint(resolve("mobileclip2-nano").folder)
    write_clip_configuration(folder, checkpoint, {})
    tokenizer = load_clip_tokenizer(checkpoint.spec.text.vocab)
    return {
        "context": checkpoint.spec.text.context,
        "texts": [
            {
                "text": text,
                "ids": tokenizer([text], checkpoint.spec.text.context)[0].tolist(),
                "cut": tokenizer.truncated(text, checkpoint.spec.text.context),
                "foreign": needs_english(text),
                "note": language_note([text], "model"),
            }
            for text in texts()
        ],
    }


def rankings(folder: Path, draw: np.random.Generator) -> dict[str, Any]:
    def rows(count: int) -> Any:
        return unit(draw.standard_normal((count, DIM)).astype(np.float32)).astype(np.float16)

    photos, shown, absent = (
        rows(PHOTOS),
        rows(SHOWN).astype(np.float32),
        rows(ABSENT).astype(np.float32),
    )
    (folder / "vectors.f16").write_bytes(photos.tobytes())
    background = Background(shown, absent)
    reached = reach(photos.astype(np.float32), background)
    head = Head("model", "", "", DIM, 1, PHOTOS, 0.0)
    view = View(
        head, Rows(folder / "vectors.f16", DIM, PHOTOS), np.array([], np.intp), background, reached
    )
    asked = []
    for number in range(24):
        near = photos[draw.integers(PHOTOS)].astype(np.float32)
        mixed = unit(near + draw.normal(0, 0.05 + 0.02 * number, DIM).astype(np.float32))
        kinds = (
            [("words", True)],
            [("picture", True)],
            [("words", True), ("words", False)],
            [("words", True), ("picture", True)],
        )
        parts = [
            Part(
                mixed if first == 0 else unit(draw.standard_normal(DIM).astype(np.float32)),
                kind,
                wanted,
            )
            for first, (kind, wanted) in enumerate(kinds[number % 4])
        ]
        among = np.arange(0, PHOTOS, 3) if number % 5 == 4 else None
        found = compared(view, parts, among, Quotes(), 1000, only_matches=False)
        asked.append({
            "parts": [{"vector": packed(p.vector), "kind": p.kind, "wanted": p.wanted} for p in parts],
            "third": among is not None,
            "found": [[one.row, one.score, one.match, one.match and is_close(one.strength)] for one in found],
        })  # fmt: skip
    return {
        "dim": DIM, "photos": packed(photos), "shown": packed(shown), "absent": packed(absent),
        "reach": reached.tolist(), "asked": asked,
        "sights": sights(photos[:50].astype(np.float32) * 3, absent),
    }  # fmt: skip


def doubts(draw: np.random.Generator) -> dict[str, Any]:
    folder = resolve("mobileclip2-nano").folder
    taught: Taught | None = read_taught(folder, lambda: _identity(folder))
    assert taught is not None and taught.words is not None and taught.word_space is not None
    features = unit(draw.standard_normal((20, len(taught.middle))).astype(np.float32))
    features[:10] = unit(taught.middle + 0.3 * features[:10])
    near = unit(taught.words[:10] @ taught.word_space.T + 0.2 * features[:10])
    return {
        "file": str(folder / "doubt.tensors"),
        "features": [packed(one) for one in features],
        "known": [taught.known(one) for one in features],
        "doubted": [taught.doubts(taught.known(one)) for one in features],
        "words": [packed(one) for one in (*near, *features)],
        "strange": taught.strange(np.concatenate([near, features])),
    }


def _identity(folder: Path) -> str:
    from galago.clip.mobileclip import MobileCLIP

    return MobileCLIP(open_clip_checkpoint(folder)).identity


def dates(folder: Path) -> dict[str, Any]:
    def spoken(text: str) -> list[str] | None:
        try:
            return [when.isoformat(" ") for when in stretch(text)]
        except OptionError:
            return None

    files = []
    for number, (tag, value, order) in enumerate([
        (0x9003, "2024:05:10 14:20:00", "II"), (0x9004, "2023:01:02 03:04:05", "MM"), (None, "", "II"),
    ]):  # fmt: skip
        exif = Image.Exif()
        exif.endian = "<" if order == "II" else ">"
        if tag is not None:
            exif.get_ifd(0x8769)[tag] = value
        else:
            exif[0x0132] = "2022:03:04 05:06:07"
        path = folder / f"{number}.jpg"
        Image.new("RGB", (8, 8)).save(path, exif=exif)
        with Image.open(path) as opened:
            files.append([str(path), taken(opened)])
    return {
        "typed": {text: spoken(text) for text in DATES},
        "exif": {text: date_in(text) for text in EXIF},
        "files": files,
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(3)
    rows = unit(draw.standard_normal((9, DIM)).astype(np.float32))
    shares = {
        "rows": packed(rows[1:]),
        "seen": packed(rows[0]),
        "shares": shares_of(rows[1:] @ rows[0], 13.5),
    }
    found = {
        "words": words(folder), "ranking": rankings(folder, draw), "doubt": doubts(draw), "shares": shares,
        "dates": dates(folder), "today": datetime.now().isoformat(),
    }  # fmt: skip
    sys.stdout.buffer.write(json.dumps(found, ensure_ascii=True).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
