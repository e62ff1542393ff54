"""What is told of FastVLM: Markdown tables from the rows that were measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from galago.bench.fit import exponent, line, medians
from galago.bench.markdown import (
    Report,
    Row,
    Rows,
    disturbed,
    machine,
    measured,
    middle,
    not_measured,
    number,
    prose,
    ratio,
)
from galago.bench.vlm.rows import PRECISIONS
from galago.bench.vlm.shares import Limits

__all__ = ["first_rows", "page"]

_LLAVA = "llava-onevision"
_TITLES = {"int8-int8": "int8-int8: vision in 8 bits too"}


def page(report: Report) -> str:
    """Markdown; what was not measured is a dash."""
    rows = measured(report)
    limits = Limits(rows)
    parts = [
        _about(report),
        _headline(rows),
        *(_precision(rows, limits, precision) for precision in PRECISIONS),
        _reading(rows),
        *_others(rows),
        _curves(rows),
        _limits(rows),
        not_measured(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def first_rows(rows: Rows) -> Iterator[tuple[str, str, Row]]:
    """(whose, precision, row) of the headline: the 0.5B shape at its own resolution, measured."""
    for name, row in rows.items():
        _, _, rest = name.partition("first/0.5B/")
        whose, _, rest = rest.partition("/")
        precision, _, side = rest.partition("/")
        if rest and side in ("", "1024") and "error" not in row:
            yield whose, precision, row


def _about(report: Report) -> str:
    drawn = any(first_rows(report["rows"]))
    pictures = "![First token beside its peers](performance.svg)\n\n" * drawn
    made = "galago bench --quick" if report["quick"] else "make bench"
    times = report["runs"] * report["rounds"]
    about = f"""Made by `{made}`: random weights of the published shapes (speed does not depend on
        their values), every row in a process of its own, medians of {times} runs after a warm-up.
        Machine: {machine(report)}."""
    return pictures + prose(about + disturbed(report))


def _headline(rows: Rows) -> str:
    found = list(first_rows(rows))
    if not found:
        return ""
    llava = {kind: middle(row, "first_token") for who, kind, row in found if who == _LLAVA}
    peer = _fastest(found, "transformers")
    lines = [
        "## First token\n",
        "| FastVLM-0.5B, 1024 px | first token s | LLaVA-OneVision bf16 takes | fp32 takes "
        "| transformers takes |",
        "|---|---:|---:|---:|---:|",
    ]
    names = {"galago": "**galago**", "transformers": "transformers' FastVLM"}
    names[_LLAVA] = "LLaVA-OneVision-0.5B's shape, torch"
    for whose, precision, row in found:
        took = middle(row, "first_token")
        cells = [f"{names.get(whose, whose)} {precision}", f"{number(took)}{_spread(row)}"]
        cells += [ratio(llava.get(kind), took) for kind in ("bf16", "fp32")]
        cells.append(ratio(peer, took))
        lines.append(f"| {' | '.join(cells)} |")
    about = """First token: from a picture's pixels and 30 tokens of text to the first token of the
        answer (256 tokens of picture; LLaVA-OneVision 7,290, one run each). transformers' ratio is
        to its faster precision; ± is half the range of the runs. transformers uses its
        default attention and the faster of torch's two memory layouts."""
    return "\n".join(lines) + "\n\n" + prose(about)


def _fastest(found: Sequence[tuple[str, str, Row]], whose: str) -> float | None:
    """A peer's first token in its better precision."""
    took = [middle(row, "first_token") for name, _, row in found if name == whose]
    return min((seconds for seconds in took if seconds), default=None)


def _spread(row: Row) -> str:
    values = row["samples"].get("first_token", [])
    if len(values) < 2:
        return ""
    return f" ±{50 * (max(values) - min(values)) / statistics.median(values):.0f} %"


def _named(rows: Rows, start: str) -> Iterator[tuple[str, Row]]:
    return ((name, row) for name, row in rows.items() if name.startswith(start))


def _precision(rows: Rows, limits: Limits, precision: str) -> str:
    """One table: every shape and resolution in one precision, its self-check beside it."""
    lines = [
        f"## {_TITLES.get(precision, precision)}\n",
        "| model | px | vision s | prefill s | first token s | second token ms | tokens/s "
        "| loaded MB | peak MB | self-check: cosine, least, top-1, KL |",
        "|---|---:|" + "---:|" * 7 + "---|",
    ]
    for name, row in _named(rows, "first/"):
        parts = name.split("/")
        if len(parts) == 5 and parts[2] == "galago" and parts[3] == precision:
            lines.append(_speed(parts[1], parts[4], row, limits))
    return "\n".join(lines) if len(lines) > 3 else ""


def _reading(rows: Rows) -> str:
    if not dict(_named(rows, "first/")):
        return ""
    return prose(
        """In these tables vision is resizing, trunk and projector (one graph: the two are not told
        apart), prefill all tokens up to the first of the answer, second token the first step of
        decoding; loaded is resident memory when the first answers have been given, peak the most of
        the whole process. The self-check compares with float32: cosine of picture tokens (mean,
        least), agreement of the next token, KL divergence. nano's are those of trained weights; of
        random ones, which magnify every rounding, they say little, and only conversion of the real
        weights, which runs the same check, can tell."""
    )


def _speed(model: str, side: str, row: Row, limits: Limits) -> str:
    shares = limits.shares(row)
    cells = [model, side]
    for key in ("vision", "prefill"):
        cells.append(number(middle(row, key)) + _percent(shares.get(key)))
    cells.append(number(middle(row, "first_token")) + _spread(row))
    cells.append(number(middle(row, "first_decode"), 1e3))
    cells.append(number(middle(row, "tokens_per_second")) + _percent(shares.get("decode")))
    cells += [f"{row[key] / 1e6:,.0f}" for key in ("answered_bytes", "peak_bytes")]
    return f"| {' | '.join([*cells, _check(row)])} |"


def _percent(share: float | None) -> str:
    return "" if share is None else f" ({share:.0%})"


def _check(row: Row) -> str:
    check = row.get("self_check")
    if not check:
        return "runs from its checkpoint"
    figures = (
        f"{check['cosine_mean']:.4f}, {check['cosine_min']:.4f}, {check['top1']:.1%}, "
        f"{check['kl']:.4f}"
    )
    return figures + ("" if check["passed"] else " (not passed)")


def _others(rows: Rows) -> Iterator[str]:
    lines = ["## Again, and from a cold start\n", "| what | seconds | |", "|---|---:|---|"]
    for name, row in _named(rows, "second/"):
        one, two = middle(row, "first_question"), middle(row, "second_question")
        share = f"{two / one:.0%} of the first" if one and two else ""
        lines.append(f"| {name[7:]}: second question on a picture | {number(two)} | {share} |")
    for name, row in _named(rows, "start/"):
        for kind, about in (("cold", "files not in memory"), ("warm", "again")):
            took, token = middle(row, kind), middle(row, f"{kind}_first_token")
            rest = f"{number(took - token)} s before the question" if took and token else ""
            what = f"{name[6:]}: `galago describe`, process start to first token, {about}"
            lines.append(f"| {what} | {number(took)} | {rest} |")
    if len(lines) > 3:
        yield "\n".join(lines)
    vision = [(n, r) for n, r in _named(rows, "vision/")]
    if vision:
        yield "\n".join(_graphs(rows, vision))


def _graphs(rows: Rows, vision: Sequence[tuple[str, Row]]) -> Iterator[str]:
    yield "## The vision graph alone\n"
    yield "| px | ONNX Runtime fp32 s | transformers fp32 s | galago fp32 s | galago bf16 s |"
    yield "|---:|---:|---:|---:|---:|"
    for name, row in vision:
        side = name.rsplit("/", 1)[1]
        others = ("transformers/fp32", "galago/fp32", "galago/bf16")
        cells = [number(middle(row, "vision"))]
        cells += [number(middle(rows.get(f"first/0.5B/{o}/{side}"), "vision")) for o in others]
        yield f"| {side} | {' | '.join(cells)} |"
    yield "\n" + prose(
        """ONNX Runtime runs the trunk without the projector; the others have it with the trunk,
        fused into one graph, so the two are not told apart."""
    )


_GROWTH = {
    "resolution": ("looking, by the side in pixels", "power"),
    "prompt": ("prefill, by tokens of text", "line"),
    "answer": ("the answer behind its first token, by tokens", "line"),
    "requests": ("all replies, by requests at once", "line"),
    "threads": ("first token, by threads", "power"),
    "describe": ("`galago describe`, by pictures of 12 megapixels", "line"),
}


def _curves(rows: Rows) -> str:
    lines = ["| what | model | from | to | grows as |", "|---|---|---:|---:|---|"]
    for name, row in _named(rows, "curve/"):
        _, along, model = name.split("/")
        points = medians(row["points"])
        if len(points) > 1:
            what, kind = _GROWTH[along]
            ends = [f"{number(cost)} s at {size:g}" for size, cost in (points[0], points[-1])]
            if kind == "power":
                grows = f"size^{exponent(points):.2f}"
            else:
                fixed, each = line(points)
                grows = f"{number(fixed)} s + {number(each, 1e3)} ms each"
            lines.append(f"| {what} | {model} | {ends[0]} | {ends[1]} | {grows} |")
    if len(lines) == 2:
        return ""
    head = "## How it grows\n\n![Curves of cost](performance-curves.svg)\n\n"
    return head + "\n".join(lines)


# What the engine calls the arithmetic that was asked for.
_RAN = {"fp32": ("f32",), "bf16": ("bf16",), "int8": ("i8", "u8")}


def _limits(rows: Rows) -> str:
    lines = ["## What the machine can do\n", "| limit | measured |", "|---|---:|"]
    for name, row in _named(rows, "roofline/"):
        samples = row["samples"]
        if "gflops" in samples:
            ran = "" if row["ran_in"] in _RAN[name[9:]] else f" (ran in {row['ran_in']})"
            lines.append(
                f"| products in {name[9:]}{ran} | {number(max(samples['gflops']))} GFLOP/s |"
            )
        else:
            read = number(max(samples["gigabytes_per_second"]))
            lines.append(f"| reading memory | {read} GB/s |")
    about = """Percentages behind times are the share of these limits that was reached: a part's
        operations over its time and the product's rate in its precision, or in a wider one where
        that is faster (prefill of int8 and int4 against int8); a token's bytes of weights and cache
        over the bandwidth."""
    return "\n".join(lines) + "\n\n" + prose(about) if len(lines) > 3 else ""
