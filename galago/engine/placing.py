"""A model's parts on the devices that were chosen, each checked against the CPU before it answers.

What a device can't compile, what strays there and what fails later is the CPU's; each is told in a
line. With AUTO the CPU answers at once, and a thread gets the device ready.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from galago.engine.agreement import Agreement, Kept
from galago.engine.device import Device
from galago.engine.standby import Standby, last_words
from galago.progress import Progress, Stage

__all__ = ["PartOn", "Placer"]

Part = TypeVar("Part")


@dataclass(frozen=True)
class PartOn(Generic[Part]):
    """A part of a model: `what` it is for a person, and how it is made on a device.

    `check(ours, theirs)` compares the CPU's with the device's.
    """

    what: str
    make: Callable[[Device | None], Part]
    check: Callable[[Part, Part], Agreement]


@dataclass
class Placer:
    """Puts parts on devices. `kept` holds what was found before, unless it is asked `again`.

    `meanwhile`: the CPU answers until a device is ready; `wait` waits for that.
    """

    kept: Kept
    progress: Progress
    meanwhile: bool = False
    again: bool = False

    def __post_init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def place(self, part: PartOn[Part], device: Device) -> Standby[Part]:
        """The part on that device, or on the CPU with the reason told."""
        standby: Standby[Part] = Standby(
            part.what, device.called(), lambda: part.make(None), self._tell
        )
        if device.plain:
            return standby
        if not self.meanwhile:
            self._bring(part, device, standby)
            return standby
        standby.ours()  # whoever asks now need not wait for two
        # No daemon: the engine must not be torn down under a graph that is being compiled, and what
        # is kept of it makes the next start quick.
        thread = threading.Thread(
            target=self._bring, args=(part, device, standby), name=f"galago-{device.name}"
        )
        self._threads.append(thread)
        thread.start()
        return standby

    def wait(self) -> None:
        """Until every device is ready, or known not to be."""
        for thread in self._threads:
            thread.join()

    def _bring(self, part: PartOn[Part], device: Device, standby: Standby[Part]) -> None:
        found = None if self.again else self.kept.of(part.what, device.identity)
        if found is not None and not found.passed:
            self._refuse(standby, found.sentence())
            return
        try:
            theirs = part.make(device)
            fresh = found is None
            if found is None:
                self.progress(Stage(f"comparing {device.name} with the CPU"), 0.0)
                found = part.check(standby.ours(), theirs)
                self.progress(Stage(f"comparing {device.name} with the CPU"), 1.0)
        except (RuntimeError, MemoryError) as error:
            why = last_words(error)
            self._refuse(
                standby, f"{part.what} can't run on {device.called()} ({why}): the CPU is used"
            )
            return
        if fresh:
            self.kept.keep(found, device.identity)
        if not found.passed:
            self._refuse(standby, found.sentence())
            return
        if not self.meanwhile:
            standby.let_ours_go()
        standby.arrive(theirs, found.sentence())
        self.progress(Stage(found.sentence(), lasting=fresh), 1.0)

    def _refuse(self, standby: Standby[Part], line: str) -> None:
        standby.stay(line)
        self._tell(line)

    def _tell(self, line: str) -> None:
        self.progress(Stage(line, lasting=True), 1.0)
