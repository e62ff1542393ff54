"""The devices that the engine runs graphs on: which are here, and how each is told to run one.

A precision's name is what a person asked for; what a device is told is what it says of itself: the
numbers it multiplies (OPTIMIZATION_CAPABILITIES) and the settings it has (SUPPORTED_PROPERTIES),
and nowhere else in galago is that decided. The CPU's settings stand in engine/processor.py; other
devices get those of them that they have. AUTO and HETERO have hardly any of their own and hand them
on, a set for each device behind them (https://docs.openvino.ai, "AUTO", DEVICE_PROPERTIES).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from galago.engine.processor import options, product_format
from galago.engine.runtime import ov
from galago.errors import OptionError

__all__ = ["CPU", "Device", "Devices", "cpu", "find", "listed"]

CPU = "CPU"
_JOINED = ("AUTO", "HETERO")
_KNOWN = re.compile(r"CPU|NPU|GPU(\.\d+)*")
_DRIVERS = ("GPU_DRIVER_VERSION", "NPU_DRIVER_VERSION", "NPU_COMPILER_VERSION")
# What is lacking where one isn't found; the wheel of OpenVINO brings all the rest.
_NEEDS = {
    "GPU": "Intel's graphics driver (on Debian and Ubuntu intel-opencl-icd)",
    "NPU": "Intel's NPU driver",
}

Products = Literal["bf16", "f16", "f32"]


@dataclass(frozen=True)
class Device:
    """A device by the engine's name for it ("CPU", "GPU.1", "HETERO:GPU,CPU"), and its engine.

    `core` is an ov.Core, or what stands in for one in a test.
    """

    name: str
    core: Any

    @property
    def family(self) -> str:
        """CPU, GPU, NPU, AUTO or HETERO."""
        return re.split(r"[.:]", self.name)[0]

    @property
    def members(self) -> tuple[Device, ...]:
        """The devices that AUTO or HETERO runs on; of any other itself."""
        if self.family not in _JOINED:
            return (self,)
        return tuple(Device(name, self.core) for name in self.name.partition(":")[2].split(","))

    @property
    def plain(self) -> bool:
        """Whether it is the CPU, and nothing else with it."""
        return self.name == CPU

    @property
    def fixed(self) -> bool:
        """Whether it takes inputs of one shape only, which an NPU does by its vendor's table."""
        return any(one.family == "NPU" for one in self.members)

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """FP32, FP16, BF16, INT8, EXPORT_IMPORT, … as it says."""
        return frozenset(self._property("OPTIMIZATION_CAPABILITIES") or ())

    @cached_property
    def has(self) -> frozenset[str]:
        """The settings and facts that it knows."""
        return frozenset(self._property("SUPPORTED_PROPERTIES") or ())

    @property
    def keeps_graphs(self) -> bool:
        """Whether a compiled graph can be kept without its weights.

        The CPU can, though it lists no CACHE_MODE; what AUTO has compiled can't be written down.
        """
        if self.family in _JOINED:
            return False
        return self.plain or ("EXPORT_IMPORT" in self.capabilities and "WEIGHTS_PATH" in self.has)

    @cached_property
    def about(self) -> str:
        """Its own name, such as "Intel(R) Arc(TM) Graphics (iGPU)"; nothing where it has none."""
        return ", ".join(
            str(one._property("FULL_DEVICE_NAME") or "").strip() for one in self.members
        )

    @cached_property
    def driver(self) -> str:
        """Versions of its driver; nothing for the CPU, which has none."""
        found = [(one, name) for one in self.members for name in _DRIVERS if name in one.has]
        return " ".join(str(one._property(name)) for one, name in found)

    @cached_property
    def identity(self) -> tuple[object, ...]:
        """What a graph compiled for it depends on, of the device: a change makes another graph."""
        able = [sorted(one.capabilities) for one in self.members]
        return (self.name, self.about, able, self.driver)

    def called(self) -> str:
        """Its name for a person: "GPU.0 (Intel(R) Arc(TM) Graphics)"."""
        return f"{self.name} ({self.about})" if self.about.strip(", ") else self.name

    def products(self, stored: str, *, exact: bool) -> Products:
        """What products of weights `stored` so are computed in.

        `exact`: float32 was asked for, and is meant where the device has it. Elsewhere than on the
        CPU it is half the width that it has, bf16 or f16, whatever the CPU likes to store.
        """
        if self.family == CPU:
            return product_format(stored, self.core)
        able = frozenset.intersection(*(one.capabilities for one in self.members))
        if exact and "FP32" in able:
            return "f32"
        return "bf16" if "BF16" in able else "f16" if "FP16" in able else "f32"

    def settings(
        self, stored: str, threads: int | None, *, exact: bool, decoder: bool = False
    ) -> dict[str, Any]:
        """What a network whose weights are `stored` so runs with.

        A `decoder` keeps keys and values in the precision of its products: a cache that is cut back
        and continued should give what a fresh one gives.
        """
        if self.family in _JOINED:
            each = {
                one.name: one.settings(stored, threads, exact=exact, decoder=decoder)
                for one in self.members
            }
            own = {"PERFORMANCE_HINT": "LATENCY"} if self.family == "AUTO" else {}
            return own | {"DEVICE_PROPERTIES": each}
        hint = self.products(stored, exact=exact)
        wanted = options(hint, threads) | ({"KV_CACHE_PRECISION": hint} if decoder else {})
        return wanted if self.plain else {n: v for n, v in wanted.items() if n in self.has}

    def _property(self, name: str) -> Any:
        """None for what it doesn't tell."""
        with contextlib.suppress(RuntimeError):
            return self.core.get_property(self.name, name)
        return None


def cpu(core: Any = None) -> Device:
    """The CPU, which is always here."""
    return Device(CPU, core or ov.Core())


@dataclass(frozen=True)
class Devices:
    """Where a model's parts run: `vision` looks, `language` speaks.

    `meanwhile`: the CPU answers until what was compiled for them is ready. `note`: what a person
    should know of the choice, in a line.
    """

    vision: Device
    language: Device
    meanwhile: bool = False
    note: str = ""

    @property
    def plain(self) -> bool:
        """Whether all of it is the CPU's."""
        return self.vision.plain and self.language.plain


def find(device: str | None, vision_device: str | None = None, core: Any = None) -> Devices:
    """What --device and --vision-device mean here; vision runs where the language does by default.

    AUTO is the best that is here (a GPU, for vision alone an NPU), and the CPU until that is ready;
    the engine's own AUTO doesn't answer meanwhile for a graph that remembers, as a decoder does. A
    list behind it (AUTO:GPU.1,CPU) says what to choose from. An NPU takes inputs of one shape,
    which a decoder's aren't: the language stays on the CPU then.

    Raises OptionError for a device that isn't here, which names those that are.
    """
    core = core or ov.Core()
    here = tuple(core.available_devices)
    language, later = _meant(device or CPU, here, core, vision=False)
    vision, too = _meant(vision_device or device or CPU, here, core, vision=True)
    note = ""
    if language.fixed:
        note = f"{language.name} runs vision only: the language runs on the CPU"
        language = cpu(core)
    return Devices(vision, language, later or too, note)


def listed(core: Any = None) -> tuple[str, ...]:
    """What is here, for a report: "GPU.0 (Intel(R) Arc(TM) Graphics), driver 25.18, FP32 FP16"."""
    core = core or ov.Core()
    found = (Device(name, core) for name in core.available_devices)
    return tuple(
        ", ".join(
            [one.called(), *([f"driver {one.driver}"] if one.driver else [])]
            + ([" ".join(sorted(one.capabilities))] if one.capabilities else [])
        )
        for one in found
    )


def _meant(text: str, here: Sequence[str], core: Any, *, vision: bool) -> tuple[Device, bool]:
    """The device behind a name, and whether the CPU answers until it is ready."""
    name = text.strip().upper()
    family, _, listed = name.partition(":")
    members = [one.strip() for one in listed.split(",")] if listed else []
    if family == "AUTO" and (not members or CPU in members) and members != [CPU]:
        wanted = [one for one in members or here if one != CPU]
        for one in wanted:
            _check_name(one, text, here)
        able = [one for one in wanted if _is_here(one, here)]
        able.sort(key=lambda one: one.startswith("NPU"))  # by the order given, a GPU before an NPU
        if not vision:
            able = [one for one in able if not one.startswith("NPU")]
        return (Device(able[0], core), True) if able else (cpu(core), False)
    if family in _JOINED and not members:
        raise OptionError(f"device {text!r} needs those that it joins, such as {family}:GPU,CPU")
    for one in members or [name]:
        _check_name(one, text, here)
        if not _is_here(one, here):
            needs = _NEEDS.get(one.split(".")[0])
            why = f"; it needs {needs}" if needs else ""
            raise OptionError(f"device {one} isn't here: use {_named(here)}{why}")
    if members and family not in _JOINED:
        raise OptionError(f"device {text!r} is not known: use {_named(here)}")
    return Device(f"{family}:{','.join(members)}" if members else name, core), False


def _check_name(one: str, text: str, here: Sequence[str]) -> None:
    if not _KNOWN.fullmatch(one):
        raise OptionError(f"device {text!r} is not known: use {_named(here)}")


def _named(here: Sequence[str]) -> str:
    return " or ".join([*here, "AUTO"])


def _is_here(name: str, here: Sequence[str]) -> bool:
    """GPU is whichever comes first, GPU.0 the only one, which the engine then calls GPU."""
    if name in here:
        return True
    family, _, number = name.partition(".")
    return number in ("", "0") and any(one.split(".")[0] == family for one in here)
