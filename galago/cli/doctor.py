"""`galago doctor`: versions, processor, places, models, and a self-test, to paste into a report."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago import memory
from galago.cli import options
from galago.cli.hints import resolution_hint
from galago.cli.terminal import say, write
from galago.errors import GalagoError, install_line
from galago.places import albums_dir, cache_dir, config_file
from galago.progress import silent
from galago.version import __version__

if TYPE_CHECKING:
    from galago.vlm.loading import Where

__all__ = ["doctor"]

_PACKAGES = ("openvino", "numpy", "pillow", "tokenizers", "huggingface_hub", "simsimd", "typer")
_EXTRAS = {"video": "av", "heic": "pi_heif", "serve": "fastapi", "mcp": "mcp"}
_GB = 1e9


def doctor(
    device: options.Device = None,
    vision_device: options.VisionDevice = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False,
) -> None:
    """Show what a report of a fault needs: versions, processor, places, models, a self-test.

    Asks the embedded models about a picture that comes with galago. With a device it compares
    the models that are here on it with the CPU. Contacts nobody and changes nothing but what is
    known of devices; your home folder is written as ~. Exit code 1 when the self-test fails, or
    the device is refused.

    \b
    Examples:
      galago doctor
      galago doctor --json > report.json
      galago doctor --device GPU
      galago doctor --vision-device NPU
    """
    from galago.vlm.loading import Where

    named = Where(device, vision_device, again=True)
    named.devices()  # one that isn't here is told at once
    found: dict[str, Any] = {"versions": _versions(), "machine": _machine()}
    found |= {"places": _places(), "models": _models(), "missing": _missing()}
    if advice := resolution_hint():
        found["advice"] = {"resolution": advice}
    compared = _compared(named) if device or vision_device else None
    if compared is not None:
        found["compared"] = compared
    found["self_test"] = _self_test()
    if as_json:
        write(json.dumps(found) + "\n")
    else:
        for part, values in found.items():
            write(f"{part.replace('_', ' ')}\n")
            for key, value in values.items():
                write(f"  {key:<18} {value}\n")
    if not found["self_test"]["passed"]:
        say("the self-test failed: please report it with these lines")
        raise typer.Exit(1)
    if compared is not None and not compared["passed"]:
        say("a device was refused: please report it with these lines")
        raise typer.Exit(1)


def _compared(where: Where) -> dict[str, Any]:
    """Of the embedded models, and of the one that questions go to, where their parts run."""
    import numpy as np

    from galago import catalog
    from galago.clip.mobileclip import MobileCLIP
    from galago.convert.choice import choose_fastvlm
    from galago.vlm.loading import load_parts

    found: dict[str, Any] = {"passed": True}
    for name in dict.fromkeys((catalog.DEFAULT, choose_fastvlm().name)):
        parts = load_parts(name, "auto", True, None, silent, where)
        told = parts.stories()
        side = parts.spec.image.side
        pixels = np.zeros((1, 3, side, side), np.float32)
        parts.vision.encode(pixels)
        began = time.perf_counter()
        parts.vision.encode(pixels)
        seconds = time.perf_counter() - began
        lines = "; ".join(one.line for one in told)
        found[name] = f"{lines}; {seconds:.3f} s a picture of {side} px"
        found["passed"] &= not any(one.refused for one in told)
    clip = MobileCLIP.load(catalog.DEFAULT_CLIP, device=where.device)
    clip.embed_images([_picture()])
    clip.embed_texts(["a dog"])
    found[catalog.DEFAULT_CLIP] = "; ".join(clip.devices) or "on CPU"
    found["passed"] &= not clip.refused
    return found


def _versions() -> dict[str, str]:
    found = {"galago": __version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in _PACKAGES}


def _machine() -> dict[str, Any]:
    from galago.engine.device import listed
    from galago.engine.processor import about

    processor = about()
    free = memory.available()
    return {
        "system": platform.platform(),
        "processor": processor.name,
        "cores": os.cpu_count(),
        "can": " ".join(processor.abilities) or "nothing that is known of",
        "devices": "; ".join(listed()),
        "engine": processor.engine,
        "free memory": "unknown" if free is None else f"{free / _GB:.1f} GB",
    }


def _places() -> dict[str, str]:
    places: dict[str, Callable[[], Path]] = {
        "cache": cache_dir,
        "albums": albums_dir,
        "settings": config_file,
    }
    found = {}
    for name, place in places.items():
        try:
            path = place()
        except GalagoError as error:
            found[name] = str(error)
            continue
        found[name] = _short(path) + ("" if path.exists() else " (not there yet)")
    return found


def _short(text: Path | str) -> str:
    """A path, or a line with paths, without the person's name in it."""
    home = os.path.expanduser("~")
    return str(text) if home == "/" else str(text).replace(home + os.sep, "~" + os.sep)


def _models() -> dict[str, str]:
    """What is used when nothing is named, and what else is here."""
    from galago.convert.choice import choose_fastvlm, converted
    from galago.hub.choice import choose_clip, clips

    found = {}
    for what, choose in (("for questions", choose_fastvlm), ("for new albums", choose_clip)):
        try:
            choice = choose()
            found[what] = f"{choice.name} ({choice.why})"
        except GalagoError as error:
            found[what] = str(error)
    here = [one.name for one in (*converted(), *clips())]
    return found | {"here": ", ".join(here) or "only the embedded ones"}


def _missing() -> dict[str, str]:
    return {
        extra: _short(install_line(extra))
        for extra, module in _EXTRAS.items()
        if importlib.util.find_spec(module) is None
    }


def _self_test() -> dict[str, Any]:
    """Both embedded models on a picture of the package, as they run here and in full precision."""
    try:
        return _answers() | _vectors() | {"passed": True}
    except Exception as error:  # whatever it is belongs into the report
        return {"passed": False, "reason": f"{type(error).__name__}: {error}"}


def _answers() -> dict[str, Any]:
    import numpy as np

    from galago import catalog
    from galago.text.presets import PRESETS
    from galago.vlm.fastvlm import FastVLM

    picture = _picture()
    began = time.perf_counter()
    vlm = FastVLM.load(catalog.DEFAULT)
    loaded = time.perf_counter()
    image = vlm.encode(picture)
    answer = vlm.ask(image, PRESETS["brief"])
    done = time.perf_counter()
    exact = FastVLM.load(catalog.DEFAULT, precision="fp32").encode(picture)
    likeness = _cosine(image.features, exact.features)
    if not np.isfinite(image.features).all() or likeness < 0.98:
        raise ValueError(f"features lie {likeness:.4f} to those in full precision")
    if vlm.ask(image, PRESETS["brief"]) != answer:
        raise ValueError("the same question got another answer")
    return {
        catalog.DEFAULT: answer,
        "precision": vlm.precision,
        "likeness": f"{likeness:.4f} to full precision",
        "seconds": f"{loaded - began:.1f} to load, {done - loaded:.1f} to answer",
    }


def _vectors() -> dict[str, Any]:
    from galago import catalog
    from galago.clip.mobileclip import MobileCLIP

    picture = _picture()
    rows = [MobileCLIP.load(catalog.DEFAULT_CLIP, precision=p).embed_images([picture])
            for p in ("auto", "fp32")]  # fmt: skip
    likeness = _cosine(*rows)
    if not likeness > 0.98:
        raise ValueError(f"vectors lie {likeness:.4f} to those in full precision")
    return {catalog.DEFAULT_CLIP: f"{likeness:.4f} to full precision"}


def _picture() -> Path:
    from galago.places import DATA

    return min((DATA / "selfcheck").glob("*.webp"))


def _cosine(one: Any, other: Any) -> float:
    import numpy as np

    a, b = (np.asarray(rows, np.float64).ravel() for rows in (one, other))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
