"""What the authors publish of their MobileCLIPs, to stand beside what is found here."""

from __future__ import annotations

from dataclasses import dataclass

from galago.evaluate.published import published_of

__all__ = ["Published", "published"]


@dataclass(frozen=True)
class Published:
    """In per cent: top 1 of ImageNet with the 80 sentences, and the mean of DataComp's 38."""

    imagenet: float
    mean_38: float
    source: str


def published(model: str) -> Published | None:
    """Of a model by its name here ("apple/MobileCLIP2-S0"); None of one that nobody published."""
    for row in published_of(model):
        imagenet, mean_38 = row.number("ImageNet_top1"), row.number("avg_38")
        if imagenet is not None and mean_38 is not None:
            return Published(imagenet, mean_38, row.source)
    return None
