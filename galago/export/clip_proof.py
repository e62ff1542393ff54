"""Do towers in ONNX put pictures and words where their source puts them?  Else they are refused."""

from __future__ import annotations

from pathlib import Path

from galago.checkpoints.clip import ClipCheckpoint
from galago.engine.exported import Exported
from galago.export.clip_figures import ClipProof, Seen, compared_vectors
from galago.export.mobileclip import CLIP_GRAPHS, ClipDtype, clip_file

__all__ = ["prove_clip"]


def prove_clip(folder: Path, dtype: ClipDtype, source: ClipCheckpoint, seen: Seen) -> ClipProof:
    """Read `folder`'s two graphs of this dtype back and compare.

    ExportError when they can't be read, or stray: the export must not be kept.
    """
    image, text = (Exported(folder / clip_file(graph, dtype)) for graph in CLIP_GRAPHS)
    images = image.run({"pixel_values": seen.pixels})["image_embeds"]
    texts = text.run({"input_ids": seen.ids})["text_embeds"]
    return compared_vectors(dtype.name, seen, images, texts)
