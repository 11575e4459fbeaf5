"""The recorded requests of one side of a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

from probe.metrics import catalogue
from probe.result import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A probe, and which of its requests: those in a period, or with a value of a dimension."""

    name: str
    """How the user calls the side."""
    probe: str
    dimension: str | None
    """The dimension that selects a part of the requests, such as `version`. None: all of them."""
    value: str | None
    start: float
    """Unix seconds."""
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def dimension_labels(self) -> Mapping[str, str | None]:
        """The labels of the dimension in the histograms."""
        if self.dimension is None:
            return {}
        return {"dimension": self.dimension, "value": self.value}

    @property
    def histograms(self) -> Mapping[Signal, str]:
        """The names of the histograms. Those of a dimension have the latency only."""
        if self.dimension is None:
            return {signal: spec.name for signal, spec in catalogue.SIGNALS.items()}
        return {Signal.LATENCY: catalogue.DIMENSION_DURATION.name}
