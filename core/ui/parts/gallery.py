"""Pictures in a grid, small ones enlarged without blur, with what is said of them."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from core.ui.parts.record import Pictures, note

RIGHT_COLOR, WRONG_COLOR = (90, 174, 97), (153, 112, 171)
FRAME_COLOR = (230, 159, 0)
LINE = 2  # pixels
SIZE = 96  # pixels on the page, at most
SHARP = 2  # how many times as many pixels a large picture has, for sharp screens
STYLE = f"""<style>
.gallery {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: 1rem; }}
.gallery figure {{ margin: 0; font-size: 0.85rem; line-height: 1.35; overflow-wrap: anywhere; }}
.gallery img {{ display: block; image-rendering: pixelated; margin-bottom: 0.25rem; }}
.gallery .large {{ image-rendering: auto; }}
.gallery .strip {{ width: {SIZE}px; height: 7px; border-radius: 2px; }}
</style>"""


@dataclass(frozen=True, eq=False)
class Card:
    """One picture, and what is said of it."""

    picture: np.ndarray  # uint8 (height, width, 3)
    alt: str
    lines: Sequence[str]
    strip: np.ndarray | None = None  # bool: right or wrong at each ratio
    strip_alt: str = ""


def show_gallery(cards: Sequence[Card]) -> None:
    """Draw the cards; texts are shown as they are, without reading markup in them."""
    content = f'<div class="gallery">{"".join(map(_item, cards))}</div>'
    st.html(STYLE + content)
    note("gallery", Pictures(content))


def show_picture(png: bytes, caption: str, place: str) -> None:
    """Draw one picture at its size; `place` names it within the page."""
    st.image(png, caption=caption)
    said = f"<figcaption>{html.escape(caption)}</figcaption>"
    note(place, Pictures(f'<figure><img src="{_source(png)}" alt="">{said}</figure>'))


def _item(card: Card) -> str:
    picture = sized(card.picture)
    large = max(picture.shape[:2]) > SIZE
    width = picture.shape[1] // SHARP if large else picture.shape[1]
    kind = "picture large" if large else "picture"
    parts = [_image(picture, kind, card.alt, width)]
    if card.strip is not None:
        colors = np.where(card.strip[:, None], RIGHT_COLOR, WRONG_COLOR).astype(np.uint8)
        parts.append(_image(colors[None], "strip", card.strip_alt))
    caption = "<br>".join(map(html.escape, card.lines))
    return f"<figure>{''.join(parts)}<figcaption>{caption}</figcaption></figure>"


def sized(picture: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 (height, width, 3), at its size on the page.

    A small one is enlarged by a whole number, so that every pixel is a square of SIZE at most; one
    that is larger than SIZE gets SHARP times that.
    """
    longest = max(picture.shape[:2])
    if longest <= SIZE:
        scale = SIZE // longest
        return picture.repeat(scale, 0).repeat(scale, 1)
    height, width = (max(1, round(side * SHARP * SIZE / longest)) for side in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _image(pixels: np.ndarray, kind: str, alt: str, width: int | None = None) -> str:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    size = "" if width is None else f' width="{width}"'
    text = html.escape(alt, quote=True)
    return f'<img class="{kind}"{size} src="{_source(file.getvalue())}" alt="{text}">'


def _source(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def framed(picture: np.ndarray, box: tuple[float, float, float, float] | None) -> np.ndarray:
    """Bring a picture to its size on the page, and frame a place: top, left, bottom, right.

    The place is given in parts of the picture, 0 to 1.
    """
    large = sized(picture).copy()
    if box is None:
        return large
    height, width = large.shape[:2]
    top, bottom = (round(box[side] * (height - LINE)) for side in (0, 2))
    left, right = (round(box[side] * (width - LINE)) for side in (1, 3))
    for row in (top, bottom):
        large[row : row + LINE, left : right + LINE] = FRAME_COLOR
    for column in (left, right):
        large[top : bottom + LINE, column : column + LINE] = FRAME_COLOR
    return large
