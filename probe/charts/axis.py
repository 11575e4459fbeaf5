"""Axes of charts: from values to coordinates, linear or logarithmic, and their ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# An axis is logarithmic if its values have a larger ratio. A ratio of 5 has at least two ticks.
MAX_LINEAR_RATIO = 6.0

# Space at both ends of an axis, as a share of its range.
PADDING = 0.06

# The axis of a single value extends by this share of it on both sides.
SINGLE_VALUE_PADDING = 0.2

MAX_TICKS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Maps values from `low` to `high` to coordinates from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> "Axis":
        """Return an axis for all `values`, which are positive, with space at its ends."""
        low, high = min(values), max(values)
        if low == high:
            low, high = low * (1 - SINGLE_VALUE_PADDING), high * (1 + SINGLE_VALUE_PADDING)
        if high / low > MAX_LINEAR_RATIO:
            factor = (high / low) ** PADDING
            low, high, is_logarithmic = low / factor, high * factor, True
        else:
            space = (high - low) * PADDING
            low, high, is_logarithmic = low - space, high + space, False
        return cls(low=low, high=high, start=start, end=end, is_logarithmic=is_logarithmic)

    @classmethod
    def from_zero(cls, high: float, start: float, end: float) -> "Axis":
        """Return a linear axis from 0 to at least `high`."""
        return cls(low=0.0, high=high * (1 + PADDING), start=start, end=end, is_logarithmic=False)

    def at(self, value: float) -> float:
        """Return the coordinate of `value`, or that of the nearest end of the axis."""
        value = min(max(value, self.low), self.high)
        if self.is_logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values on the axis, at most MAX_TICKS."""
        return self._logarithmic_ticks() if self.is_logarithmic else self._linear_ticks()

    def _linear_ticks(self) -> list[float]:
        raw = (self.high - self.low) / (MAX_TICKS - 1)
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step = next(size * magnitude for size in (1, 2, 2.5, 5, 10) if size * magnitude >= raw)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        # Multiplication of floats causes errors in the last digits.
        return [float(f"{number * step:.12g}") for number in range(first, last + 1)]

    def _logarithmic_ticks(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for digits in ((1, 2, 5), (1,)):
            ticks = [
                float(f"{digit}e{exponent}")
                for exponent in range(first, last + 1)
                for digit in digits
                if self.low <= float(f"{digit}e{exponent}") <= self.high
            ]
            if len(ticks) <= MAX_TICKS:
                return ticks
        return ticks[:: math.ceil(len(ticks) / MAX_TICKS)]
