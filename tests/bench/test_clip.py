"""`galago bench clip`: what is planned of MobileCLIP and albums, how it is measured and told."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from galago.bench.clip import indexing, searching, towers
from galago.bench.clip.page import page
from galago.bench.clip.picture import picture
from galago.bench.clip.rows import EMBEDDED, PACKAGES, PICTURES, Sizes, rows
from galago.bench.jobs import Settings
from galago.bench.photos import make
from galago.bench.plan import chosen
from galago.bench.run import Run
from galago.checkpoints.clip_config import SECOND
from galago.errors import GalagoError
from tests.helpers.commandline import run
from tests.helpers.places import TOP

DOCS = TOP / "docs"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "bench", threads=1, runs=1, quick=True)


# -- the plan --------------------------------------------------------------------------------------


def test_the_whole_plan_has_every_published_model_beside_its_peers(tmp_path: Path) -> None:
    every = {row.name: row for row in rows(Settings(tmp_path, 2))}
    assert set(PICTURES) == {EMBEDDED, *(spec.name for spec in SECOND)}
    for spec in SECOND:
        for engine in ("torch/bf16", "onnxruntime/fp32", "galago/int8"):
            assert f"clip/towers/{spec.name}/{engine}" in every
    assert {"clip/towers/MobileCLIP2-S0/torch/fp32-unfused", "clip/index/large/500/loop"} <= set(
        every
    )
    assert {"clip/index/small/5000/galago", "clip/search/warm/MobileCLIP2-S0/1000000"} <= set(every)
    assert f"clip/search/cold/{EMBEDDED}/100000" in every
    peer = every["clip/towers/MobileCLIP2-B/torch/fp32"]
    assert not peer.ours and "openvino" not in peer.packages
    assert every["clip/towers/MobileCLIP2-B/galago/fp32"].ours


def test_only_the_embedded_model_needs_no_torch(tmp_path: Path) -> None:
    for row in rows(Settings(tmp_path, 2)):
        modules = {one for job in (row.job, *row.needs) for one in job.modules}
        assert ("torch" in modules) != (f"/{EMBEDDED}/" in row.name), row.name
        made = [job for job in row.needs if job.scratch is None]
        assert not made, "gigabytes would stay"


def test_a_quick_look_is_at_the_embedded_model(settings: Settings) -> None:
    names = [row.name for row in rows(settings)]
    assert 1 < len(names) < 6 and all(f"/{EMBEDDED}/" in name for name in names)


# -- measuring -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rows_in_processes_of_their_own(settings: Settings) -> None:
    every = chosen(rows(settings, Sizes(cold=20, seconds=0.01)), ["clip/towers", "clip/search"])
    every = [row for row in every if not row.name.endswith(("/fp32", "/bf16"))]
    measured = Run(settings)
    measured.all(every)
    assert not measured.failed
    tower, search = measured.results(every).values()
    assert all(len(tower["samples"][f"{what}_per_second"]) >= 3 for what in ("images", "texts"))
    assert tower["precision"] == "int8" and tower["peak_bytes"] > 10e6
    assert len(search["samples"]["seconds"]) == 1 and search["disk_bytes"] > 1000
    assert not list((settings.cache / "clip").iterdir())  # the album is gone
    text = page(measured.report(every, PACKAGES))
    assert f"| {EMBEDDED} | – | – | – | – | – |" in text and f"- {EMBEDDED}: " in text


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_towers_by_both_clocks(clip_folder: Path, clock: str) -> None:
    options = {"model": str(clip_folder), "precision": "fp32", "threads": 1, "clock": clock}
    found = towers.galago(options | {"pictures": 2, "texts": 3, "seconds": 0})
    assert found["clock"] == clock
    assert all(rate > 0 for rates in found["samples"].values() for rate in rates)


def test_an_album_is_indexed(clip_folder: Path, photos: Path) -> None:
    options = {"model": str(clip_folder), "photos": str(photos), "threads": 1, "pictures": 4}
    found = indexing.galago(options)
    assert found["photos"] == 10
    samples = {name: one for name, (one,) in found["samples"].items()}
    assert samples["pictures_per_second"] == pytest.approx(10 / samples["seconds"])
    assert 0 < samples["calibrating"] < samples["seconds"] and samples["steady_per_second"] > 0
    assert list(photos.parent.iterdir()) == [photos]
    few = indexing.galago(options | {"pictures": 16})
    assert few["samples"]["steady_per_second"] == []  # there was one batch


def test_an_open_album_is_searched(clip_folder: Path, tmp_path: Path) -> None:
    options = {"model": str(clip_folder), "albums": str(tmp_path), "count": 50, "threads": 1}
    assert searching.fill(options) == searching.fill(options) == {}
    samples = searching.warm(options | {"texts": 2})["samples"]
    assert len(samples["vector_ms"]) == len(samples["words_ms"]) == searching.ASKED - 3
    assert samples["vector_worst_ms"] == [max(samples["vector_ms"])]
    few = options | {"count": 5}
    searching.fill(few)
    with pytest.raises(GalagoError, match="5 photos were found instead of 12"):
        searching.warm(few | {"texts": 2})


def test_a_search_that_fails_says_why(tmp_path: Path) -> None:
    options = {"albums": str(tmp_path), "count": 7, "threads": 1, "runs": 1}
    with pytest.raises(GalagoError, match="galago search failed: .*7"):
        searching.cold(options)


def test_photos_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.bench.photos._CANVAS", (2600, 2000))  # in which they just fit
    options = {"kind": "small", "count": 1, "folder": str(tmp_path), "threads": 1}
    make(options)
    (photo,) = tmp_path.rglob("*.*")
    assert Image.open(photo).size == (640, 480)
    made = photo.stat().st_mtime_ns
    make(options)
    assert photo.stat().st_mtime_ns == made


# -- the page --------------------------------------------------------------------------------------


def report(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    machine = {"cpu": "A & B", "threads": 2, "torch": "absent"}
    whole = {"machine": machine, "runs": 5, "rounds": 1, "quick": False}
    return whole | more | {"rows": {f"clip/{name}": row for name, row in found.items()}}


def rates(images: float, texts: float) -> dict[str, Any]:
    return {"samples": {"images_per_second": [images], "texts_per_second": [texts, 9e9, 0.0]}}


def test_towers_stand_beside_their_peers() -> None:
    found = {
        "towers/MobileCLIP2-S0/torch/fp32": rates(30, 20),
        "towers/MobileCLIP2-S0/torch/bf16": rates(50, 10),
        "towers/MobileCLIP2-S0/galago/fp32": rates(100, 60),
        "towers/MobileCLIP2-S0/galago/int8": rates(200, 70),
        "towers/MobileCLIP2-S0/onnxruntime/fp32": {"error": "no disk"},
    }
    text = page(report(found))
    assert "| MobileCLIP2-S0 | 30.0 | 50.0 | – | 100 | – | 200 | 2.0× | – |" in text
    assert "| MobileCLIP2-S0 | 20.0 | 10.0 | – | 60.0 | – | 70.0 | 3.0× | – |" in text
    assert "- clip/towers/MobileCLIP2-S0/onnxruntime/fp32: no disk" in text
    assert "on 2 threads" in text and "## Indexing" not in text and "## Search" not in text
    drawn = [one.text for one in ET.fromstring(picture(report(found))).iter() if one.text]
    assert "100  (2.0×)" in drawn


def test_indexing_stands_beside_the_loop() -> None:
    ours = {"seconds": [10.0], "pictures_per_second": [50.0], "steady_per_second": [],
            "calibrating": [1.0], "again": [0.1]}  # fmt: skip
    loop = {"seconds": [9.0], "pictures_per_second": [20.0]}
    facts = {"precision": "bf16", "peak_bytes": 3e8}
    found = {
        "index/large/500/loop": facts | {"photos": 50, "samples": loop},
        "index/large/500/galago": facts | {"photos": 500, "samples": ours},
    }
    text = page(report(found))
    assert "| 500 of 4000×3000 | open_clip and PIL, bf16 | 20.0 | – | 300 |  |" in text
    assert "| 500 of 4000×3000 | galago, bf16 | 50.0 | 10.0 | 300 | 2.5× |" in text
    assert "first 10% of the photos" in text.replace("\n", " ")
    assert "The loop" not in page(
        report({"index/large/500/galago": found["index/large/500/galago"]})
    )


def test_nothing_measured_is_still_a_page() -> None:
    failed = {"towers/MobileCLIP2-S0/torch/fp32": {"error": "torch not installed"}}
    for empty in (report({}), report(failed, quick=True)):
        text = page(empty)
        assert "Machine: cpu A & B, threads 2." in text and "svg" not in text
        assert picture(empty) == ""


@pytest.mark.parametrize("stem", ["benchmark-clip", "benchmark-clip-avx2"])
def test_the_pages_in_docs_say_what_their_figures_say(stem: str) -> None:
    known = json.loads((DOCS / f"{stem}.json").read_text("utf-8"))
    assert page(known, f"{stem}.svg") == (DOCS / f"{stem}.md").read_text("utf-8")
    assert picture(known).startswith("<svg")


def test_the_picture_in_docs_says_what_its_figures_say() -> None:
    known = json.loads((DOCS / "benchmark-clip.json").read_text("utf-8"))
    assert picture(known) == (DOCS / "benchmark-clip.svg").read_text("utf-8")


# -- whole -----------------------------------------------------------------------------------------


def test_each_page_is_written_when_its_rows_are_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = {"images_per_second": [3.0], "first_question": [1.0]}
    monkeypatch.setattr(Run, "_measure", lambda self, job: {"samples": samples})
    given = ("--quick", "--cache", tmp_path / "cache", "--out", tmp_path)
    result = run(capsys, "bench", "clip/towers", *given)
    assert result.code == 0
    text = (tmp_path / "benchmark-clip.md").read_text("utf-8")
    assert text == result.out and f"| {EMBEDDED} |" in text
    assert not (tmp_path / "benchmark-clip.svg").exists()  # beside nobody there is nothing to draw
    assert not list(tmp_path.glob("performance*"))
    both = run(capsys, "bench", "second", "clip/towers", *given)
    assert both.out.endswith(text) and "second question" in both.out
    kept = json.loads((tmp_path / "performance.json").read_text("utf-8"))
    assert set(kept["rows"]) == {"second/nano"}
