"""Exports the spans of runs on a separate thread, so that it never delays a run."""

import json
import logging
import threading
import time
from collections.abc import Sequence
from queue import Empty, Full, Queue

from probe.config.choices import TraceSampling
from probe.config.settings import Settings
from probe.metrics import catalogue
from probe.metrics.exposition import Exposition, format_sample
from probe.otlp.attributes import SCOPE, resource
from probe.otlp.client import OtlpClient, OtlpError
from probe.otlp.receiver_warnings import ReceiverWarnings
from probe.otlp.spans import result_spans
from probe.result import Result

logger = logging.getLogger(__name__)

# Maximum number of results that wait for the export, about 3 kB each. Further ones are lost.
MAX_QUEUED_RESULTS = 1000

# Results in one document.
MAX_BATCH_RESULTS = 100

# Time in which results are collected for a document.
BATCH_SECONDS = 1.0

# Pauses before a document is sent again (seconds). If the last attempt fails, its results are lost.
RETRY_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)


class SpanExporter:
    """Exports the runs that `tracing.sample` selects. A `ResultSink` and a `MetricSource`.

    Traces are lost if the receiver rejects them or is too slow. They are counted. The first loss is
    logged, and the first one after a success.
    """

    def __init__(self, client: OtlpClient, instance: str) -> None:
        """`instance` identifies this daemon, such as `host:10115`."""
        self._client = client
        self._resource = json.dumps(resource(instance))
        self._sample = TraceSampling.NEVER
        self._queue: Queue[Result] = Queue(MAX_QUEUED_RESULTS)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._lost = 0
        self._is_failing = False
        self._warnings = ReceiverWarnings(logger, "traces")
        self._thread = threading.Thread(target=self._work, name="otlp-traces", daemon=True)

    def start(self) -> None:
        """Start to export. Raises RuntimeError if the system has no thread left."""
        self._thread.start()

    def apply_config(self, settings: Settings) -> None:
        """Use the sampling of `settings` from now on."""
        self._sample = settings.tracing.sample
        if self._sample is TraceSampling.NEVER:
            logger.warning("no traces are exported: `tracing.sample` in the config is never")

    def record(self, result: Result) -> None:
        """Export the spans of `result` later, if its trace is recorded. Never blocks."""
        if result.trace_id is None or self._sample is TraceSampling.NEVER:
            return
        if self._sample is TraceSampling.FAILURES and result.failure is None:
            return
        try:
            self._queue.put_nowait(result)
        except Full:
            self._count_lost(1, f"{MAX_QUEUED_RESULTS} results wait already")

    def write_to(self, exposition: Exposition) -> None:
        """Add the number of lost traces to `exposition`."""
        spec = catalogue.LOST_TRACES
        exposition.add_family(spec, [format_sample(spec, "", self._lost)])

    def close(self, timeout_seconds: float) -> None:
        """Export the results that wait, for at most `timeout_seconds`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _work(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            batch = self._next_batch()
            try:
                if batch:
                    self._export(batch)
            except Exception:
                with self._lock:
                    self._lost += len(batch)
                logger.exception("bug: traces could not be exported")

    def _next_batch(self) -> list[Result]:
        """Return the results of the next BATCH_SECONDS."""
        batch: list[Result] = []
        deadline = time.monotonic() + BATCH_SECONDS
        while len(batch) < MAX_BATCH_RESULTS:
            seconds_left = 0.0 if self._stopping.is_set() else deadline - time.monotonic()
            try:
                batch.append(self._queue.get(timeout=max(seconds_left, 0.001)))
            except Empty:
                break
        return batch

    def _export(self, batch: Sequence[Result]) -> None:
        """Send the spans of `batch`, repeatedly if the receiver is not available."""
        document = self._document(batch)
        for pause in (*RETRY_PAUSES_SECONDS, None):
            try:
                warning = self._client.send([document])
            except OtlpError as error:
                # While the daemon stops, there is no time for another attempt.
                if (
                    error.is_retryable
                    and pause
                    and not self._stopping.wait(max(pause, error.retry_after_seconds))
                ):
                    continue
                # The traces of the rejected spans are unknown: each span may have another trace.
                rejected = len(batch) if error.rejected is None else error.rejected
                self._count_lost(min(rejected, len(batch)), str(error))
            else:
                self._is_failing = False
                self._warnings.log(warning)
            return

    def _document(self, batch: Sequence[Result]) -> bytes:
        """Return the spans of `batch` as JSON.

        Each run is encoded separately: one call for all would hold the interpreter for too long.
        """
        spans = []
        for result in batch:
            spans += [json.dumps(span) for span in result_spans(result)]
        scope = f'{{"scope": {json.dumps(SCOPE)}, "spans": [{", ".join(spans)}]}}'
        text = f'{{"resourceSpans": [{{"resource": {self._resource}, "scopeSpans": [{scope}]}}]}}'
        return text.encode()

    def _count_lost(self, traces: int, reason: str) -> None:
        with self._lock:
            self._lost += traces
            is_first, self._is_failing = not self._is_failing, True
        if is_first:
            logger.warning("traces are lost", extra={"fields": {"reason": reason}})
