"""docs/comparison.md: the field beside FastVLM and MobileCLIP2, published and measured apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from galago.bench.field import picture
from galago.bench.field.claims import BORNE_OUT, CLAIMS
from galago.bench.field.models import DECODERS, PAPER_ONLY, RIVALS, TOWERS, VLMS, Vlm
from galago.bench.field.parts import ENGINES, Engine, answer, first_token, latency, together
from galago.bench.field.published import FIVE, find, mean, number, published
from galago.bench.field.rows import ENGINES as TRIED
from galago.bench.field.rows import TEXT, left_out, sizes_of
from galago.bench.field.towers import operations, parameters
from galago.bench.jobs import FIELD
from galago.bench.markdown import (
    MISSING,
    Report,
    Rows,
    disturbed,
    machine,
    measured,
    not_measured,
    prose,
    ratio,
)
from galago.bench.markdown import number as digits

__all__ = ["page"]

NOT_YET = "**Not measured yet.**"
_HOW = "`make bench-field` measures it and writes this page again."
_ANSWER = 32  # tokens
# Of whom the paper says how many times faster FastVLM is (section 4.1, and its tables).
PAIRS = (
    ("LLaVA-OneVision-0.5B", "FastVLM 0.5B, 1024 px"),
    ("ConvLLaVA-7B, 768 px", "FastVLM with Vicuna-7B, 768 px"),
    ("ConvLLaVA-7B, 1024 px", "FastVLM with Vicuna-7B, 1024 px"),
    ("LLaVA-NeXT-8B", "FastVLM 7B, 1024 px"),
    ("Cambrian-1-8B", "FastVLM 7B, 1024 px"),
)
_BY_NAME = {model.name: model for model in VLMS}


def page(report: Report) -> str:
    """The whole page. What isn't measured says so; no published figure stands in for it."""
    rows = measured(report)
    parts = [
        "# FastVLM and MobileCLIP2 beside the field\n",
        *_head(report),
        "## Accuracy and first token\n",
        *_accuracy(report),
        "## Engine against engine: what the 85 times are made of\n",
        *_engines(rows),
        "## FastViTHD and FastViT at equal decoder\n",
        *_curves(report),
        "## One picture or tiles\n",
        *_tiles(rows),
        "## Zero-shot accuracy and latency\n",
        *_clip(report),
        "## Visual tokens and size\n",
        *_sizes(report),
        "## What 1,000 pictures cost\n",
        *_cost(rows),
        "## Left out\n",
        *_left_out(rows),
        not_measured(report),
        "## Where the shapes are from\n",
        *_sources(),
    ]
    whole = "\n".join(parts).rstrip() + "\n"
    return re.sub(r"\n{3,}", "\n\n", whole)


def _head(report: Report) -> Iterator[str]:
    yield prose(
        """Made by `make bench-field`; nothing here is written by hand. Published figures come from
        [published.tsv](../galago/data/published.tsv), each with its source. Published times are
        those of other machines: they are never on an axis, or in a ratio, with ours. What is
        measured here are shapes with random weights (speed doesn't depend on their values): each
        tower and each decoder once, in two engines, in processes of their own. A model's first
        token is its towers' time and its decoder's for the visual tokens and a question of """
        f"""{TEXT}, without projectors and connectors, as the FastVLM paper counts it."""
    )
    yield ""
    if any("points" in row for row in measured(report).values()):
        words = f"Machine: {machine(report)}, {report['runs']} runs.{disturbed(report)}"
        yield prose(f"{words} {_formats(measured(report))}") + "\n"
    else:
        yield f"{NOT_YET} {_HOW}\n"


def _formats(rows: Rows) -> str:
    """The number formats that towers ran in."""
    told = []
    for engine, where in (("PyTorch", "torch"), ("OpenVINO", "galago")):
        found = {
            str(row["precision"])
            for name, row in rows.items()
            if name.startswith(f"{FIELD}tower/") and f"/{where}/" in name and "precision" in row
        }
        told += [f"{engine}'s towers ran in {' and '.join(sorted(found))}."] if found else []
    return " ".join(told)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, marks, *lines)) + "\n"


def _drawn(report: Report, name: str, about: str) -> str:
    return f"![{about}](comparison{name}.svg)\n" if picture.PICTURES[name](report) else ""


def _per_cent(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"


# -- accuracy and first token ----------------------------------------------------------------------


def _accuracy(report: Report) -> Iterator[str]:
    rows = measured(report)
    yield prose(
        f"""Accuracy is published: the mean of DocVQA, MMMU and SeedBench-I, which nearly all have;
        of {", ".join(FIVE)} (the paper's Avg-5) where all five were published. FastVLM's rows are
        those of the last stage that was published at that side, told as the samples (millions, of
        pretraining and instruction) that it learned from: figures of other stages aren't alike.
        The M1 Max column is the paper's."""
    )
    yield ""
    yield _drawn(report, "-paper", "Published accuracy against published first token")
    yield _drawn(report, "-first", "Published accuracy against first token measured here")
    lines = []
    for model in VLMS:
        told = picture.row_of(model)
        found = [first_token(rows, model, engine) for engine in ENGINES]
        if told is None and not any(found):
            continue
        ours = [digits(one.seconds) if one else "not yet" for one in found]
        paper = number(told, "ttft_ms")
        lines.append(
            [
                f"{model.name} ({model.note})" if "accuracies" in model.note else model.name,
                told["data_M_pt+it"] if told else "",
                _per_cent(mean(told)),
                _per_cent(mean(told, FIVE)),
                digits(paper, 1e-3),
                *ours,
            ]
        )
    heads = [
        "model",
        "data, M",
        "mean of 3, %",
        "Avg-5, %",
        "M1 Max, s",
        *(f"{e.name}, s" for e in ENGINES),
    ]
    yield _table(heads, lines)
    yield from _paper_only()


def _paper_only() -> Iterator[str]:
    """Models of which there is the paper alone."""
    for name in PAPER_ONLY:
        rows = [row for row in published() if row["model"].startswith(f"{name} ")]
        told = "; ".join(f"{row['model']} {_per_cent(mean(row))} %" for row in rows)
        yield prose(
            f"""{name} has no published code or weights: it can't be run, here or elsewhere. Its
            rows are from the paper alone ({rows[0]["source"].split(" Table")[0]}): {told}."""
        )
        yield ""


# -- engines ---------------------------------------------------------------------------------------


def _engines(rows: Rows) -> Iterator[str]:
    yield prose(
        f"""The paper's 85 times is LLaVA-OneVision-0.5B against FastVLM-0.5B with one pair of
        engines for both (it takes ten crops as ten times one). So is each ratio below: it tells
        the architectures apart, and how it changes along a line what an engine makes of them.
        {_pair_of_engines(rows)}"""
    )
    yield ""
    heads = ["slower", "faster", "paper, M1 Max", *(engine.name for engine in ENGINES)]
    lines = []
    for left, right in PAIRS:
        models = _BY_NAME[left], _BY_NAME[right]
        paper = [number(picture.row_of(model), "ttft_ms") for model in models]
        printed = paper[0] / paper[1] if paper[0] and paper[1] else None
        here = [_here(rows, models, engine) for engine in ENGINES]
        lines.append([left, right, ratio(printed, 1.0), *map(_told, here), _verdict(printed, here)])
    yield _table([*heads, "borne out here"], lines)


def _here(rows: Rows, models: tuple[Vlm, Vlm], engine: Engine) -> float | str:
    """How many times as long the first takes as the second; or why that isn't told."""
    left, right = (first_token(rows, model, engine) for model in models)
    if left is None or right is None:
        return "not yet"
    if not together(rows, (*left.rows, *right.rows)):
        return "measured apart"
    return left.seconds / right.seconds


def _told(here: float | str) -> str:
    return here if isinstance(here, str) else ratio(here, 1.0)


def _verdict(printed: float | None, here: Sequence[float | str]) -> str:
    """Whether every engine's ratio reaches the printed one."""
    told = [one for one in here if not isinstance(one, str)]
    if printed is None or not told:
        return MISSING
    reached = sum(one >= printed * (1 - BORNE_OUT) for one in told)
    return "yes" if reached == len(told) else "**no**" if not reached else "**not in every engine**"


def _pair_of_engines(rows: Rows) -> str:
    """FastVLM-0.5B, the same shape in both engines."""
    model = _BY_NAME[PAIRS[0][1]]
    slow, fast = (first_token(rows, model, engine) for engine in (ENGINES[0], ENGINES[2]))
    if not slow or not fast or not together(rows, (*slow.rows, *fast.rows)):
        return ""
    times = ratio(slow.seconds, fast.seconds)
    return f"{model.name} itself: PyTorch takes {times} as long as OpenVINO with an int8 decoder."


# -- curves and tiles ------------------------------------------------------------------------------


def _curves(report: Report) -> Iterator[str]:
    rows = measured(report)
    yield prose(
        """The blue and the green curves of the paper's figure 4, in time alone: nobody published
        the accuracies behind them as figures. The same decoder reads a quarter of the tokens."""
    )
    yield ""
    yield _drawn(report, "-towers", "First token by side, FastViTHD and FastViT")
    yield from _group(rows, "curve")


def _tiles(rows: Rows) -> Iterator[str]:
    yield prose(
        """FastViTHD at one side, or the same picture as tiles with an overview (AnyRes): more
        tokens for as many pixels. The paper (figure 6) finds tiles worth it only at the highest
        sides."""
    )
    yield ""
    yield from _group(rows, "tiles")


def _group(rows: Rows, group: str) -> Iterator[str]:
    lines = []
    for model in VLMS:
        if model.group == group:
            found = [first_token(rows, model, engine) for engine in ENGINES]
            if any(found):
                ours = [digits(one.seconds) if one else "not yet" for one in found]
                lines.append([model.name, str(model.visual_tokens), *ours])
    heads = ["model", "visual tokens", *(f"{engine.name}, s" for engine in ENGINES)]
    yield _table(heads, lines) if lines else f"{NOT_YET} {_HOW}\n"


# -- CLIP ------------------------------------------------------------------------------------------


def _clip(report: Report) -> Iterator[str]:
    rows = measured(report)
    yield prose(
        """Image towers alone, one picture at a time. ImageNet zero-shot and the mean of 38 sets are
        published. SigLIP2's image towers have SigLIP's shapes; its accuracies aren't in the tables
        that galago has. MobileCLIP2-B and texts are in [benchmark-clip.md](benchmark-clip.md)."""
    )
    yield ""
    yield _drawn(report, "-clip", "Zero-shot accuracy against latency measured here")
    lines = []
    for rival in RIVALS:
        tower, told = TOWERS[rival.tower][0], find(rival.published)
        took = [latency(rows, rival, engine) for engine in ENGINES[:2]]
        lines.append(
            [
                rival.name,
                str(rival.side),
                f"{parameters(tower, rival.side) / 1e6:.1f}",
                digits(operations(tower, rival.side), 1e-9),
                _per_cent(number(told, "ImageNet_top1")),
                _per_cent(number(told, "avg_38")),
                *(digits(one, 1000) if one is not None else "not yet" for one in took),
            ]
        )
    heads = ["model", "px", "million parameters", "GFLOP", "ImageNet, %", "38 sets, %"]
    yield _table([*heads, *(f"{engine.name}, ms" for engine in ENGINES[:2])], lines)


# -- sizes and costs -------------------------------------------------------------------------------


def _sizes(report: Report) -> Iterator[str]:
    yield prose(
        f"""Counted from the shapes of what the models run: without CLIP's head (2.4 M of
        FastViTHD), without projectors. A claim within {BORNE_OUT:.0%} is borne out."""
    )
    yield ""
    yield _drawn(report, "-sizes", "Visual tokens and parameters of the towers")
    lines = [
        [
            f"{claim.words} ({claim.where})",
            f"{claim.factor:g}×",
            f"{claim.counted():.2f}×",
            claim.relative_to,
            "yes" if claim.holds else "**no**",
        ]
        for claim in CLAIMS
    ]
    yield _table(["claim", "printed", "counted", "relative to", "borne out"], lines)
    lines = []
    for model in VLMS:
        if model.group == "rival" or (model.group == "curve" and "0.5B" in model.name):
            lines.append(_size_line(model))
    heads = [
        "model",
        "px",
        "visual tokens",
        "towers, million",
        "vision GFLOP",
        "published, million",
    ]
    yield _table(heads, lines)


def _size_line(model: Vlm) -> list[str]:
    towers = [(TOWERS[look.tower][0], look) for look in model.looks]
    whole = sum(parameters(tower, look.side) for tower, look in towers) / 1e6
    work = sum(look.count * operations(tower, look.side) for tower, look in towers) / 1e9
    told = picture.row_of(model)
    name = f"{model.name}: {model.note}" if model.note else model.name
    printed = told["image_params_M"] if told else ""
    return [
        name,
        str(model.px),
        f"{model.visual_tokens:,}",
        f"{whole:.1f}",
        digits(work),
        printed or MISSING,
    ]


def _cost(rows: Rows) -> Iterator[str]:
    yield prose(
        f"""Hours that the measured machine is busy with 1,000 pictures, each asked once and
        answered in {_ANSWER} tokens, one after the other: multiply by what an hour of yours costs.
        Several at once share the reading of weights and cost less (see performance.md)."""
    )
    yield ""
    lines = []
    for model in VLMS:
        found = [answer(rows, model, engine, _ANSWER) for engine in ENGINES]
        if any(found):
            hours = [digits(one, 1000 / 3600) if one else "not yet" for one in found]
            lines.append([model.name, *hours])
    heads = ["model", *(f"{engine.name}, h" for engine in ENGINES)]
    yield _table(heads, lines) if lines else f"{NOT_YET} {_HOW}\n"


# -- what isn't there, and why ---------------------------------------------------------------------


def _left_out(rows: Rows) -> Iterator[str]:
    for name in DECODERS:
        for engine, precisions in TRIED.items():
            for precision in precisions:
                if why := left_out(name, engine, precision):
                    where = "OpenVINO" if engine == "galago" else engine
                    yield f"- {name} in {where} {precision}: {why}"
    for name, row in rows.items():
        for size, why in row.get("left_out", {}).items():
            yield f"- {name}, {size}: {why}"
    yield "- MobileCLIP2-B among the towers: benchmark-clip.md has it, stem and all"
    yield f"- {', '.join(PAPER_ONLY)}: no code, no weights\n"


def _sources() -> Iterator[str]:
    lines = [[name, source] for name, (_, source) in TOWERS.items() if sizes_of(name)]
    lines += [[name, told.source] for name, told in DECODERS.items()]
    seen = {model.source: model.name.split(",")[0] for model in VLMS}
    lines += [[name, source] for source, name in seen.items()]
    table = _table(["shape", "source"], lines)
    yield table.replace("---:", "---", 1)
