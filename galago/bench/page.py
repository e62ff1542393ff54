"""The pages of results: of which rows each tells, and the files that it is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from galago.bench.clip.page import page as clip_page
from galago.bench.clip.picture import picture as clip_picture
from galago.bench.clip.rows import PACKAGES as CLIP_PACKAGES
from galago.bench.field.page import page as field_page
from galago.bench.field.picture import PICTURES as FIELD_PICTURES
from galago.bench.field.rows import PACKAGES as FIELD_PACKAGES
from galago.bench.jobs import CLIP, FIELD, Row
from galago.bench.markdown import Report, spliced
from galago.bench.run import Run
from galago.bench.vlm.page import page as vlm_page
from galago.bench.vlm.picture import curves, first_token
from galago.bench.vlm.rows import PACKAGES as VLM_PACKAGES

__all__ = ["told", "write_pages"]


@dataclass(frozen=True, eq=False)
class _Page:
    """One page: `stem` is what its files are called, `packages` those whose versions it names.

    `pictures` have what stands behind the stem as their names; an empty one is not written. A page
    with a `title` has a generated part, which people write around; one without is all generated.
    """

    stem: str
    packages: tuple[str, ...]
    text: Callable[[Report], str]
    pictures: Mapping[str, Callable[[Report], str]]
    title: str = ""


_VLM = _Page(
    "performance",
    VLM_PACKAGES,
    vlm_page,
    {"": first_token, "-curves": curves},
    title="How fast galago is",
)
_CLIP = _Page("benchmark-clip", CLIP_PACKAGES, clip_page, {"": clip_picture})
_FIELD = _Page("comparison", FIELD_PACKAGES, field_page, FIELD_PICTURES)


def told(run: Run, rows: Sequence[Row]) -> str:
    """Markdown of these rows, page behind page."""
    pages = (page.text(run.report(part, page.packages)) for page, part in _parts(rows))
    return "\n".join(pages)


def write_pages(run: Run, wanted: Sequence[Row], every: Sequence[Row], folder: Path) -> None:
    """The pages that tell of `wanted` as files, with all that is finished, of earlier runs too.

    OSError for what can't be written.
    """
    whole = dict(_parts(every))
    for page, _ in _parts(wanted):
        report = run.report(whole[page], page.packages)
        path = folder / f"{page.stem}.md"
        text = page.text(report)
        if page.title:
            old = path.read_text("utf-8") if path.exists() else f"# {page.title}\n"
            text = spliced(old, text)
        path.write_text(text, "utf-8")
        figures = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{page.stem}.json").write_text(figures, "utf-8")
        for name, draw in page.pictures.items():
            if drawn := draw(report):
                (folder / f"{page.stem}{name}.svg").write_text(drawn, "utf-8")


def _parts(rows: Sequence[Row]) -> Iterator[tuple[_Page, list[Row]]]:
    """The pages that tell of any of these rows, and their rows."""
    clip = [row for row in rows if row.name.startswith(CLIP)]
    field = [row for row in rows if row.name.startswith(FIELD)]
    vlm = [row for row in rows if not row.name.startswith((CLIP, FIELD))]
    pages = ((_VLM, vlm), (_CLIP, clip), (_FIELD, field))
    yield from ((page, part) for page, part in pages if part)
