"""What is drawn of the field: published and measured figures in pictures of their own."""

from __future__ import annotations

from collections.abc import Iterator

from galago.bench.chart import Axis, Series, Spot, chart, key
from galago.bench.field.models import RIVALS, TOWERS, VLMS, Vlm
from galago.bench.field.parts import ENGINES, Engine, first_token, latency
from galago.bench.field.published import Published, find, mean, number, published
from galago.bench.field.towers import parameters
from galago.bench.markdown import Report, Rows, measured
from galago.bench.svg import WIDTH, document, foot, text

__all__ = ["PICTURES", "clip", "curves", "first", "paper", "sizes"]

# Told apart by those who see no red or no green, on white and on dark paper.
OURS, OTHERS, THIRD = "#2f81c7", "#e07a1f", "#3a9d6b"
_SHADES = {"Qwen2-0.5B": "#7db9e8", "Qwen2-1.5B": "#2f81c7", "Qwen2-7B": "#1d4f7c"}
_GREENS = {"Qwen2-0.5B": "#8fd3ae", "Qwen2-1.5B": "#3a9d6b", "Qwen2-7B": "#1f5f3e"}
_LEFT, _TOP, _HIGH = 60, 76, 330
_PLACE = (_LEFT, _TOP, WIDTH - _LEFT - 120, _HIGH)
_MEAN = Axis("mean of DocVQA, MMMU and SeedBench-I, % (published)")


def _picture(title: str, series: list[Series], across: Axis, up: Axis, note: str) -> str:
    told = [one for one in series if one.spots]
    if not told:
        return ""
    parts = [text(20, 24, title, "title"), *key(told, 36)]
    parts += chart(told, across, up, _PLACE)
    bottom = _TOP + _HIGH + 56
    return document(title, bottom + 14, [*parts, text(20, bottom, note, "note")], dark=True)


def paper(report: Report) -> str:
    """Published accuracy against the published first token; `report` isn't looked at."""
    title = "Published: accuracy against first token, on an M1 Max"
    found: dict[tuple[str, str, str], Published] = {}
    for row in published():  # of several stages the last
        if row["kind"] == "vlm" and number(row, "ttft_ms") and mean(row) is not None:
            found[row["model"].split(" (")[0], row["llm"], row["input_px"]] = row
    ours = [_published_spot(row) for key_, row in found.items() if key_[0].startswith("FastVLM")]
    rest = [
        _published_spot(row) for key_, row in found.items() if not key_[0].startswith("FastVLM")
    ]
    series = [Series("FastVLM", OURS, ours), Series("others", OTHERS, rest)]
    note = "arXiv 2412.13303v2, tables 6, 10 and 11: encoder by Core ML, decoder by MLX in fp16"
    return _picture(title, series, Axis("milliseconds to the first token", log=True), _MEAN, note)


def _published_spot(row: Published) -> Spot:
    name = row["model"].split(" (")[0]
    if name.startswith("FastVLM"):
        name = f"{row['llm'].removeprefix('Qwen2-')} {row['input_px']} px"
    elif name == "ConvLLaVA":
        name = f"{name} {row['input_px']} px"
    return Spot(number(row, "ttft_ms") or 0.0, mean(row) or 0.0, name)


def first(report: Report) -> str:
    """Published accuracy against the first token measured here; "" before it is measured."""
    rows = measured(report)
    series = []
    for engine, colour in ((ENGINES[0], OTHERS), (ENGINES[2], OURS)):
        series.append(Series(engine.name, colour, [*_first_spots(rows, engine)]))
    title = "Measured here: published accuracy against first token"
    across = Axis("seconds to the first token", log=True)
    return _picture(title, series, across, _MEAN, foot(report["machine"]))


def _first_spots(rows: Rows, engine: Engine) -> Iterator[Spot]:
    for model in VLMS:
        found = first_token(rows, model, engine)
        accuracy = mean(row_of(model))
        if found is not None and accuracy is not None:
            yield Spot(found.seconds, accuracy, model.name.removeprefix("FastVLM "))


def row_of(model: Vlm) -> Published | None:
    """What was published of a model at this side; None for a shape that nobody trained so."""
    name, llm = model.published
    if model.group == "curve" and model.looks[0].tower != "FastViTHD":
        return None  # figure 4 of the paper draws them; no table has their figures
    return find(name, llm, model.px if model.group != "rival" or "px" in model.name else None)


def curves(report: Report) -> str:
    """FastViTHD against FastViT at equal decoder: first token by side; "" before it is measured."""
    rows, engine = measured(report), ENGINES[2]
    series = []
    for tower, shades in (("FastViTHD", _SHADES), ("FastViT", _GREENS)):
        for decoder, colour in shades.items():
            spots = [
                Spot(model.px, found.seconds, str(model.visual_tokens))
                for model in VLMS
                if model.group == "curve"
                and (model.looks[0].tower, model.decoder) == (tower, decoder)
                and (found := first_token(rows, model, engine)) is not None
            ]
            name = f"{tower} {decoder.removeprefix('Qwen2-')}"
            series.append(Series(name, colour, spots, joined=True))
    title = "FastViTHD and FastViT at equal decoder; numbers are visual tokens"
    across, up = Axis("pixels a side", log=True), Axis("seconds to the first token", log=True)
    return _picture(title, series, across, up, f"{engine.name}; {foot(report['machine'])}")


def clip(report: Report) -> str:
    """ImageNet zero-shot (published) against an image tower's latency measured here."""
    rows, engine = measured(report), ENGINES[1]
    ours: list[Spot] = []
    rest: list[Spot] = []
    for rival in RIVALS:
        took = latency(rows, rival, engine)
        right = number(find(rival.published), "ImageNet_top1")
        if took is not None and right is not None:
            spot = Spot(1000 * took, right, rival.name)
            (ours if rival.name.startswith("MobileCLIP") else rest).append(spot)
    series = [Series("MobileCLIP2", OURS, ours), Series("others", OTHERS, rest)]
    up = Axis("ImageNet zero-shot, % (published)")
    across = Axis("milliseconds of a picture, one at a time", log=True)
    title = "Measured here: zero-shot accuracy against latency"
    return _picture(title, series, across, up, f"{engine.name}; {foot(report['machine'])}")


def sizes(report: Report) -> str:
    """Visual tokens against the towers' parameters, by the shapes; `report` isn't looked at."""
    groups: dict[str, list[Spot]] = {"FastVLM": [], "with FastViT": [], "others": []}
    seen = set()
    for model in VLMS:
        if model.group == "tiles":  # of FastViTHD's, between those of its sides
            continue
        whole = sum(parameters(TOWERS[look.tower][0], look.side) for look in model.looks) / 1e6
        point = (model.visual_tokens, round(whole, 1))
        if point in seen:
            continue
        seen.add(point)
        fast = model.name.startswith("FastVLM")
        group = "with FastViT" if "FastViT " in model.name else "FastVLM" if fast else "others"
        label = model.name.split(", ", 1)[1] if fast else model.name
        groups[group].append(Spot(*point, label))
    colours = zip(groups.items(), (OURS, THIRD, OTHERS), strict=True)
    series = [Series(name, colour, spots) for (name, spots), colour in colours]
    title = "Visual tokens and parameters of the towers, counted from their shapes"
    across, up = Axis("visual tokens", log=True), Axis("millions of parameters", log=True)
    return _picture(title, series, across, up, "Towers as the models run them, without projectors")


PICTURES = {"-paper": paper, "-first": first, "-towers": curves, "-clip": clip, "-sizes": sizes}
