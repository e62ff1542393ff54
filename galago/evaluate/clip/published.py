"""What the authors publish of their MobileCLIPs, to stand beside what is found here."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Published", "published"]


@dataclass(frozen=True)
class Published:
    """In per cent: top 1 of ImageNet with the 80 sentences, and the mean of DataComp's 38."""

    imagenet: float
    mean_38: float
    source: str


_SOURCE = "apple/ml-mobileclip, README at 4144bb1"
_ROWS = {
    "MobileCLIP2-S0": (71.5, 59.7),
    "MobileCLIP2-S2": (77.2, 64.1),
    "MobileCLIP2-B": (79.4, 65.8),
    "MobileCLIP2-S3": (80.7, 66.8),
    "MobileCLIP2-L-14": (81.9, 67.8),
    "MobileCLIP2-S4": (81.9, 67.5),
    "MobileCLIP-S0": (67.8, 58.1),
    "MobileCLIP-S1": (72.6, 61.3),
    "MobileCLIP-S2": (74.4, 63.7),
    "MobileCLIP-B": (76.8, 65.2),
    "MobileCLIP-B-LT": (77.2, 65.8),
    "MobileCLIP-S3": (78.3, 66.3),
    "MobileCLIP-L-14": (79.5, 66.9),
    "MobileCLIP-S4": (79.4, 68.1),
}


def published(model: str) -> Published | None:
    """Of a model by its name here ("apple/MobileCLIP2-S0"); None of one that nobody published."""
    name = re.sub(r"^(apple|timm)/|-OpenCLIP$", "", model)
    row = _ROWS.get(name)
    return Published(*row, _SOURCE) if row else None
