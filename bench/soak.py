"""Does the daemon stay well for as long as one likes? python -m bench.soak [--minutes 20].

Runs it at 200 probes/s, a quarter of them of endpoints that do what they should not, reloads its
config, reads its pages, and looks at it every few seconds. Exit code 0 when every bound is met, 1
when one is not, 2 when the bench cannot run; too short a run is not judged by growth, and says so.
README.md, beside this file, explains the bounds.
"""

import argparse
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import cycle
from math import nan
from pathlib import Path
from statistics import median

import requests

from bench import protocol, timeline
from bench.processes import started
from bench.readme import publish
from bench.reference_server import NoTruth
from bench.samples import Sample, counted, quantile, since, take
from bench.soak_plot import Soak, judge
from bench.soak_targets import fleet, took
from tests.commands import COMMAND, Running, port_of

RESULTS = Path(__file__).with_name("results")

WARM_UP = 10.0
"""Seconds in which the daemon gets going; they do not count."""

LOOK, READ = 5.0, 0.5
"""Seconds between two samples, and between two pages that the reader looks at."""

RELOAD = 6
"""Samples from one reload to the next."""

PAGES = (
    *("/", "/probes/plain-new-1", "/probes/tls-reuse-4", "/api/v1/probes", "/metrics"),
    *("/api/v1/probes/plain-reuse-2/results", "/probe?name=tls-new-3", "/-/healthy"),
)


def main() -> int:
    args = _arguments()
    if find_spec("matplotlib") is None:
        print("no matplotlib to draw the soak with: pip install --group bench", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end what was started
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "daemon.log")
        try:
            soak = _soak(Path(directory), log, args)
        except NoTruth as error:
            print(error, file=sys.stderr)
            return 2
        except requests.RequestException as error:
            end = "".join(log.read_text().splitlines(keepends=True)[-20:])
            print(f"the daemon did not answer: {error}\n{end}", file=sys.stderr)
            return 1
        levels = re.findall(r"level=(\w+)", log.read_text())
    return _report(soak, levels, args)


def _soak(directory: Path, log: Path, args: argparse.Namespace) -> Soak:
    config = directory / "probe.yml"
    with fleet(directory, args.rate) as probed:
        config.write_text(probed.configs[0])
        with _running(config, log) as daemon, _reading(daemon) as reader:
            time.sleep(WARM_UP)
            began = time.time()
            samples = _watch(daemon, config, probed.configs, args.minutes * 60)
            reader.over.set()
            code = daemon.terminate()
    spans = took(probed.logs, began)
    return Soak(
        samples=samples,
        took={kind: median(some) if some else nan for kind, some in spans.items()},
        unread=tuple(reader.unread),
        code=code,
    )


@contextmanager
def _running(config: Path, log: Path) -> Iterator[Running]:
    """The daemon with its log in a file, from which no line is left out as from a full pipe."""
    listen = "--web.listen-address=127.0.0.1:0"
    with (
        log.open("w") as stderr,
        started(*COMMAND, "run", listen, f"--config.file={config}", stderr=stderr) as process,
    ):
        yield Running(process, port_of(process, log), log)


@dataclass(frozen=True, slots=True)
class _Reader:
    over: threading.Event
    unread: list[str]
    """What came instead of the pages."""


@contextmanager
def _reading(daemon: Running) -> Iterator[_Reader]:
    """Somebody reads one page after the other meanwhile."""
    reader, pages = _Reader(threading.Event(), []), cycle(PAGES)

    def read() -> None:
        while not reader.over.wait(READ):
            page = next(pages)
            try:
                said = f"status {daemon.get(page).status_code}"
            except requests.RequestException as error:
                said = str(error)
            if said != "status 200" and not reader.over.is_set():
                reader.unread.append(f"{page}: {said}")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reader
    finally:
        reader.over.set()
        thread.join()


def _watch(
    daemon: Running, config: Path, configs: Sequence[str], seconds: float
) -> Sequence[Sample]:
    """Samples for so long, and a reload now and then."""
    samples = [take(daemon)]
    turn = cycle((*configs[1:], configs[0]))
    while (passed := samples[-1].answered - samples[0].answered) < seconds:
        if len(samples) % RELOAD == 0:
            config.write_text(next(turn))
            daemon.process.send_signal(signal.SIGHUP)
        time.sleep(LOOK)
        samples.append(take(daemon))
        _progress(passed / seconds, samples[-2], samples[-1])
    return samples


def _progress(share: float, earlier: Sample, later: Sample) -> None:
    told = later.told
    ticks = counted([earlier, later]) / (later.answered - earlier.answered)
    lag = quantile(since(earlier.told.lag, told.lag), 0.99)
    line = (
        f"{share:4.0%}  RSS {later.resident:.1f} MB, {later.threads} threads, "
        f"{later.descriptors} descriptors, lag p99 {lag * 1e3:.1f} ms, {ticks:.0f} ticks/s, "
        f"{told.in_flight} in flight, {sum(told.skipped.values())} skipped, "
        f"{len(told.unbalanced)} unbalanced"
    )
    start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
    print(start + line, end=end, file=sys.stderr, flush=True)


def _report(soak: Soak, levels: Sequence[str], args: argparse.Namespace) -> int:
    verdicts, rows = judge(soak), timeline.rows(soak)
    text = protocol.markdown(soak, verdicts, levels, rate=args.rate)
    print(f"\n{text}")
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "soak.md").write_text(f"{text}\n")
    (args.results / "soak.json").write_text(protocol.document(soak, verdicts, rows))
    if args.results == RESULTS:
        publish("soak", f"{text}\n\n![The soak over time](results/soak.png)")
    timeline.draw(rows, soak.warm_up / 60, args.results / "soak.png")
    missed = [verdict for verdict in verdicts if not verdict.met]
    for one in missed:
        print(
            f"missed: {one.claim} ({one.where}): {one.value:.4g}, at most {one.bound:g}",
            file=sys.stderr,
        )
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=200, help="probes a second (200)")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIRECTORY",
        help="elsewhere than bench/results: README.md is then left alone",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
