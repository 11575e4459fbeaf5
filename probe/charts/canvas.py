"""Parts that all charts have: size, ticks and lines.

Coordinates are those of a picture of WIDTH x HEIGHT, with y from the top.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from probe.charts.axis import Axis

WIDTH, HEIGHT = 640, 326

# The area of the data. Labels of the axes are outside, and so are labels of vertical lines.
LEFT, RIGHT, TOP, BOTTOM = 62, WIDTH - 12, 44, HEIGHT - 44

# Height of a line of text.
LABEL_HEIGHT = 15


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of an axis."""

    position: float
    label: str


class Position(Protocol):
    """Something with coordinates."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...


def axis_ticks(axis: Axis, format_value: Callable[[float], str]) -> tuple[Tick, ...]:
    """Return the ticks of an axis with their labels."""
    return tuple(Tick(axis.at(value), format_value(value)) for value in axis.ticks())


def line_path(points: Sequence[Position | None]) -> str:
    """Return the SVG path of a line through `points`, with gaps for those that are None."""
    path, command = "", "M"
    for point in points:
        if point:
            path += f"{command}{point.x:.1f} {point.y:.1f}"
        command = "L" if point else "M"
    return path
