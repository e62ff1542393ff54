"""MobileCLIP: pictures and words as unit vectors of one space.

    clip = galago.MobileCLIP.load("MobileCLIP2-S0")    # or a folder, or mobileclip2_s0.pt
    rows = clip.embed_images(["cat.jpg", "dog.jpg"])   # float32 (2, dim)
    clip.classify("cat.jpg", ["cat", "dog", "car"])    # probabilities

Papers: MobileCLIP https://arxiv.org/abs/2311.17049, MobileCLIP2 https://arxiv.org/abs/2508.20691.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any, Literal, overload

import numpy as np

from galago.checkpoints.clip import ClipCheckpoint, open_clip_checkpoint
from galago.checkpoints.doubt import Taught, read_taught
from galago.checkpoints.names import CLIP_TRUNK
from galago.checkpoints.tensors import Float, read_float
from galago.clip.labels import LabelSet, Sorting, listed, named, shares_of, templates_of
from galago.clip.text_cache import remembered
from galago.clip.towers import Tower, Towers, devices_of
from galago.engine.precision import check_clip_precision, check_threads
from galago.errors import ImageError, OptionError
from galago.hub.choice import choose_clip
from galago.media.images import Source, load_square
from galago.media.pool import PicturePool
from galago.media.preprocess import normalise
from galago.places import as_path
from galago.progress import Progress, silent
from galago.text.clip_tokens import ClipTokenizer, load_clip_tokenizer
from galago.text.languages import needs_english

__all__ = ["DRAFT", "MobileCLIP", "unit"]

_TEXT_BATCH = 32
_PICTURES = 8  # at once: 16 are no quicker, and take 100 MB more of MobileCLIP2-S0
# Large JPEGs are decoded to at least twice the side, where FastVLM's, which have letters to show,
# keep four times: of 12 megapixels 36 ms instead of 50, and 0.75 of an 8-bit step on average.
DRAFT = 2
_HEADS = (f"{CLIP_TRUNK}head.fc.weight", f"{CLIP_TRUNK}head.weight")


class MobileCLIP:
    """A loaded model. Not for several threads at once (but `prepare`); load one for each.

    Each tower is compiled when it is first needed.
    """

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        *,
        name: str | None = None,
        precision: str = "auto",
        threads: int | None = None,
        pool: PicturePool | None = None,
        device: str | None = None,
        progress: Progress = silent,
    ) -> None:
        """From an opened checkpoint; `MobileCLIP.load` is the usual way."""
        from galago.engine.processor import clip_precision_here

        _check_options(precision, threads)
        self.name = name or checkpoint.spec.name
        self.spec = checkpoint.spec
        self.precision = clip_precision_here(precision, checkpoint)
        self.logit_scale = float(np.exp(checkpoint.logit_scale))
        self._load_square = load_square if pool is None else pool.load_square
        self._checkpoint = checkpoint
        self._towers = Towers(checkpoint, self.precision, threads, devices_of(device), progress)
        self._text: Tower | None = None
        self.taught: Taught | None = None

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        precision: str = "auto",
        offline: bool | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        pool: PicturePool | None = None,
        device: str | None = None,
    ) -> MobileCLIP:
        """A model by name ("MobileCLIP2-S0", "owner/name"), from a folder or one of Apple's `.pt`;
        without a name the one that was set beforehand, else the best that is here.

        Fetches it first when it isn't here. `precision` is auto, fp32, bf16 or int8 (matrices in 8
        bits); `offline` (or HF_HUB_OFFLINE=1) contacts nobody; `progress` hears stages and shares
        from 0 to 1; pictures of strangers, or many, are better opened by a `pool`, in processes
        with limits.  `device` as in FastVLM.load, checked when a tower is first needed.

        Raises UnknownModelError, ModelError for a model of another kind, CheckpointError for what
        is missing, damaged or unknown, HubError, StorageError, OptionError.
        """
        from galago.hub.fetched import fetched

        _check_options(precision, threads)
        devices_of(device)  # one that isn't here is told before anything is fetched
        more: dict[str, Any] = {"precision": precision, "threads": threads, "pool": pool}
        more |= {"device": device, "progress": progress or silent}
        name = name or choose_clip().name
        path = as_path(os.fspath(name))
        if os.path.isfile(path):  # pathlib raises for a name that is too long
            return cls(open_clip_checkpoint(path), **more)
        source = fetched(
            os.fspath(name), kind="mobileclip", offline=offline, progress=progress or silent
        )
        checkpoint = open_clip_checkpoint(source.folder)
        # The files of a plain folder tell more than what the folder is called.
        called = source.name if source.row or source.remote else None
        clip = cls(checkpoint, name=called, **more)
        clip.taught = read_taught(source.folder, lambda: clip.identity)
        return clip

    @property
    def devices(self) -> tuple[str, ...]:
        """Where the towers run that were needed so far, a line each; nothing for the CPU alone."""
        return tuple(one.line for one in self._towers.stories())

    @property
    def refused(self) -> bool:
        """Whether a tower runs on the CPU that was to run on a device: `devices` says why."""
        return any(one.refused for one in self._towers.stories())

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self.spec.embed

    @cached_property
    def identity(self) -> str:
        """What tells this model's vectors from another's, wherever its files are: 32 letters.

        Made of how pictures are prepared and of both projections into the space, as whatever
        changes a model in training changes these; the precision is no part of it.
        """
        image = self.spec.image
        text = f"{image.side} {image.mean} {image.std} {image.resample} {image.fit}"
        digest = hashlib.blake2b(text.encode(), digest_size=16)
        for name in ("text.text_projection", *_HEADS):
            if name in self._checkpoint.tensors:
                digest.update(read_float(self._checkpoint.tensors[name]).tobytes())
        return digest.hexdigest()

    @cached_property
    def _image(self) -> Tower:
        return self._towers.image()

    def _text_tower(self) -> Tower:
        if self._text is None:
            # Reading the vocabulary and compiling take as long.
            with ThreadPoolExecutor(1) as beside:
                beside.submit(load_clip_tokenizer, self.spec.text.vocab)
                self._text = self._towers.text()
        return self._text

    def _let_text_go(self) -> None:
        """Free the text tower; it is compiled again when words come."""
        self._text = None

    @cached_property
    def _tokenizer(self) -> ClipTokenizer:
        return load_clip_tokenizer(self.spec.text.vocab)

    def fits(self, text: str) -> bool:
        """Whether the model reads all of a text: longer than 77 tokens are cut."""
        return not self._tokenizer.truncated(text, self.spec.text.context)

    def count_tokens(self, text: str) -> int:
        """How many tokens the model reads of a text, its start and end and no more than 77."""
        context = self.spec.text.context
        return min(len(self._tokenizer.encode(text, context)) + 2, context)

    def prepare(
        self, picture: Source, *, name: str | None = None, pool: PicturePool | None = None
    ) -> Float:
        """Pixel values for `embed_pixels`, float32 (3, side, side); safe in many threads.

        `name` is used in messages; `pool` opens it instead of the one that was given to `load`.
        Raises ImageError for a picture that can't be read.
        """
        return self.prepare_dated(picture, name=name, pool=pool)[0]

    def prepare_dated(
        self, picture: Source, *, name: str | None = None, pool: PicturePool | None = None
    ) -> tuple[Float, str]:
        """As `prepare`, and when the picture was taken: "2025-06-14 18:30:05" by the camera's
        clock, "" where it says nothing."""
        load = self._load_square if pool is None else pool.load_square
        square = load(picture, self.spec.image, name=name, draft=DRAFT)
        return normalise(square.pixels, self.spec.image), square.taken

    def embed_pixels(self, pixel_values: Float) -> Float:
        """Unit rows, float32 (n, dim), of prepared pictures (n, 3, side, side)."""
        parts = range(0, max(1, len(pixel_values)), _PICTURES)
        rows = [self._image(pixel_values[start : start + _PICTURES]) for start in parts]
        return unit(np.concatenate(rows))

    @overload
    def embed_images(
        self,
        pictures: Iterable[Source],
        batch: int = ...,
        progress: Callable[[int], None] | None = ...,
        *,
        on_error: Literal["raise"] = ...,
    ) -> Float: ...

    @overload
    def embed_images(
        self,
        pictures: Iterable[Source],
        batch: int = ...,
        progress: Callable[[int], None] | None = ...,
        *,
        on_error: Literal["skip"],
    ) -> tuple[Float, dict[int, ImageError]]: ...

    def embed_images(
        self,
        pictures: Iterable[Source],
        batch: int = 8,
        progress: Callable[[int], None] | None = None,
        *,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Float | tuple[Float, dict[int, ImageError]]:
        """Unit rows, float32 (n, dim), of pictures (as FastVLM.encode takes them), in order.

        Pictures are taken from the iterable a batch at a time, so that memory holds one batch
        however many there are; `progress` is told how many are done. Raises ImageError for a
        picture that can't be read. With on_error="skip" there is a pair instead: the rows of those
        that can, in order and without gaps, and {number from 0: ImageError} of those that can't.
        """
        if not isinstance(batch, int) or batch < 1:
            raise OptionError(f"a batch of {batch} is not possible: use 1 or more")
        if on_error not in ("raise", "skip"):
            raise OptionError(f'on_error {on_error!r} is not known: use "raise" or "skip"')
        single = isinstance(pictures, np.ndarray) and pictures.ndim < 4
        if single or isinstance(pictures, (str, bytes)) or not isinstance(pictures, Iterable):
            raise OptionError('pictures must be a list, such as ["cat.jpg"]')
        rows: list[Float] = []
        skipped: dict[int, ImageError] = {}
        done = 0
        for part in _batches(pictures, batch):
            prepared: list[Float] = []
            for number, picture in enumerate(part, done):
                try:
                    prepared.append(self.prepare(picture))
                except ImageError as error:
                    if on_error == "raise":
                        raise
                    skipped[number] = error
            if prepared:
                rows.append(self.embed_pixels(np.stack(prepared)))
            done += len(part)
            if progress is not None:
                progress(done)
        found = np.concatenate(rows) if rows else np.empty((0, self.dim), np.float32)
        return found if on_error == "raise" else (found, skipped)

    def embed_texts(self, texts: Sequence[str]) -> Float:
        """Unit rows, float32 (n, dim), of texts; longer than 77 tokens are cut.

        Raises OptionError when `texts` is not a list of texts.
        """
        texts = listed(texts, "texts")
        rows = [
            unit(self._text_tower()(self._tokenizer(part, self.spec.text.context)))
            for part in _batches(texts, _TEXT_BATCH)
        ]
        return np.concatenate(rows) if rows else np.empty((0, self.dim), np.float32)

    def embed_phrases(self, texts: Sequence[str]) -> Float:
        """As embed_texts, of texts that come again: kept in galago's cache for the next time.

        The text tower is let go again if it was only loaded for them.
        """
        texts = listed(texts, "texts")
        loaded = self._text is not None
        try:
            made_by = (self.identity, self.precision)
            return remembered(made_by, texts, self.dim, lambda: self.embed_texts(texts))
        finally:
            if not loaded:
                self._let_text_go()

    def embed_labels(
        self,
        labels: Sequence[str],
        templates: Sequence[str] | str = "photo",
        progress: Callable[[int], None] | None = None,
    ) -> Float:
        """A unit row a label, float32 (n, dim): the mean over templates such as "a photo of a {}.".

        `templates`: a name of TEMPLATES ("photo", "imagenet", "plain"), or texts with one {} each.
        `progress` is told how many labels are done. OptionError for an unknown name, a template
        without {} or an empty label.
        """
        labels, templates = listed(labels, "labels"), templates_of(templates)
        if not all(label.strip() for label in labels):
            raise OptionError("a label is empty")
        rows: list[Float] = []
        done = 0
        for part in _batches(labels, max(1, _TEXT_BATCH // len(templates))):
            texts = [template.replace("{}", label) for label in part for template in templates]
            every = self.embed_texts(texts).reshape(len(part), len(templates), self.dim)
            rows.append(unit(every.mean(axis=1)))
            done += len(part)
            if progress is not None:
                progress(done)
        return np.concatenate(rows) if rows else np.empty((0, self.dim), np.float32)

    def label_set(
        self,
        labels: Sequence[str],
        templates: Sequence[str] | str = "photo",
        progress: Callable[[int], None] | None = None,
    ) -> LabelSet:
        """Labels embedded once, to classify many pictures with; as embed_labels otherwise.

        Raises OptionError without labels.
        """
        labels = named(labels)
        rows = self.embed_labels(labels, templates, progress)
        rows.flags.writeable = False
        strange = tuple(self.strange(labels, rows))
        return LabelSet(tuple(labels), rows, self.name, self.identity, strange)

    def classify(
        self,
        picture: Source,
        labels: Sequence[str] | LabelSet,
        templates: Sequence[str] | str = "photo",
    ) -> list[float]:
        """Zero-shot probability of each label, in order; they add up to 1.

        As CLIP does it (https://arxiv.org/abs/2103.00020): the softmax of the scaled cosines. One
        of the labels always wins, so name all that the picture may show. A LabelSet has been put
        into its templates already. Raises OptionError without labels or for those of another
        model, and as embed_images and embed_labels do.
        """
        if not isinstance(labels, LabelSet):
            labels = named(labels)
        prepared = self.prepare(picture)  # before the words: a missing one should be told at once
        if not isinstance(labels, LabelSet):
            labels = self.label_set(labels, templates)
        return list(self.sort_pixels(prepared, labels).shares)

    def sort_pixels(self, pixel_values: Float, labels: LabelSet) -> Sorting:
        """As `classify`, of a prepared picture (3, side, side), and whether the model knows it.

        Raises OptionError for the labels of another model.
        """
        if labels.identity != self.identity:
            raise OptionError(
                f"the labels were embedded by {labels.model}; embed them again with {self.name}"
            )
        seen = self.embed_pixels(pixel_values[None])[0]
        shares = shares_of(labels.rows @ seen, self.logit_scale)
        if self.taught is None:
            return Sorting(shares)
        known = self.taught.known(seen)
        return Sorting(shares, known, self.taught.doubts(known))

    def strange(self, texts: Sequence[str], rows: Float) -> list[str]:
        """Those texts, of these rows (n, dim), that name nothing the model was taught; none where
        that was never measured, and none in letters that it doesn't read (`language_note`)."""
        if self.taught is None:
            return []
        odd = self.taught.strange(rows)
        return [t for t, one in zip(texts, odd, strict=True) if one and not needs_english(t)]


def _check_options(precision: str, threads: int | None) -> None:
    """Before anything is fetched or opened."""
    check_clip_precision(precision)
    check_threads(threads)


def unit(rows: Float) -> Float:
    """Rows divided by their lengths; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), dtype=np.float32)


def _batches(items: Iterable[Source] | Iterable[str], size: int) -> Iterator[list]:  # type: ignore[type-arg]
    stream = iter(items)
    while part := list(islice(stream, size)):
        yield part
