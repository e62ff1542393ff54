"""The embedded model learns ten drawn things that nobody taught it, from twenty pictures of each.

    python examples/finetune/ten_things.py OUT

draws OUT/things/NAME/*.png, runs `galago finetune`, and tells how many of the pictures that were
held out it named rightly before and after, and how well it still reads. `--photos FOLDER` takes
pictures of yours instead, in folders named after what they show. Needs galago's extra `train`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

SIDE = 384
Pen = Callable[..., None]


def ladder(d: ImageDraw.ImageDraw, ink: str) -> None:
    for x in (30, 70):
        d.line((x, 5, x, 95), ink, 6)
    for y in range(15, 95, 18):
        d.line((30, y, 70, y), ink, 5)


def target(d: ImageDraw.ImageDraw, ink: str) -> None:
    for radius in (45, 35, 25, 15):
        box = (50 - radius, 50 - radius, 50 + radius, 50 + radius)
        d.ellipse(box, outline=ink, width=5)
    d.ellipse((45, 45, 55, 55), ink)


def chessboard(d: ImageDraw.ImageDraw, ink: str) -> None:
    d.rectangle((10, 10, 90, 90), "white", ink, 2)
    for row in range(4):
        for column in range(row % 2, 4, 2):
            x, y = 10 + 20 * column, 10 + 20 * row
            d.rectangle((x, y, x + 20, y + 20), ink)


def snowman(d: ImageDraw.ImageDraw, ink: str) -> None:
    for box in ((22, 44, 78, 98), (33, 10, 67, 46)):
        d.ellipse(box, "white", ink, 4)
    d.rectangle((34, 2, 66, 14), ink)
    for x in (43, 53):
        d.ellipse((x, 24, x + 4, 28), ink)


def kite(d: ImageDraw.ImageDraw, ink: str) -> None:
    d.polygon([(50, 2), (80, 32), (50, 72), (20, 32)], ink)
    d.line((50, 72, 40, 82, 58, 90, 46, 98), "black", 3)


def traffic_light(d: ImageDraw.ImageDraw, ink: str) -> None:
    d.rectangle((32, 3, 68, 97), "black")
    for y, colour in ((8, "red"), (37, "orange"), (66, "lime")):
        d.ellipse((37, y, 63, y + 26), colour)


def window(d: ImageDraw.ImageDraw, ink: str) -> None:
    d.rectangle((15, 8, 85, 92), "lightblue", ink, 7)
    d.line((50, 8, 50, 92), ink, 6)
    d.line((15, 50, 85, 50), ink, 6)


def stairs(d: ImageDraw.ImageDraw, ink: str) -> None:
    for step in range(5):
        d.rectangle((8 + 17 * step, 78 - 17 * step, 92, 95 - 17 * step), ink)


def sun(d: ImageDraw.ImageDraw, ink: str) -> None:
    for a, b in (
        ((50, 2), (50, 98)),
        ((2, 50), (98, 50)),
        ((16, 16), (84, 84)),
        ((84, 16), (16, 84)),
    ):
        d.line((*a, *b), "orange", 6)
    d.ellipse((26, 26, 74, 74), "gold")


def sailboat(d: ImageDraw.ImageDraw, ink: str) -> None:
    d.polygon([(5, 72), (95, 72), (78, 94), (22, 94)], ink)
    d.line((50, 5, 50, 72), "black", 4)
    d.polygon([(54, 8), (88, 66), (54, 66)], "white", "black")


THINGS: dict[str, Pen] = {
    "ladder": ladder, "target": target, "chessboard": chessboard, "snowman": snowman, "kite": kite,
    "traffic light": traffic_light, "window": window, "stairs": stairs, "sun": sun,
    "sailboat": sailboat,
}  # fmt: skip
_INKS = ("navy", "darkred", "darkgreen", "purple", "saddlebrown", "teal")
_PAPERS = ("white", "beige", "lavender", "mistyrose", "honeydew", "lightgray")


def picture(name: str, number: int) -> Image.Image:
    """A thing on a square, of its own place, size and slant; the same for the same number."""
    rng = random.Random(f"{name} {number}")
    tile = Image.new("RGBA", (100, 100))
    THINGS[name](ImageDraw.Draw(tile), rng.choice(_INKS))
    size = rng.randint(SIDE // 2, SIDE * 9 // 10)
    tile = tile.resize((size, size)).rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (SIDE, SIDE), rng.choice(_PAPERS))
    at = rng.randint(0, SIDE - size), rng.randint(0, SIDE - size)
    sheet.paste(tile, at, tile)
    return sheet


def draw(folder: Path, things: int, pictures: int) -> None:
    """`folder`/NAME/NUMBER.png, which `galago finetune` reads as labels."""
    for name in list(THINGS)[:things]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(pictures):
            picture(name, number).save(folder / name / f"{number}.png")


def main() -> None:
    asks = argparse.ArgumentParser(description="Ten new things for fastvlm-nano.")
    asks.add_argument("out", type=Path)
    asks.add_argument("--things", type=int, default=len(THINGS))
    asks.add_argument("--pictures", type=int, default=20, help="of each thing")
    asks.add_argument("--epochs", type=float, default=4.0)
    asks.add_argument("--photos", type=Path, help="folders of pictures, instead of drawing")
    asked = asks.parse_args()
    if asked.photos is None:
        draw(asked.out / "things", asked.things, asked.pictures)
    started = time.monotonic()
    ran = subprocess.run(
        [
            sys.executable, "-m", "galago", "finetune", "fastvlm-nano", str(asked.out / "model"),
            "--data", str(asked.photos or asked.out / "things"), "--rate", "2e-3", "--batch", "8",
            "--epochs", str(asked.epochs), "--held-out", "0.2", "--json",
        ],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    made = json.loads(ran.stdout)
    for when in ("before", "after"):
        score = made[when]
        print(f"{when}: {score['right']} of {score['asked']} held-out pictures named rightly")
        for own in made[f"own_{when}"]:
            print(f"{when}: {own['hits']} of {own['count']} {own['what']}")
    print(f"{made['steps']} steps, {(time.monotonic() - started) / 60:.1f} minutes in all")


if __name__ == "__main__":
    main()
