"""The page's icon, drawn here because Streamlit would download a named icon."""

from PIL import Image, ImageDraw

KEPT, PRUNED = "#0072B2", "#B9C7D0"
PRUNED_CELLS = {(1, 0), (0, 2), (2, 1)}  # column, row


def page_icon() -> Image.Image:
    """Draw a 3x3 kernel with some of its weights pruned, 48x48 pixels."""
    icon = Image.new("RGBA", (48, 48))
    draw = ImageDraw.Draw(icon)
    for column in range(3):
        for row in range(3):
            left, top = column * 16 + 1, row * 16 + 1
            color = PRUNED if (column, row) in PRUNED_CELLS else KEPT
            draw.rounded_rectangle((left, top, left + 13, top + 13), radius=3, fill=color)
    return icon
