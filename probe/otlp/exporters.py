"""The exporters of a daemon."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from probe.clock import Clock
from probe.metrics.exposition import MetricSource
from probe.otlp.metrics_pusher import MetricsPusher
from probe.otlp.receiver import OtlpReceiver
from probe.otlp.span_exporter import SpanExporter


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpOptions:
    """Receivers of traces and of metrics; None for those that are not exported."""

    traces: OtlpReceiver | None = None
    metrics: OtlpReceiver | None = None
    interval_seconds: float = 15.0
    """Time from one push of the metrics to the next."""


class OtlpExporters:
    """Starts and closes the exporters that `options` ask for."""

    def __init__(self, options: OtlpOptions, instance: str, clock: Clock) -> None:
        """`instance` identifies this daemon, such as `host:10115`."""
        self.traces = SpanExporter(options.traces, instance) if options.traces else None
        self._metrics = (
            MetricsPusher(
                options.metrics, instance, clock, interval_seconds=options.interval_seconds
            )
            if options.metrics
            else None
        )

    @property
    def sources(self) -> list[MetricSource]:
        """The exporters, which count their losses."""
        return [exporter for exporter in (self.traces, self._metrics) if exporter]

    def start(self, render: Callable[[], Iterable[str]]) -> None:
        """Start to export. `render` returns the metrics in the text format, in parts."""
        if self.traces:
            self.traces.start()
        if self._metrics:
            self._metrics.start(render)

    def close(self, timeout_seconds: float) -> None:
        """Export the last traces, then the last metrics, each for half of `timeout_seconds`."""
        if self.traces:
            self.traces.close(timeout_seconds / 2)
        if self._metrics:
            self._metrics.close(timeout_seconds / 2)
