"""Small PNG files."""

from io import BytesIO
from pathlib import Path

COLORS = 128


def save_with_palette(png: bytes, path: Path) -> None:
    """Write the image to `path` with a palette, which takes about a third of the bytes."""
    from PIL import Image  # noqa: PLC0415 - only the dependency group `bench` has Pillow

    image = Image.open(BytesIO(png)).convert("RGB")
    image.quantize(COLORS, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
