"""Makes small WebP files of a folder's PNG files: python webp.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

for path in sorted(Path(sys.argv[1]).glob("*.png")):
    with Image.open(path) as picture:
        picture.convert("RGB").save(path.with_suffix(".webp"), quality=82, method=6)
    path.unlink()
