"""The pictures in the README, made anew: small, and of sample data.

    python -m tests.browser.pictures [--out dashboard/pictures]

Owns which pages they show and that each is a small file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.screenshots import PAGES, chosen, picture, sample, served

SHOWN = {"overview": 1345, "spend": 1240, "exchange": 900}
"""How many pixels of each page, from its top."""
WIDTH, SHADES = 1280, 192
MOST_BYTES = 120_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dashboard/pictures"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = sample(Path(scratch) / "sample")
        with served(folder, Path(scratch) / "dashboard.log") as url:
            take(url, args.out, chosen(folder))
    return 0


def take(url: str, out: Path, given: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for name, height in SHOWN.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            taken = picture(page, url + PAGES[name].format(**given), WIDTH, height)
            page.close()
            small = shrunk(taken, height)
            assert len(small) <= MOST_BYTES, f"{name}: {len(small):,} bytes"
            (out / f"{name}.png").write_bytes(small)
        browser.close()


def shrunk(png: bytes, height: int) -> bytes:
    """The upper part of a picture, with few colours."""
    whole = Image.open(BytesIO(png)).convert("RGB")
    upper = whole.crop((0, 0, whole.width, min(height, whole.height)))
    made = BytesIO()
    upper.quantize(SHADES, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
    return made.getvalue()


if __name__ == "__main__":
    sys.exit(main())
