"""A home folder with photos, some of them twice: python photos.py FOLDER EXAMPLES"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import datetime
from pathlib import Path

from PIL import Image

home, examples = Path(sys.argv[1]), Path(sys.argv[2])
pictures, phone = home / "Pictures" / "2024 Garden", home / "Pictures" / "from the phone"
for folder in (pictures, phone, home / "Documents", home / ".cache"):
    folder.mkdir(parents=True)
(home / "Documents" / "letter.txt").write_text("no picture")


def dated(path: Path, day: str) -> None:
    then = datetime.fromisoformat(day).timestamp()
    os.utime(path, (then, then))


for at, path in enumerate(sorted((examples / "album").glob("*.jpg"))[:6]):
    with Image.open(path) as opened:
        large = opened.convert("RGB").resize((opened.width * 8, opened.height * 8), 3)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = f"2024:05:{at + 10:02} 14:2{at}:00"
    large.save(pictures / path.name, quality=90, exif=exif)
    dated(pictures / path.name, f"2024-05-{at + 10:02} 14:2{at}:00")
    if at < 3:
        small = large.resize((large.width // 2, large.height // 2))
        small.save(phone / f"{path.stem} (small).jpg", quality=70)
        dated(phone / f"{path.stem} (small).jpg", "2025-01-02 09:00")
    if at == 1:
        shutil.copy2(pictures / path.name, phone / f"{path.stem} it's a copy.jpg")
(pictures / "damaged.jpg").write_bytes(b"\xff\xd8\xff no picture")
dated(pictures / "damaged.jpg", "2024-05-20 08:00")
