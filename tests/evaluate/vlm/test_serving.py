"""A server for as long as it is asked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from galago.errors import GalagoError
from galago.evaluate.vlm.serving import served

pytestmark = pytest.mark.slow


def test_it_answers_who_has_the_key_and_ends_with_the_block(ready: Path, tmp_path: Path) -> None:
    with served(["-m", str(ready), "--precision", "fp32"], tmp_path) as route:
        url, key = route.variables["OPENAI_API_BASE"], route.variables["OPENAI_API_KEY"]
        assert url.startswith("http://127.0.0.1:") and url.endswith("/v1")
        request = urllib.request.Request(f"{url}/models")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=60)
        request.add_header("Authorization", f"Bearer {key}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["data"][0]["id"] == "tiny"
    with pytest.raises(OSError):
        urllib.request.urlopen(request, timeout=5)


def test_what_keeps_it_from_starting_is_told(tmp_path: Path) -> None:
    told = "did not start: galago: .*no-such-model"
    with pytest.raises(GalagoError, match=told), served(["-m", "./no-such-model"], tmp_path):
        pass
