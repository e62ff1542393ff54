"""Rows of the field: each tower and each decoder at all its sizes, in either engine.

In the order that says most in the first half hour: FastVLM-0.5B and LLaVA-OneVision-0.5B, the
towers of CLIP's kind, today's small models, then the curves and the large decoders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from galago.bench.field.models import DECODERS, RIVALS, TOWERS, VLMS
from galago.bench.jobs import FIELD, Job, Row, Settings
from galago.bench.vlm.cost import decoder_weights

__all__ = ["ENGINES", "PACKAGES", "TEXT", "left_out", "prompt", "row_name", "rows", "sizes_of"]

PACKAGES = ("openvino", "numpy", "torch", "timm", "transformers")
TEXT = 30  # tokens of the question, behind the visual ones
MEMORY = 22e9  # bytes of 24 GB that a process may take; the system and the page cache have the rest
# Engines, and the precisions of decoders in them; torch finds its own.
ENGINES = {"galago": ("bf16", "int8"), "torch": ("best",)}
_TOWERS_FIRST = ("FastViTHD", "SigLIP-SO400M/14, 26 layers")
_KNOWN, _DECODED = 256 + TEXT, 16


def prompt(visual_tokens: int) -> str:
    """The size that a decoder's row has for this many visual tokens."""
    return str(visual_tokens + TEXT)


def sizes_of(name: str) -> list[str]:
    """Sides and counts "SIDExCOUNT" that a tower is seen with, or a decoder's numbers of tokens."""
    if name in DECODERS:
        found = {prompt(one.visual_tokens) for one in VLMS if one.decoder == name}
        return sorted(found, key=int)
    looks = {(look.side, look.count) for one in VLMS for look in one.looks if look.tower == name}
    looks |= {(one.side, 1) for one in RIVALS if one.tower == name}
    return [f"{side}x{count}" for side, count in sorted(looks)]


def rows(settings: Settings) -> list[Row]:
    """In the order of measuring. A quick run measures none of them."""
    if settings.quick:
        return []
    sides = {name: [int(size.split("x")[0]) for size in sizes_of(name)] for name in TOWERS}
    counted = Job("field.claims.counted", {"towers": {n: sorted({*s}) for n, s in sides.items()}})
    first = [
        Row(f"{FIELD}shapes", counted, once=True),
        *_tower(_TOWERS_FIRST[0], settings),
        *_decoder("Qwen2-0.5B", settings),
    ]
    first += _tower(_TOWERS_FIRST[1], settings)
    of_clip = dict.fromkeys(one.tower for one in RIVALS)
    small = ("SigLIP-B/16", "SigLIP-SO400M/14")
    others = dict.fromkeys([*of_clip, *small, *TOWERS])
    decoders = ("SmolLM2-135M", "SmolLM2-360M", "Phi-1.5")
    before = [
        row for name in others if name in {*of_clip, *small} for row in _tower(name, settings)
    ]
    middle = [row for name in decoders for row in _decoder(name, settings)]
    rest = [row for name in others for row in _tower(name, settings)]
    heavy = [row for name in DECODERS for row in _decoder(name, settings)]
    return list({row.name: row for row in [*first, *before, *middle, *rest, *heavy]}.values())


def _asked(settings: Settings, **more: Any) -> dict[str, Any]:
    return {"threads": settings.threads, "runs": settings.runs} | more


def _tower(name: str, settings: Settings) -> Iterator[Row]:
    options = _asked(settings, tower=name, sizes=sizes_of(name))
    if not options["sizes"]:
        return
    yield Row(row_name(name, "galago", "bf16"), Job("field.ours.tower", options))
    modules = ("torch", "timm")
    job = Job("field.peers.tower", options, modules)
    yield Row(row_name(name, "torch", "best"), job, packages=modules, ours=False)


def _decoder(name: str, settings: Settings) -> Iterator[Row]:
    asked = _asked(settings, decoder=name, sizes=sizes_of(name), known=_KNOWN, decoded=_DECODED)
    for engine, precisions in ENGINES.items():
        for precision in precisions:
            if left_out(name, engine, precision):
                continue
            row = row_name(name, engine, precision)
            if engine == "galago":
                yield Row(row, Job("field.ours.decoder", asked | {"precision": precision}))
            else:
                modules = ("torch", "transformers")
                job = Job("field.peers.decoder", asked, modules)
                yield Row(row, job, packages=modules, ours=False)


def row_name(part: str, engine: str, precision: str) -> str:
    """What the row of a tower or a decoder is called; slashes, commas, spaces become hyphens."""
    kind = "decoder" if part in DECODERS else "tower"
    slug = part.replace("/", "-").replace(", ", "-").replace(" ", "-")
    return f"{FIELD}{kind}/{slug}/{engine}/{precision}"


def left_out(decoder: str, engine: str, precision: str) -> str:
    """Why a decoder isn't measured so; "" if it is."""
    told = DECODERS[decoder]
    if engine == "galago" and told.kind == "phi":
        return "its parallel blocks aren't among galago's networks"
    numbers = decoder_weights(told.spec) + (engine == "torch") * told.spec.vocab * told.spec.hidden
    # OpenVINO packs its own copy of weights that lie in memory.
    each = {"bf16": 4, "int8": 2, "best": 2}[precision]
    if each * numbers > MEMORY:
        return f"its weights would take {each * numbers / 1e9:.0f} GB"
    return ""
