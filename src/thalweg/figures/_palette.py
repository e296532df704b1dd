"""The colours, chosen once: they keep apart on light and dark pages and for colour-blind readers.

Each series colour has a contrast of at least 3 against both backgrounds, and any two of the first
four stay apart under simulated protanopia and deuteranopia; a test holds that.
"""

from typing import Literal

Mode = Literal["light", "dark"]

SERIES = ("#3a72d8", "#de6a26", "#2a9d96", "#9a48ad", "#8b6b42")
"""One colour for each of several curves or bars; further ones start again."""

GREY = "#80868f"
"""References, chords and models: what is not itself measured."""

DEPTH = ("#14305a", "#1d5584", "#2c7fa0", "#57a6a6", "#9cc7ab", "#d6deb4", "#f6ecc6")
"""Low to high, like the depth of water; its lightness rises throughout."""

BACKGROUND: dict[Mode, str] = {"light": "#fbfaf7", "dark": "#14181d"}
INK: dict[Mode, str] = {"light": "#2b3037", "dark": "#d6d9de"}
GRID: dict[Mode, str] = {"light": "#e4e1da", "dark": "#2a3038"}
AXIS: dict[Mode, str] = {"light": "#a8a59d", "dark": "#555d68"}
SURFACE: dict[Mode, str] = {"light": "#ffffff", "dark": "#1b2027"}


def series(index: int) -> str:
    """Return the colour of the series with this number, counting from 0."""
    return SERIES[index % len(SERIES)]


def faint(colour: str, opacity: float = 0.22) -> str:
    """Return a colour for bands, as CSS writes it.

    Example:
        >>> faint("#3a72d8")
        'rgba(58, 114, 216, 0.22)'
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def depth_scale() -> list[tuple[float, str]]:
    """Return ``DEPTH`` with its positions in [0, 1]."""
    return [(index / (len(DEPTH) - 1), colour) for index, colour in enumerate(DEPTH)]
