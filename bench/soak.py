"""Run the daemon for a long time: `python -m bench.soak [--minutes 20]`.

Runs it at 200 probes/s, a quarter of them to faulty endpoints, reloads its config, requests its
pages, keeps 250 clients that do not read, and samples its metrics and /proc every few seconds. As
root on a host with version 1 of the memory controller, the daemon runs in a cgroup with a limit of
128 MiB. Exit code 0 if every bound is met, 1 if one is missed, 2 if the benchmark cannot run. In
short runs growth is not evaluated. bench/README.md explains the bounds.
"""

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import cycle
from math import nan
from pathlib import Path
from statistics import median

import requests

from bench import soak_plot, soak_report
from bench.markdown import publish
from bench.memory_cgroup import MemoryCgroup, memory_cgroup
from bench.metrics_text import increase, quantile
from bench.processes import run_process
from bench.reference_server import ReferenceServerError
from bench.soak_clients import keep_silent_clients, request_pages
from bench.soak_criteria import MAX_MEMORY_BYTES, Soak, evaluate
from bench.soak_samples import Sample, count_ticks, take_sample
from bench.soak_targets import run_targets, true_latencies
from tests.commands import COMMAND, Running, port_of

DIRECTORY = Path(__file__).parent
RESULTS = DIRECTORY.parent / "build" / "bench"

# The first seconds of the daemon are not measured.
START_SECONDS = 10.0

SAMPLE_INTERVAL_SECONDS = 5.0

# Samples from one reload to the next.
RELOAD_INTERVAL_SAMPLES = 6


class DaemonUnavailable(Exception):
    """The daemon has ended or does not respond."""


def main() -> int:
    args = _arguments()
    if find_spec("matplotlib") is None:
        print("no matplotlib for the plot: pip install --group bench", file=sys.stderr)
        return 2
    # SystemExit ends the child processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "daemon.log")
        try:
            soak = _soak(Path(directory), log, args)
        except ReferenceServerError as error:
            print(error, file=sys.stderr)
            return 2
        except DaemonUnavailable as error:
            tail = "".join(log.read_text().splitlines(keepends=True)[-20:])
            print(f"the daemon did not respond: {error}\n{tail}", file=sys.stderr)
            return 1
        levels = re.findall(r"level=(\w+)", log.read_text())
    return _report(soak, levels, args)


def _soak(directory: Path, log: Path, args: argparse.Namespace) -> Soak:
    config = directory / "probe.yml"
    with (
        run_targets(directory, args.rate) as targets,
        memory_cgroup(MAX_MEMORY_BYTES) as cgroup,
    ):
        config.write_text(targets.configs[0])
        with (
            _run_daemon(config, log, cgroup) as daemon,
            request_pages(daemon) as client,
            keep_silent_clients(daemon.port),
        ):
            time.sleep(START_SECONDS)
            since = time.time()
            try:
                samples = _take_samples(daemon, cgroup, config, targets.configs, args.minutes * 60)
            except (requests.RequestException, ProcessLookupError) as error:
                kills = cgroup.count_oom_kills() if cgroup else 0
                message = f"{error}; processes killed at the memory limit: {kills}"
                raise DaemonUnavailable(message) from error
            client.stopped.set()
            exit_code = daemon.terminate()
        oom_kills = cgroup.count_oom_kills() if cgroup else None
    latencies = true_latencies(targets.logs, since)
    return Soak(
        samples=samples,
        true_medians={
            kind: median(values) if values else nan for kind, values in latencies.items()
        },
        failed_pages=tuple(client.failed_pages),
        exit_code=exit_code,
        oom_kills=oom_kills,
    )


@contextmanager
def _run_daemon(config: Path, log: Path, cgroup: MemoryCgroup | None) -> Iterator[Running]:
    """Run the daemon with its log in a file, because a full pipe would lose lines."""
    listen = "--web.listen-address=127.0.0.1:0"
    command: tuple[str | Path, ...] = (*COMMAND, "run", listen, f"--config.file={config}")
    if cgroup:
        command = cgroup.command(*command)
    with log.open("w") as stderr, run_process(*command, stderr=stderr) as process:
        yield Running(process, port_of(process, log), log)


def _take_samples(
    daemon: Running,
    cgroup: MemoryCgroup | None,
    config: Path,
    configs: Sequence[str],
    seconds: float,
) -> Sequence[Sample]:
    """Take samples for `seconds`, and reload the configs in turn."""
    samples = [take_sample(daemon, cgroup)]
    next_configs = cycle((*configs[1:], configs[0]))
    while (passed := samples[-1].received - samples[0].received) < seconds:
        if len(samples) % RELOAD_INTERVAL_SAMPLES == 0:
            config.write_text(next(next_configs))
            daemon.process.send_signal(signal.SIGHUP)
        time.sleep(SAMPLE_INTERVAL_SECONDS)
        samples.append(take_sample(daemon, cgroup))
        _print_progress(passed / seconds, samples[-2], samples[-1])
    return samples


def _print_progress(ratio: float, earlier: Sample, later: Sample) -> None:
    metrics = later.metrics
    ticks = count_ticks([earlier, later]) / (later.received - earlier.received)
    lag = quantile(increase(earlier.metrics.lag, metrics.lag), 0.99)
    line = (
        f"{ratio:4.0%}  RSS {later.rss_megabytes:.1f} MB, memory {later.memory_megabytes:.1f} MB, "
        f"{later.threads} threads, "
        f"{later.descriptors} descriptors, lag p99 {lag * 1e3:.1f} ms, {ticks:.0f} ticks/s, "
        f"{metrics.in_flight} in flight, {sum(metrics.skipped.values())} skipped, "
        f"{len(metrics.unbalanced)} unbalanced"
    )
    start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
    print(start + line, end=end, file=sys.stderr, flush=True)


def _report(soak: Soak, log_levels: Sequence[str], args: argparse.Namespace) -> int:
    verdicts, rows = evaluate(soak), soak_plot.rows(soak)
    text = soak_report.render_markdown(soak, verdicts, log_levels, rate=args.rate)
    print(f"\n{text}")
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "soak.json").write_text(soak_report.render_json(soak, verdicts, rows))
    published = args.results == RESULTS
    if published:
        publish("soak", f"{text}\n\n![The soak test over time](results/soak.png)")
    plot = (DIRECTORY / "results" if published else args.results) / "soak.png"
    soak_plot.draw(rows, soak.warm_up_seconds / 60, plot)
    missed = [verdict for verdict in verdicts if not verdict.met]
    for verdict in missed:
        print(
            f"missed: {verdict.criterion} ({verdict.where}): {verdict.value:.4g}, "
            f"at most {verdict.bound:g}",
            file=sys.stderr,
        )
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=200, help="probes per second (200)")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIRECTORY",
        help="for the JSON file and the plot; bench/README.md is then left unchanged",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
