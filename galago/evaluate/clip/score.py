"""A MobileCLIP on one benchmark: its vectors, and clip_benchmark's metrics of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from galago.clip.mobileclip import MobileCLIP
from galago.evaluate.clip.library import Opened, drawn, groups_of
from galago.evaluate.clip.sets import Place
from galago.evaluate.clip.spread import f1_macro, mean_of_classes, spread, worst_group
from galago.evaluate.clip.vectors import Float, KeptVectors, key_of
from galago.evaluate.intervals import Figure, figure
from galago.evaluate.report import rounded

__all__ = ["Score", "Seen", "evaluated", "looked_at", "picked"]

_BATCH = 8  # pictures, as MobileCLIP looks at them
_AT_ONCE = 64  # vectors that the library multiplies together, as its own command does
_RECALLS = (1, 5, 10)


@dataclass(frozen=True)
class Score:
    """What a benchmark found: the figure that counts with its interval, and all of the library's.

    `of`: how many pictures the set has, of which the figure's were drawn.
    """

    name: str
    title: str
    metric: str
    figure: Figure
    metrics: Mapping[str, float]
    of: int
    classes: int
    templates: int

    def to_json(self) -> dict[str, Any]:
        return dict(rounded(asdict(self)))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Score:
        """KeyError or TypeError for what is none."""
        return cls(**{**value, "figure": Figure(**value["figure"])})


@dataclass(frozen=True)
class Seen:
    """The pictures of a set as unit rows (n, dim), with their labels (n,) or (n, classes), or
    captions."""

    rows: Float
    targets: list[Any]


def picked(opened: Opened, limit: int | None, seed: int) -> list[int] | None:
    """The numbers of `limit` pictures, drawn; None where all are looked at."""
    if limit is None or limit >= opened.count:
        return None
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(opened.count, limit, replace=False).tolist())


def looked_at(
    clip: MobileCLIP,
    opened: Opened,
    chosen: Sequence[int] | None,
    kept: KeptVectors,
    heard: Callable[[int], None],
) -> Seen:
    """Vectors of all pictures, a few at a time; `heard` is told how many more are done."""
    rows: list[Float] = []
    targets: list[Any] = []
    samples = drawn(opened, chosen)
    while part := list(islice(samples, _BATCH)):
        prepared = [clip.prepare(picture) for picture, _ in part]
        keys = [key_of(np.ascontiguousarray(one).tobytes()) for one in prepared]
        rows.append(kept.rows(keys, partial(_embedded, clip, prepared)))
        targets += [target for _, target in part]
        heard(len(part))
    return Seen(np.concatenate(rows), targets)


def _embedded(clip: MobileCLIP, prepared: Sequence[Float], numbers: Sequence[int]) -> Float:
    return clip.embed_pixels(np.stack([prepared[number] for number in numbers]))


class _Model:
    """What clip_benchmark calls a model, and its tokenizer: rows stay what they are, and ids stand
    for texts, as the model has a tokenizer of its own."""

    def __init__(self, clip: MobileCLIP, kept: KeptVectors) -> None:
        self._clip, self._kept = clip, kept
        self._texts: list[str] = []

    def tokenizer(self, texts: Sequence[str]) -> Any:
        import torch

        self._texts = list(texts)
        return torch.arange(len(self._texts))

    def encode_text(self, ids: Any) -> Any:
        import torch

        texts = [self._texts[number] for number in ids.tolist()]
        keys = [key_of(text.encode("utf-8", "replace")) for text in texts]
        return torch.from_numpy(
            self._kept.rows(keys, lambda new: self._clip.embed_texts([texts[n] for n in new]))
        )

    def encode_image(self, rows: Any) -> Any:
        return rows


def evaluated(
    clip: MobileCLIP,
    place: Place,
    opened: Opened,
    seen: Seen,
    chosen: Sequence[int] | None,
    texts: KeptVectors,
    heard: Callable[[int, int], None] = lambda done, total: None,
) -> Score:
    """The library's metrics of these vectors; `texts` keeps those of sentences.

    `heard` is told how many of how many classes have been put into their sentences.
    """
    model = _Model(clip, texts)
    with warnings.catch_warnings():  # of few pictures not every class is among what is right
        warnings.simplefilter("ignore")
        if opened.captions:
            metrics, found, metric = _retrieval(model, seen)
        else:
            metrics, found, metric = _classification(model, place, opened, seen, chosen, heard)
    templates = opened.templates
    count = len(templates) if isinstance(templates, list) else 0
    return Score(
        place.of.name,
        place.of.title,
        metric,
        found,
        {name: float(one) for name, one in metrics.items() if not math.isnan(one)},
        opened.count,
        len(opened.classes),
        count,
    )


def _classification(
    model: _Model,
    place: Place,
    opened: Opened,
    seen: Seen,
    chosen: Sequence[int] | None,
    heard: Callable[[int, int], None],
) -> tuple[dict[str, float], Figure, str]:
    """As DataComp's own scorer puts the library's functions together."""
    import torch
    from clip_benchmark.metrics import zeroshot_classification as zsc
    from sklearn.metrics import balanced_accuracy_score

    names = list(opened.classes)
    with _told(zsc, heard):
        classifier = zsc.zero_shot_classifier(
            model, model.tokenizer, names, opened.templates, "cpu", amp=False
        )
    with _told(zsc, lambda done, total: None):
        rows, targets = torch.from_numpy(seen.rows), torch.as_tensor(np.asarray(seen.targets))
        logits, target = zsc.run_classification(
            model, classifier, _batches(rows, targets), "cpu", amp=False
        )
        five = len(names) >= 5
        if target.ndim == 1:
            tops = zsc.accuracy(logits, target, topk=(1, 5) if five else (1,))
    if target.ndim == 2:  # several labels a picture
        mean = float(zsc.average_precision_per_class(logits, target).mean())
        figure_ = Figure(mean, mean, mean, len(target), len(target), "")
        return {"mean_average_precision": mean}, figure_, "mean_average_precision"
    said, labels = logits.argmax(dim=1).numpy(), target.numpy()
    metrics = {"acc1": tops[0], "mean_per_class_recall": balanced_accuracy_score(labels, said)}
    if five:
        metrics["acc5"] = tops[1]
    right = said == labels
    if place.of.metric == "acc5_worst_group" and five:
        best = logits.topk(5, dim=1).indices.numpy()
        right = (best == labels[:, None]).any(axis=1)
    found = _figure(place, metrics, said, labels, right, chosen)
    return metrics, found, place.of.metric


def _figure(
    place: Place,
    metrics: dict[str, float],
    said: Any,
    labels: Any,
    right: Any,
    chosen: Sequence[int] | None,
) -> Figure:
    """The figure that counts; one that the library doesn't have is put among its metrics."""
    metric, count = place.of.metric, len(labels)
    if metric == "acc1":
        return figure([float(one) for one in right], range(count))
    if metric == "mean_per_class_recall":
        return spread(metrics[metric], count, mean_of_classes(right, labels))
    if metric == "f1_macro":
        from sklearn.metrics import f1_score

        metrics[metric] = f1_score(labels, said, average="macro", labels=np.unique(labels))
        return spread(metrics[metric], count, f1_macro(said, labels))
    statistic = worst_group(right, groups_of(place.folder, chosen))
    metrics[metric] = statistic(np.arange(count))
    return spread(metrics[metric], count, statistic)


def _retrieval(model: _Model, seen: Seen) -> tuple[dict[str, float], Figure, str]:
    """Recalls in both directions; what counts is the mean of both at 1, as DataComp has it."""
    import torch
    from clip_benchmark.metrics import zeroshot_retrieval as zsr

    rows = torch.from_numpy(seen.rows)
    captions = [list(one) for one in seen.targets]
    parts = [
        (rows[start : start + _AT_ONCE], captions[start : start + _AT_ONCE])
        for start in range(0, len(rows), _AT_ONCE)
    ]
    recalls = [k for k in _RECALLS if k <= len(rows)]
    with _told(zsr, lambda done, total: None):
        metrics: dict[str, float] = zsr.evaluate(
            model, parts, model.tokenizer, "cpu", amp=False, recall_k_list=recalls
        )
    ends = ("image_retrieval_recall@1", "text_retrieval_recall@1")
    mean = metrics["mean_recall@1"] = sum(metrics[one] for one in ends) / 2
    texts, images = _hits(model, rows, captions)
    of_text = np.repeat(np.arange(len(rows)), [len(one) for one in captions])
    found, counts = np.bincount(of_text, texts, len(rows)), np.bincount(of_text)

    def both(drawn: Any) -> float:
        return float((found[drawn].sum() / counts[drawn].sum() + images[drawn].mean()) / 2)

    return metrics, spread(mean, len(rows), both), "mean_recall@1"


def _hits(model: _Model, rows: Any, captions: list[list[str]]) -> tuple[Any, Any]:
    """Whether each caption finds its picture first, and each picture one of its captions."""
    every = [text for texts in captions for text in texts]
    of_text = np.repeat(np.arange(len(rows)), [len(one) for one in captions])
    words = model.encode_text(model.tokenizer(every)).numpy()
    texts = np.concatenate(
        [
            (part @ rows.numpy().T).argmax(axis=1)
            for part in np.array_split(words, len(words) // 512 + 1)
        ]
    )
    images = np.concatenate(
        [
            (part @ words.T).argmax(axis=1)
            for part in np.array_split(rows.numpy(), len(rows) // 512 + 1)
        ]
    )
    return texts == of_text, of_text[images] == np.arange(len(rows))


def _batches(rows: Any, targets: Any) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE], targets[start : start + _AT_ONCE]


class _told:
    """The library's progress told to somebody else, and its `float` of rows of one number, which
    numpy refuses from 2.4 on; it has no other way for either."""

    def __init__(self, module: Any, heard: Callable[[int, int], None]) -> None:
        self._module, self._heard, self._tqdm = module, heard, module.tqdm

    def __enter__(self) -> None:
        self._module.tqdm, self._module.float = self._loop, _number

    def __exit__(self, *_: object) -> None:
        self._module.tqdm = self._tqdm
        del self._module.float

    def _loop(self, items: Any) -> Iterator[Any]:
        total = len(items) if hasattr(items, "__len__") else 0
        for done, item in enumerate(items, 1):
            yield item
            self._heard(done, total)


def _number(value: Any) -> float:
    return float(np.asarray(value, np.float64).reshape(-1)[0])
