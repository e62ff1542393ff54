"""The networks as OpenVINO graphs, and the one guarded import of openvino.

`import openvino` pulls in its model converter, which loads a usage-statistics client. galago
needs neither and promises that nothing is sent, so the converter is hidden while openvino loads;
that also makes the import faster. The entry is removed afterwards, so a program that wants
`openvino.tools.ovc` can still import it itself. Modules outside this folder take `ov` from here, as
theirs would be the first import of openvino.
"""

from __future__ import annotations

import sys

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

__all__ = ["ov"]
