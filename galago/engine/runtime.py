"""The one guarded import of openvino: everybody in this room takes `ov` and `op` from here.

`import openvino` pulls in its model converter, which loads a usage-statistics client. galago
needs neither and promises that nothing is sent, so the converter is hidden while openvino loads;
that also makes the import faster. The entry is removed afterwards, so a program that wants
`openvino.tools.ovc` can still import it itself.
"""

from __future__ import annotations

import sys

__all__ = ["op", "ov"]

_CONVERTER = "openvino.tools.ovc"


def _import_openvino() -> None:
    if "openvino" in sys.modules:
        return
    hidden = _CONVERTER not in sys.modules
    if hidden:
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]
    try:
        import openvino  # noqa: F401
    finally:
        if hidden and sys.modules.get(_CONVERTER, 0) is None:
            del sys.modules[_CONVERTER]


_import_openvino()

import openvino as ov  # noqa: E402
import openvino.opset13 as op  # noqa: E402
