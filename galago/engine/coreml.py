"""The one quiet import of coremltools: `mil.py` and the export take `ct`, `mb` and the rest here.

On Linux its import logs eight lines about parts that only a Mac has, and each pass of a conversion
draws a bar of its own.  It sends nothing: no client of any network is in it (read, and watched with
strace).  Needs galago's extra `coreml`; only what writes or checks Core ML imports this module.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

__all__ = ["Function", "Program", "ct", "load_program", "mb", "types"]

_LOG = logging.getLogger("coremltools")
_LOG.setLevel(logging.ERROR)
_LOG.addFilter(lambda record: "Failed to load _ML" not in record.getMessage())

import coremltools as ct  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.converters.mil.frontend.milproto.load import load as load_program  # noqa: E402
from coremltools.converters.mil.mil import Function, Program, types  # noqa: E402
from coremltools.converters.mil.mil.passes import pass_pipeline  # noqa: E402


def _plain(passes: Iterable[Any], **_: Any) -> Iterable[Any]:
    """In tqdm's place."""
    return passes


pass_pipeline.tqdm = _plain
