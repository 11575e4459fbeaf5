"""Series of Prometheus: labels and samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self


class Sample(NamedTuple):
    """A value and its time (Unix seconds)."""

    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of a series in a period, by ascending time.

    The result of an instant query has one sample.
    """

    labels: Mapping[str, str]
    samples: Sequence[Sample]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return an element of `result` in a response. Raises LookupError and ValueError."""
        values = document["values"] if "values" in document else [document["value"]]
        return cls(
            labels=document["metric"],
            samples=tuple(Sample(float(time), float(value)) for time, value in values),
        )

    @property
    def value(self) -> float:
        """The last value."""
        return self.samples[-1].value

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Identifies the series in all responses."""
        return tuple(sorted(self.labels.items()))
