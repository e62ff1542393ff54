"""The sheet that shows photos."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

from PIL import Image

from galago.album import contact_sheet
from tests.helpers.albums import photo


def test_a_sheet_holds_all_it_shows_and_nothing_that_runs(tmp_path: Path) -> None:
    good = photo(tmp_path / "good.png")
    evil = tmp_path / '<script>alert(1)&".png'
    shutil.copy(good, evil)
    odd = str(tmp_path / "line\nbreak \udcff.png")
    page = "".join(
        contact_sheet("<b>dogs</b>", [(str(good), "one"), (str(evil), str(evil)), (odd, odd)])
    )
    assert "<script" not in page and "<b>" not in page and "&lt;script&gt;" in page
    assert "default-src 'none'" in page and "http:" not in page and "https:" not in page
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 2 and page.count("<figure>") == 3 and "no such picture" in page
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (8, 8)
    page.encode("utf-8")
    links = re.findall(r'href="([^"]+)"', page)
    assert all(link.startswith("file:///") for link in links) and "%FF" in links[2]
