"""The model that is trained on, as it is published, and how it reads rows."""

from __future__ import annotations

import dataclasses

from galago.checkpoints.folders import is_adapter
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.folder import is_converted
from galago.errors import OptionError
from galago.hub.resolve import ResolvedModel
from galago.text.tokens import load_tokenizer
from galago.train.tune.labels import Labeller
from galago.train.tune.options import TuneOptions

__all__ = ["labeller_of", "opened"]


def opened(model: ResolvedModel) -> Checkpoint:
    """The checkpoint of a model to train on; OptionError for one that galago converted."""
    if is_converted(model.folder):
        raise OptionError(
            f"{model.name} is a conversion in fewer bits: train on the model it was made from"
        )
    if is_adapter(model.folder):
        raise OptionError(
            f"{model.name} is an adapter: train on its base, or on the whole model that `galago "
            f"export {model.folder} OUT --to llava` (or transformers) writes"
        )
    return open_checkpoint(model.folder)


def labeller_of(source: Checkpoint, options: TuneOptions) -> Labeller:
    """What makes ids and labels of rows, as this model at the options' resolution reads them."""
    spec = dataclasses.replace(source.spec, image=options.seen(source.spec.image))
    return Labeller.of(load_tokenizer(source.folder), spec, image_id=0, cut=options.cut)
