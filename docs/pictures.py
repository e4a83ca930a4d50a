"""Draw the README's pictures anew, from the app in a browser: python -m docs.pictures"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from benchmarks.browser import CHART, IDLE, SECONDS_TO_WAIT, chromium, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

FOLDER = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1280, 720
PICTURES = {  # file: address, height in pixels
    "compare.png": ("/", HEIGHT),
    "layers.png": ("/layers?ratio=0.5&weights=global&allocation=global", HEIGHT),
    "recovery.png": ("/recovery?ratio=0.5", HEIGHT),
    "predictions.png": (
        "/predictions?ratio=0.3&recovery=BN+recalibrated&predictions=Images",
        1080,
    ),
    "efficiency.png": ("/efficiency?ratio=0.5", HEIGHT),
}
ANIMATED = "playing.gif"
ANIMATED_SIZE = (880, 495)
STEPS = 19  # of 0.05, from 0 to 0.95
FRAME_MS = 350
LAST_FRAME_MS = 2000


def main() -> None:
    with serving() as address, chromium() as browser:
        for name, (path, height) in PICTURES.items():
            page = _open(browser, address + path, height)
            page.screenshot(path=FOLDER / name)
            page.close()
        page = _open(browser, f"{address}/?present=1&ratio=0&study=false")
        frames = [_shrunk(page.screenshot())]
        for step in range(1, STEPS + 1):
            page.keyboard.press("ArrowRight")
            page.get_by_text(f"ratio {0.05 * step:.2f}").nth(1).wait_for()
            _settle(page)
            frames.append(_shrunk(page.screenshot()))
    frames[0].save(
        FOLDER / ANIMATED,
        save_all=True,
        append_images=frames[1:],
        duration=[FRAME_MS] * STEPS + [LAST_FRAME_MS],
        loop=0,
        optimize=True,
    )


def _open(browser: "Browser", address: str, height: int = HEIGHT) -> "Page":
    viewport: ViewportSize = {"width": WIDTH, "height": height}
    page = browser.new_page(viewport=viewport, color_scheme="light")
    page.set_default_timeout(1000 * SECONDS_TO_WAIT)
    page.goto(address)
    page.wait_for_selector(CHART)
    _settle(page)
    return page


def _settle(page: "Page") -> None:
    page.wait_for_selector(IDLE)
    page.wait_for_timeout(1000)  # until the browser has drawn what has arrived


def _shrunk(screenshot: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    return picture.resize(ANIMATED_SIZE, Image.Resampling.LANCZOS).quantize(128)


if __name__ == "__main__":
    main()
