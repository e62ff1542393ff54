"""ICC profiles made for tests."""

from __future__ import annotations

import struct

import numpy as np

P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
REC709 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def profile(primaries: tuple[tuple[float, float], ...], gamma: float) -> bytes:
    """An ICC profile of three primaries under D65 and a power curve (ICC.1:2001-04)."""

    def xyz(x: float, y: float) -> np.ndarray:
        return np.array([x / y, 1, (1 - x - y) / y])

    columns = np.stack([xyz(*p) for p in primaries], -1)
    white = xyz(0.3127, 0.3290)
    columns = columns * np.linalg.solve(columns, white)
    cones = BRADFORD @ np.array([0.9642, 1, 0.8249]) / (BRADFORD @ white)
    columns = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ columns

    def fixed(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = {b"wtpt": fixed(np.array([0.9642, 1, 0.8249])), b"desc": b"desc" + bytes(90)}
    tags |= {b"cprt": b"text\0\0\0\0no\0\0"}
    for n, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"], tags[name + b"TRC"] = fixed(columns[:, n]), curve
    return _icc(tags, b"RGB ")


def _icc(tags: dict[bytes, bytes], space: bytes) -> bytes:
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += name + struct.pack(">II", at + len(data), len(body))
        data += body
    size = at + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"wtpt": white, b"kTRC": curve, b"desc": b"desc" + bytes(90)}
    return _icc(tags | {b"cprt": b"text\0\0\0\0no\0\0"}, b"GRAY")
