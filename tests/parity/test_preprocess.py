"""Pixel values against transformers' CLIP processor and apple/ml-fastvlm's padding.

Run in the parity environment: `python -m pytest tests/parity/test_preprocess.py`.

Measured (Pillow 13, transformers 5.23): equal to the Pillow-backed CLIPImageProcessor in every
pixel, padded or cropped, at every side.  The torchvision-backed one, which transformers prefers
where torchvision is installed, has other resizing arithmetic: 99.2-99.9 % of the values are equal,
99.999 % within one 8-bit step, the worst is 9 steps (noise, where an edge overshoots).  fast_vlm
has no processor of its own: its folders name one of these two.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from galago.media.images import open_image
from galago.media.preprocess import preprocess
from galago.specs import ImageSpec

transformers = pytest.importorskip("transformers")

SIZES = [(640, 480), (480, 640), (333, 1000), (1201, 345), (300, 300), (97, 61), (2400, 1801)]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def picture(size: tuple[int, int], sharp: bool) -> Image.Image:
    """Colours, lines and letters; `sharp` adds noise, the hardest thing to resize alike."""
    rng = np.random.default_rng(size[0] * 7 + size[1])
    small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    image = small.resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for step in range(12):
        pen.line((0, step * 40, size[0], step * 90), fill=(step * 20, 0, 255 - step * 20), width=2)
        pen.text((step * 31, step * 17), "galago", fill=(255, 255, 255))
    if sharp:
        noise = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
        return Image.blend(image, noise, 0.5)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def expand2square(image: Image.Image, mean: tuple[float, ...]) -> Image.Image:
    """What llava does when the config says image_aspect_ratio: pad."""
    longest = max(image.size)
    square = Image.new("RGB", (longest, longest), tuple(int(value * 255) for value in mean))
    square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
    return square


def processor(spec: ImageSpec, name: str) -> object:
    resample = 3 if spec.resample == "bicubic" else 2
    return getattr(transformers, name)(
        size={"shortest_edge": spec.side},
        crop_size={"height": spec.side, "width": spec.side},
        image_mean=list(spec.mean),
        image_std=list(spec.std),
        resample=resample,
    )


def reference(image: Image.Image, spec: ImageSpec, name: str) -> np.ndarray:
    if spec.fit == "pad":
        image = expand2square(image, spec.mean)
    pixel_values = processor(spec, name)(images=image, return_tensors="np")["pixel_values"]  # type: ignore[operator]
    return np.asarray(pixel_values[0])


def steps_apart(spec: ImageSpec, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    std = np.asarray(spec.std)[:, None, None]
    return np.abs(ours - theirs) * std * 255


@pytest.mark.parametrize("sharp", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [256, 512, 1024])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_equals_the_pillow_processor(
    fit: str, side: int, size: tuple[int, int], sharp: bool
) -> None:
    spec = ImageSpec(side=side, fit=fit)  # type: ignore[arg-type]
    image = picture(size, sharp)
    theirs = reference(image, spec, "CLIPImageProcessorPil")
    ours = preprocess(image, spec)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_mean_std_and_bilinear(fit: str, resample: str) -> None:
    spec = ImageSpec(256, CLIP_MEAN, CLIP_STD, resample, fit)  # type: ignore[arg-type]
    for size in SIZES:
        image = picture(size, sharp=True)
        theirs = reference(image, spec, "CLIPImageProcessorPil")
        assert np.abs(preprocess(image, spec) - theirs).max() < 1e-5


@pytest.mark.parametrize("sharp", [False, True])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_near_the_torchvision_processor(
    fit: str, sharp: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = []
    for size in SIZES:
        for side in (256, 1024):
            spec = ImageSpec(side=side, fit=fit)  # type: ignore[arg-type]
            image = picture(size, sharp)
            theirs = reference(image, spec, "CLIPImageProcessor")
            apart.append(steps_apart(spec, preprocess(image, spec), theirs).ravel())
    steps = np.concatenate(apart)
    same, one, worst = (steps < 0.5).mean(), (steps < 1.5).mean(), steps.max()
    with capsys.disabled():
        print(
            f"\n{fit} sharp={sharp}: equal {same:.4%}, within one step {one:.4%}, worst {worst:.0f}"
        )
    assert same > 0.99 and one > 0.9999 and worst < 16


def test_decoding_small_jpegs_is_the_same_as_pillows() -> None:
    stream = io.BytesIO()
    picture((800, 600), sharp=False).save(stream, "JPEG", quality=90)
    spec = ImageSpec(side=512)
    theirs = reference(Image.open(stream).convert("RGB"), spec, "CLIPImageProcessorPil")
    assert np.abs(preprocess(open_image(stream.getvalue(), icc=False), spec) - theirs).max() < 1e-6
