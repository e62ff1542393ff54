"""A contact sheet: one HTML file with the thumbnails inside, to look rather than read."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from galago.errors import ImageError
from galago.media import images

__all__ = ["contact_sheet", "grouped_sheet"]

_SIDE = 320

# No scripts, and a policy that lets the page load nothing that isn't in it. The background is said:
# what measures contrast takes a page that says none for white, in the dark, too.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; background: Canvas; color: CanvasText;
 font: 15px/1.4 system-ui, sans-serif; }}
body {{ margin: 1.5rem; overflow-wrap: anywhere; }}
main {{ display: grid; gap: 1rem;
 grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); }}
figure {{ margin: 0; }}
.frame {{ display: grid; grid-template: minmax(0, 1fr) / minmax(0, 1fr); place-items: center;
 height: 15rem; background: #8882; }}
.frame p {{ padding: 0 .5rem; }}
img {{ max-width: 100%; max-height: 100%; }}
.note {{ color: color-mix(in srgb, CanvasText 65%, Canvas); }}
h2 {{ grid-column: 1 / -1; margin: 1.5rem 0 0; font-size: 1.1rem; }}
.lines {{ white-space: pre-line; }}
figcaption {{ margin-top: .3rem; font-size: .85rem; }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
{note}</header>
<main>
"""
_TAIL = "</main>\n</body>\n</html>\n"


def contact_sheet(
    title: str,
    photos: Iterable[tuple[str, str]],
    note: str = "",
    thumbnail: Callable[[str, int], bytes] = images.thumbnail,
    linked: Callable[[str], bool] = lambda path: True,
) -> Iterator[str]:
    """The page in pieces, of photos as (path, caption); one that can't be read says why.

    `note` stands above them; `thumbnail` makes a JPEG of a path, of at most so many pixels a side.
    `linked`: whether something lies at a path, or it is only what `thumbnail` knows a picture by.
    """
    told = f'<p class="note">{_text(note)}</p>\n' if note else ""
    yield _HEAD.format(title=_text(title), note=told)
    for path, caption in photos:
        yield _figure(path, caption, thumbnail, linked=linked(path))
    yield _TAIL


def grouped_sheet(
    title: str,
    groups: Iterable[tuple[str, Iterable[tuple[str, Sequence[str]]]]],
    note: str = "",
    thumbnail: Callable[[str, int], bytes] = images.thumbnail,
    linked: Callable[[str], bool] = lambda path: True,
) -> Iterator[str]:
    """As contact_sheet, of groups as (heading, photos), and photos as (path, lines of caption)."""
    told = f'<p class="note">{_text(note)}</p>\n' if note else ""
    yield _HEAD.format(title=_text(title), note=told)
    for heading, photos in groups:
        yield f"<h2>{_text(heading)}</h2>\n"
        for path, lines in photos:
            yield _figure(path, "\n".join(lines), thumbnail, ' class="lines"', linked(path))
    yield _TAIL


def _figure(
    path: str,
    caption: str,
    thumbnail: Callable[[str, int], bytes],
    more: str = "",
    linked: bool = True,
) -> str:
    try:
        data = b64encode(thumbnail(path, _SIDE)).decode("ascii")
        inside = f'<img alt="{_text(caption)}" src="data:image/jpeg;base64,{data}">'
    except ImageError as error:
        inside = f"<p>{_text(str(error))}</p>"
    link = f' href="{html.escape(Path(path).absolute().as_uri())}"' if linked else ""
    return (
        f'<figure><a class="frame"{link}>{inside}</a>'
        f"<figcaption{more}>{_text(caption)}</figcaption></figure>\n"
    )


def _text(text: str) -> str:
    """Escaped, with a mark for bytes that are no text."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))
