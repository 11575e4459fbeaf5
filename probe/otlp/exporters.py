"""The exporters of a daemon."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from probe.clock import Clock
from probe.metrics.exposition import MetricSource
from probe.otlp.client import OtlpClient
from probe.otlp.metrics_pusher import MetricsPusher
from probe.otlp.span_exporter import SpanExporter


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpOptions:
    """Clients of the receivers of traces and of metrics; None for those that are not exported."""

    traces: OtlpClient | None = None
    metrics: OtlpClient | None = None
    interval_seconds: float = 15.0
    """Time from one push of the metrics to the next."""


class OtlpExporters:
    """Starts and closes the exporters that are configured in `options`."""

    def __init__(
        self,
        options: OtlpOptions,
        instance: str,
        clock: Clock,
        render: Callable[[], Iterable[str]],
    ) -> None:
        """`instance` identifies this daemon, such as `host:10115`.

        `render` returns the metrics in the text format, in parts. It is called after the start.
        """
        self.traces = SpanExporter(options.traces, instance) if options.traces else None
        self._metrics = (
            MetricsPusher(
                options.metrics,
                instance,
                clock,
                render,
                interval_seconds=options.interval_seconds,
            )
            if options.metrics
            else None
        )

    @property
    def sources(self) -> list[MetricSource]:
        """The exporters, which count their losses."""
        return [exporter for exporter in (self.traces, self._metrics) if exporter]

    def start(self) -> None:
        """Start to export."""
        if self.traces:
            self.traces.start()
        if self._metrics:
            self._metrics.start()

    def close(self, timeout_seconds: float) -> None:
        """Export the last traces, then the last metrics, each for half of `timeout_seconds`."""
        if self.traces:
            self.traces.close(timeout_seconds / 2)
        if self._metrics:
            self._metrics.close(timeout_seconds / 2)
