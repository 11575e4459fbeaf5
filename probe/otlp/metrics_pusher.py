"""Pushes the metrics of `/metrics` to an OTLP receiver, on a separate thread."""

import logging
import threading
from collections.abc import Callable, Iterable

from probe.clock import Clock
from probe.metrics import catalogue
from probe.metrics.exposition import Exposition, format_sample
from probe.otlp.client import OtlpClient, OtlpError
from probe.otlp.metrics_document import encode_metrics
from probe.otlp.receiver_warnings import ReceiverWarnings

logger = logging.getLogger(__name__)


class MetricsPusher:
    """Pushes all metrics at regular intervals, and when it is closed. A `MetricSource`.

    A push that fails is counted, and not repeated: the counters in the next one include its values.
    The first failure is logged, and the first one after a success.
    """

    def __init__(
        self,
        client: OtlpClient,
        instance: str,
        clock: Clock,
        render: Callable[[], Iterable[str]],
        *,
        interval_seconds: float,
    ) -> None:
        """`instance` identifies this daemon, such as `host:10115`.

        `render` returns the metrics in the text format, in parts. It is called after the start.
        """
        self._client = client
        self._instance = instance
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._start_ns = clock.wall()
        self._render = render
        self._stopping = threading.Event()
        self._failures = 0
        self._is_failing = False
        self._warnings = ReceiverWarnings(logger, "metrics")
        self._thread = threading.Thread(target=self._work, name="otlp-metrics", daemon=True)

    def start(self) -> None:
        """Start to push. Raises RuntimeError if the system has no thread left."""
        self._thread.start()

    def write_to(self, exposition: Exposition) -> None:
        """Add the number of failed pushes to `exposition`."""
        spec = catalogue.FAILED_PUSHES
        exposition.add_family(spec, [format_sample(spec, "", self._failures)])

    def close(self, timeout_seconds: float) -> None:
        """Push the last values, for at most `timeout_seconds`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _work(self) -> None:
        """Push at whole multiples of the interval, so that a slow push does not delay the next."""
        interval = self._interval_seconds
        while not self._stopping.wait(interval - self._clock.monotonic_seconds() % interval):
            self._push()
        self._push()

    def _push(self) -> None:
        try:
            document = encode_metrics(
                self._render(),
                instance=self._instance,
                start_ns=self._start_ns,
                now_ns=self._clock.wall(),
            )
            warning = self._client.send(document)
        except OtlpError as error:
            self._fail(str(error))
            self._stopping.wait(error.retry_after_seconds)
        except Exception:
            self._failures += 1
            logger.exception("bug: metrics could not be pushed")
        else:
            self._is_failing = False
            self._warnings.log(warning)

    def _fail(self, reason: str) -> None:
        self._failures += 1
        if not self._is_failing:
            logger.warning("metrics cannot be pushed", extra={"fields": {"reason": reason}})
        self._is_failing = True
