"""The field beside FastVLM: what shapes count, what is planned, and how parts become models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from galago.bench import plan
from galago.bench.field import ours, published, timing
from galago.bench.field.claims import CLAIMS
from galago.bench.field.models import DECODERS, RIVALS, TOWERS, VLMS
from galago.bench.field.parts import ENGINES, TOGETHER, answer, first_token, latency, together
from galago.bench.field.picture import row_of
from galago.bench.field.rows import TEXT, left_out, prompt, row_name, rows, sizes_of
from galago.bench.field.towers import Plain, operations, parameters, stride, tokens
from galago.bench.jobs import FIELD, Row, Settings
from galago.bench.run import Run

BY_NAME = {model.name: model for model in VLMS}
FAST, ONEVISION = BY_NAME["FastVLM 0.5B, 1024 px"], BY_NAME["LLaVA-OneVision-0.5B"]

# -- shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "side", "published_millions"),
    [
        # timm's and open_clip's own counts (without a classifier); tests/parity has every shape.
        ("SigLIP-SO400M/14, pooled", 384, 428.2256),
        ("SigLIP-B/16, pooled", 512, 93.520128),
        ("DINOv2 ViT-L/14", 518, 304.367616),
        ("FastViTHD", 1024, 125.1 - 3072 * 768 / 1e6),  # the paper's, less CLIP's head
        ("ConvNeXt-L", 768, 197.767336 - (1001 * 1536 + 1000 - 1536 + 2 * 1536) / 1e6),
    ],
)
def test_parameters_are_the_published_ones(name: str, side: int, published_millions: float) -> None:
    found = parameters(TOWERS[name][0], side) / 1e6
    assert found == pytest.approx(published_millions, rel=5e-4)


def test_visual_tokens_are_those_of_the_papers_tables() -> None:
    for model in VLMS:
        row = row_of(model)
        if row and row["visual_tokens"]:
            assert model.visual_tokens == int(row["visual_tokens"]), model.name
    tower = TOWERS["FastViT"][0]
    assert [tokens(tower, side) for side in (256, 768)] == [64, 576]
    assert stride(tower) == 32 and stride(TOWERS["ConvNeXt-L, five stages"][0]) == 64


def test_operations_are_open_clips() -> None:
    """Its results name a whole model's GFLOP; ViT-L/14's tower, and its text tower, are in it."""
    tower = TOWERS["CLIP ViT-L/14"][0]
    text = Plain(768, 12, 12, 3072, 1)  # of 77 places
    layer = 2 * 77 * (4 * 768**2 + 2 * 768 * 3072) + 4 * 77**2 * 768
    whole = operations(tower, 224) + text.layers * layer
    assert whole / 1e9 == pytest.approx(175.33, rel=0.02)


def test_work_grows_with_the_picture() -> None:
    for name, (tower, _) in TOWERS.items():
        assert operations(tower, 448) > 3.9 * operations(tower, 224), name


def test_claims_are_counted_and_the_wrong_one_is_told() -> None:
    assert {claim.words: claim.holds for claim in CLAIMS if not claim.holds} == {
        "ConvLLaVA's encoder: 200 M, which is 1.6x FastViTHD": False
    }
    sixteen = next(claim for claim in CLAIMS if claim.factor == 16)
    assert sixteen.counted() == 576 / 36


def test_every_shape_names_its_source() -> None:
    sources = [source for _, source in TOWERS.values()]
    sources += [told.source for told in DECODERS.values()] + [model.source for model in VLMS]
    assert all(sources)


def test_random_weights_are_of_the_graphs_names(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = Plain(24, 1, 2, 48, 8, class_token=True, pooled=True)
    weights = ours.tower_weights(tower, 16)
    assert weights["pos_embed"].shape == (1, 5, 24)
    assert (weights["norm.weight"].array == 1).all()
    assert (weights["norm.bias"].array == 0).all()
    spread = weights["blocks.0.mlp.fc1.weight"].array.std() * math.sqrt(24)
    assert 0.8 < spread < 1.2


# -- the plan --------------------------------------------------------------------------------------


def planned(tmp_path: Path) -> list[Row]:
    return rows(Settings(tmp_path, threads=2))


def test_every_part_of_every_model_is_planned_or_left_out(tmp_path: Path) -> None:
    jobs = {row.name: row.job.options for row in planned(tmp_path)}
    for model in VLMS:
        for look in model.looks:
            for engine in ENGINES:
                name = row_name(look.tower, engine.where, engine.tower)
                assert f"{look.side}x{look.count}" in jobs[name]["sizes"], model.name
        for engine in ENGINES:
            if not left_out(model.decoder, engine.where, engine.decoder):
                name = row_name(model.decoder, engine.where, engine.decoder)
                assert prompt(model.visual_tokens) in jobs[name]["sizes"], model.name
    for rival in RIVALS:
        assert f"{rival.side}x1" in jobs[row_name(rival.tower, "galago", "bf16")]["sizes"]


def test_the_first_comparison_comes_first(tmp_path: Path) -> None:
    names = [row.name for row in planned(tmp_path)]
    needed = {*_rows_of(FAST), *_rows_of(ONEVISION)}
    assert needed <= set(names[: len(needed) + 1])
    assert names.index(row_name("LLaMA-3-8B", "torch", "best")) == len(names) - 1


def _rows_of(model: Any) -> set[str]:
    found = {row_name(look.tower, e.where, e.tower) for look in model.looks for e in ENGINES}
    return found | {row_name(model.decoder, e.where, e.decoder) for e in ENGINES}


def test_what_is_too_large_is_left_out_and_said() -> None:
    assert left_out("LLaMA-3-8B", "galago", "bf16") == "its weights would take 30 GB"
    assert left_out("LLaMA-3-8B", "galago", "int8") == ""
    assert left_out("LLaMA-3-8B", "torch", "best") == ""
    assert "parallel" in left_out("Phi-1.5", "galago", "int8")


def test_it_is_measured_when_it_is_asked_for(tmp_path: Path) -> None:
    every = plan.rows(Settings(tmp_path, threads=2))
    usual = {row.name for row in plan.chosen(every, [])}
    assert usual and not any(name.startswith(FIELD) for name in usual)
    assert plan.chosen(every, ["field"]) == planned(tmp_path)


def test_a_quick_run_measures_none_of_it(tmp_path: Path) -> None:
    assert rows(Settings(tmp_path, 2, quick=True)) == []


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every, done = planned(tmp_path)[:5], []

    def measure(_: Run, job: Any) -> dict[str, Any]:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(job.options)
        return {"points": {"46": [1.0]}}

    monkeypatch.setattr(Run, "_measure", measure)
    monkeypatch.setattr(Run, "_missing", lambda *_: "")
    settings = Settings(tmp_path, threads=2)
    with pytest.raises(KeyboardInterrupt):
        Run(settings).all(every)
    monkeypatch.setattr(Run, "_measure", lambda _, job: {"points": {"46": [2.0]}})
    later = Run(settings)
    later.all(every)
    found = [row["points"]["46"] for row in later.results(every).values()]
    assert found == [[1.0], [1.0], [1.0], [2.0], [2.0]]


def test_a_row_tells_when_it_was_measured(tmp_path: Path) -> None:
    shapes = planned(tmp_path)[0]
    assert shapes.name == f"{FIELD}shapes"
    run = Run(Settings(tmp_path, threads=1))
    run.all([shapes])
    found = run.results([shapes])[shapes.name]
    assert found["when"] > 1.7e9
    counted = found["towers"]["FastViTHD"]["1024"]
    assert counted == {"parameters": parameters(TOWERS["FastViTHD"][0], 1024), "tokens": 256}


# -- timing ----------------------------------------------------------------------------------------


def test_sizes_are_timed_from_the_least_work_on_and_the_hour_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, order = [0.0], []
    monkeypatch.setattr(timing.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def prepare(size: str) -> Any:
        order.append(size)

        def step() -> None:
            clock[0] += float(size)

        return step

    work = {"1": 1.0, "30": 30.0, "5": 5.0, "4000": 4000.0}
    found = timing.timed(list(work), work, prepare, runs=3)
    assert order == ["1", "5", "30"]
    # Long ones once, without a warm-up; what would take longer than what is left of the hour not.
    assert found["points"] == {"1": [1.0] * 3, "5": [5.0] * 3, "30": [30.0]}
    assert found["left_out"] == {"4000": "would take about 67 minutes"}


def test_a_size_that_has_no_memory_is_left_out() -> None:
    def prepare(size: str) -> Any:
        if size == "2":
            raise MemoryError
        return lambda: None

    found = timing.timed(["1", "2"], {"1": 1.0, "2": 2.0}, prepare, runs=1)
    assert set(found["points"]) == {"1"} and found["left_out"] == {"2": "memory"}


# -- models of parts -------------------------------------------------------------------------------


def fake(when: float = 0.0) -> dict[str, Any]:
    """Every row of the plan, each size a number that says whose it is."""
    found = {}
    for name in (*TOWERS, *DECODERS):
        for engine in ENGINES:
            decoder = name in DECODERS
            row = row_name(name, engine.where, engine.decoder if decoder else engine.tower)
            scale = 1e-3 if decoder else 1.0
            points = {s: [scale * float(s.split("x")[0]) / 1000] for s in sizes_of(name)}
            found[row] = {"points": points, "samples": {"decode": [0.5]}, "when": when}
    return found


def test_a_first_token_is_the_sum_of_its_parts() -> None:
    rows = fake()
    found = first_token(rows, FAST, ENGINES[1])
    assert found is not None
    assert found.seconds == pytest.approx(1.024 + (256 + TEXT) / 1e6)
    cambrian = first_token(rows, BY_NAME["Cambrian-1-8B"], ENGINES[0])
    assert cambrian is not None and cambrian.vision == pytest.approx(2.262)  # four towers
    took = answer(rows, FAST, ENGINES[1], 33)
    assert took == pytest.approx(found.seconds + 16.0)
    assert latency(rows, RIVALS[0], ENGINES[0]) == 0.256


def test_a_part_that_is_missing_leaves_the_model_out() -> None:
    rows = fake()
    del rows[row_name("ConvNeXt-XXL", "torch", "best")]["points"]["1024x1"]
    assert first_token(rows, BY_NAME["Cambrian-1-8B"], ENGINES[0]) is None
    assert first_token(rows, BY_NAME["Cambrian-1-8B"], ENGINES[2]) is not None


def test_ratios_need_rows_of_one_run() -> None:
    rows = {"a": {"when": 0.0}, "b": {"when": TOGETHER}, "c": {"when": TOGETHER + 1.0}, "d": {}}
    assert together(rows, ["a", "b"]) and not together(rows, ["a", "c"])
    assert not together(rows, ["a", "d"])


# -- published figures -----------------------------------------------------------------------------


def test_published_rows_are_found_by_model_decoder_and_side() -> None:
    assert len(published.published()) == 92
    row = published.find("FastVLM", "Qwen2-0.5B", 1024)
    assert row and row["model"] == "FastVLM (released stage 3)" and row["TextVQA"] == "65.8"
    assert published.mean(row) == pytest.approx((79.1 + 33.6 + 69.3) / 3)
    onevision = row_of(ONEVISION)
    assert published.number(onevision, "ttft_ms") == 14124
    assert published.mean(onevision, published.FIVE) is None  # GQA isn't published
    assert row_of(BY_NAME["FastVLM with FastViT 0.5B, 1024 px"]) is None
    assert published.find("nobody") is None and published.find("") is None


def test_models_with_a_published_row_have_it() -> None:
    """A renamed row would leave a dash on the page instead of a figure."""
    wanted = {"LLaVA-NeXT-8B", "Cambrian-1-8B", "ConvLLaVA-7B, 768 px", "SmolVLM-500M"}
    wanted |= {"FastVLM 7B, 1024 px", "FastVLM 0.5B, 2048 px as 2x2 tiles"}
    wanted |= {"FastVLM with Vicuna-7B, 768 px"}
    assert {name for name in wanted if row_of(BY_NAME[name]) is None} == set()
    unknown = {rival.name for rival in RIVALS if published.find(rival.published) is None}
    assert unknown == {"SigLIP2-SO400M/14", "SigLIP2-B/16"}
