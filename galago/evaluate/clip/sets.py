"""The benchmarks by name: which data they are, and what counts of them.

The 38 are DataComp's (https://arxiv.org/abs/2304.14108), whose average the papers print: names,
sizes, metrics and places are those of mlfoundations/datacomp, tasklist.yml.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from galago.errors import OptionError

__all__ = ["ALL", "DATACOMP", "GROUPS", "SHARDS", "Place", "Set", "chosen", "find_place", "wanting"]

SHARDS = Path("test", "nshards.txt")  # what a set in WebDataset form has


@dataclass(frozen=True)
class Set:
    """A benchmark.

    pictures: how many it has.  metric: the one that counts: acc1, mean_per_class_recall,
    mean_recall@1, f1_macro, acc_worst_group or acc5_worst_group.  folder: clip_benchmark's name for
    it as plain files, "" where these hold pickles, need TensorFlow, or would be fetched.  hub:
    where it lies in WebDataset form.
    """

    name: str
    title: str
    pictures: int
    metric: str = "acc1"
    folder: str = ""
    hub: str = ""

    @property
    def repository(self) -> str:
        """Its data set on the hub."""
        tail = self.name.removeprefix("fairness/").replace("/", "-")
        return self.hub or f"djghosh/wds_{tail}_test"

    @property
    def retrieval(self) -> bool:
        return self.metric == "mean_recall@1"


def _captions(name: str, title: str, pictures: int) -> Set:
    return Set(name, title, pictures, "mean_recall@1", name, f"clip-benchmark/wds_{name}")


_CLASS = "mean_per_class_recall"
DATACOMP = (
    Set("imagenet1k", "ImageNet", 50000, folder="imagenet1k-unverified"),
    Set("imagenet_sketch", "ImageNet Sketch", 50889, folder="imagenet_sketch"),
    Set("imagenetv2", "ImageNet v2", 10000),
    Set("imagenet-a", "ImageNet-A", 7500, folder="imagenet-a"),
    Set("imagenet-o", "ImageNet-O", 2000, folder="imagenet-o"),
    Set("imagenet-r", "ImageNet-R", 30000, folder="imagenet-r"),
    Set("objectnet", "ObjectNet", 18574, folder="objectnet"),
    Set("vtab/caltech101", "Caltech-101", 6085, _CLASS),
    Set("cifar10", "CIFAR-10", 10000),
    Set("vtab/cifar100", "CIFAR-100", 10000),
    Set("vtab/clevr_count_all", "CLEVR Counts", 15000),
    Set("vtab/clevr_closest_object_distance", "CLEVR Distance", 15000),
    Set("country211", "Country211", 21100, folder="country211"),
    Set("vtab/dtd", "Describable Textures", 1880, folder="dtd"),
    Set("vtab/eurosat", "EuroSAT", 5400),
    Set("fgvc_aircraft", "FGVC Aircraft", 3333, _CLASS, folder="fgvc_aircraft"),
    Set("food101", "Food-101", 25250, folder="food101"),
    Set("gtsrb", "GTSRB", 12630, folder="gtsrb"),
    Set("vtab/kitti_closest_vehicle_distance", "KITTI Vehicle Distance", 711),
    Set("mnist", "MNIST", 10000, folder="mnist"),
    Set("vtab/flowers", "Oxford Flowers-102", 6149, _CLASS, folder="flowers"),
    Set("vtab/pets", "Oxford-IIIT Pet", 3669, _CLASS, folder="pets"),
    Set("voc2007", "Pascal VOC 2007", 14976),
    Set("vtab/pcam", "PatchCamelyon", 32768),
    Set("renderedsst2", "Rendered SST2", 1821, folder="renderedsst2"),
    Set("vtab/resisc45", "RESISC45", 6300),
    Set("cars", "Stanford Cars", 8041, folder="cars"),
    Set("stl10", "STL-10", 8000, folder="stl10"),
    Set("sun397", "SUN397", 108754, folder="sun397"),
    Set("vtab/svhn", "SVHN", 26032),
    _captions("flickr30k", "Flickr30k", 1000),
    _captions("mscoco_captions", "MSCOCO", 5000),
    Set("wilds/iwildcam", "iWildCam", 42791, "f1_macro"),
    Set("wilds/camelyon17", "Camelyon17", 85054),
    Set("wilds/fmow", "FMoW", 22108, "acc_worst_group"),  # by region
    Set("fairness/dollar_street", "Dollar Street", 3503, "acc5_worst_group"),  # by income
    Set("fairness/geode", "GeoDE", 12488, "acc_worst_group"),  # by region
)
# The 38th is WinoGAViL, which comes as a script of the hub: nothing of the hub's is run here.
ALL = 38
_ROBUST = ("imagenetv2", "imagenet_sketch", "imagenet-a", "imagenet-o", "imagenet-r", "objectnet")
GROUPS = {
    "datacomp": tuple(one.name for one in DATACOMP),
    "robustness": _ROBUST,
    "retrieval": ("flickr30k", "mscoco_captions"),
}


@dataclass(frozen=True)
class Place:
    """A set that is here: a folder in WebDataset form, or of plain files."""

    of: Set
    folder: Path
    webdataset: bool


def chosen(words: Sequence[str], data: Path) -> list[Set]:
    """The sets behind names, the last parts of names, and groups; of no words, those in `data`.

    A name that is none of them is a set of one's own where such a folder lies in `data`, or `data`
    itself is one.  OptionError for a name that is nothing.
    """
    if not words:
        if (data / SHARDS).is_file():
            known = [one for one in DATACOMP if (at := find_place(one, data)) and at.folder == data]
            return known or [_own(data.name)]
        return [one for one in DATACOMP if find_place(one, data)] + _others(data)
    found: dict[str, Set] = {}
    for word in words:
        for one in _named(word, data):
            found[one.name] = one
    return list(found.values())


def _named(word: str, data: Path) -> list[Set]:
    known = {one.name: one for one in DATACOMP}
    if word in GROUPS:
        return [known[name] for name in GROUPS[word]]
    near = [one for one in DATACOMP if word in (one.name, one.name.rpartition("/")[2])]
    if near:
        return near
    if find_place(_own(word), data):
        return [_own(word)]
    short = [name.rpartition("/")[2] for name in known]
    alike = difflib.get_close_matches(word, [*GROUPS, *short, *known], 1, 0.7)
    there = f"there is: {', '.join(GROUPS)}, {', '.join(known)}"
    meant = f"did you mean {alike[0]}?" if alike else there
    raise OptionError(f"{word!r} is no benchmark and no folder of {data}; {meant}")


def _own(name: str) -> Set:
    return Set(name, name, 0)


def _others(data: Path) -> list[Set]:
    """Sets of one's own in `data`, in WebDataset form."""
    taken = {place.folder for one in DATACOMP if (place := find_place(one, data))}
    shards = sorted(data.glob(f"*/{SHARDS.as_posix()}"))
    return [_own(one.parents[1].name) for one in shards if one.parents[1] not in taken]


def find_place(one: Set, data: Path) -> Place | None:
    """Where a set lies: in a folder of `data` called as on the hub or by its name, or `data`."""
    short, dashed = one.name.rpartition("/")[2], one.name.replace("/", "-")
    names = [one.repository.rpartition("/")[2], f"wds_{dashed}", dashed, one.name, short]
    folders = [data / name for name in names]
    if data.name in names:
        folders.append(data)
    for folder in folders:
        if (folder / SHARDS).is_file():
            return Place(one, folder, True)
    for folder in folders:
        if one.folder and folder.is_dir():
            return Place(one, folder, False)
    return None


def wanting(one: Set, data: Path) -> str:
    """What to do for a set that isn't here, in a line."""
    repository = one.repository
    place = data / repository.rpartition("/")[2]
    return (
        f"{one.name} isn't in {data}: hf download --repo-type dataset {repository} "
        f"--local-dir {place}"
    )
