"""The daemon with a record of all its results, as a program that the benchmarks start.

    python -m bench.recording_daemon --config FILE --results FILE [--spin]

Prints the port of the metrics when it runs, and writes the results at its end. With `--spin`, a
thread of the process runs Python code all the time and so holds the GIL.
"""

import argparse
import json
import signal
import threading
from pathlib import Path
from unittest import mock

from probe.clock import Clock
from probe.config.loader import load
from probe.daemon.daemon import Daemon
from probe.metrics.recorder import Recorder
from probe.result import Phase, Result
from probe.server.server import bind


def main() -> None:
    args = _parser().parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    listener = bind("127.0.0.1:0")
    port = listener.getsockname()[1]
    results: list[Result] = []
    record = Recorder.record

    def keep(recorder: Recorder, result: Result) -> None:
        results.append(result)
        record(recorder, result)

    settings = load(args.config, environ={})
    with mock.patch.object(Recorder, "record", keep):
        daemon = Daemon(settings, listener, environ={}, base=args.config.parent, clock=Clock())
        daemon.start()
        if args.spin:
            threading.Thread(target=_spin, args=(stop,), daemon=True).start()
        print(port, flush=True)
        stop.wait()
        daemon.stop()
    args.results.write_text("".join(_line(result) for result in results))


def _spin(stop: threading.Event) -> None:
    while not stop.is_set():
        pass


def _line(result: Result) -> str:
    """Return the times of a result as JSON, in seconds; `started` is Unix time."""
    stream = result.stream
    fields = {
        "probe": result.probe,
        "started": result.started.timestamp(),
        "wait": result.phases.get(Phase.WAIT),
        "total": result.latency,
        "failed": result.failure is not None,
        "clock": result.clock,
        "first_token": stream and stream.time_to_first_token,
        "time_per_token": stream and stream.time_per_output_token,
        "tokens": (stream and stream.tokens.output) or 0,
    }
    return json.dumps(fields) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.recording_daemon", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--spin", action="store_true")
    return parser


if __name__ == "__main__":
    main()
