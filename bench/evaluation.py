"""Measure the daemon under hostile responses: `python -m bench.evaluation [--seconds 60]`.

A daemon has 100 usual probes per second, ten for each of ten probes. It is measured alone, and with
ten hostile probes per second of each kind: their responses take seconds or more than 100 MiB to
evaluate. The exit code is 1 if a bound is missed.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.markdown import aligned_table, environment, publish
from bench.processes import run_process
from bench.reference_server import ReferenceServer
from probe.result import Reason
from tests.commands import Running, running
from tests.faults.scrape import Scrape

USUAL = "usual"
USUAL_PROBES, USUAL_INTERVAL = 10, "100ms"
HOSTILE_PROBES_PER_KIND, HOSTILE_INTERVAL = 10, "1s"

# The kinds of hostile probes: the path of their body, and `expect`.
HOSTILE_KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("letters", {"body_matches": r"(.|\n)*zq$"}),
    ("letters", {"body_matches": r"^(?:.|\n)*zq$"}),
    ("letters", {"body_matches": r"(([a-z])+.)+[A-Z]([a-z])+$"}),
    ("words", {"body_matches": r"(\S+\s*)*end$"}),
    ("objects", {"json": {"$..result": {"exists": True}}}),
    ("objects", {"json": {"$[*].result": {"exists": True}}}),
    ("numbers", {"json": {"$[*]": {"in": [*range(1, 200), 0]}}}),
)

MAX_RESIDENT_MIB = 128.0
MAX_MORE_SKIPPED_RATIO = 0.001
MAX_SCRAPE_SECONDS = 1.0
MAX_HEALTHY_SECONDS = 0.2

# Not measured, but the memory is.
WARM_UP_SECONDS = 3.0

MEMORY_PAUSE_SECONDS, HEALTHY_PAUSE_SECONDS, SCRAPE_PAUSE_SECONDS = 0.05, 0.5, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Measurements of one run. Memory is the highest of the daemon and its children together."""

    resident_mib: float
    scrape_seconds: float
    healthy_seconds: float
    usual_ticks: float
    usual_skipped: float
    usual_failures: float
    hostile_reasons: dict[str, float]

    @property
    def skipped_ratio(self) -> float:
        return self.usual_skipped / self.usual_ticks


def main() -> int:
    args = _parser().parse_args()
    alone = _measure(args.seconds, hostile=False)
    loaded = _measure(args.seconds, hostile=True)
    bounds = _bounds(alone, loaded)
    text = _markdown(alone, loaded, bounds, args.seconds)
    print(text)
    if not args.dry_run:
        publish("evaluation", text)
    return 0 if all(value <= bound for _, value, bound, _ in bounds) else 1


def _measure(seconds: float, *, hostile: bool) -> Load:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        endpoint = stack.enter_context(ReferenceServer(directory).run(tls=False))
        server = stack.enter_context(run_process(sys.executable, "-m", "bench.hostile_bodies"))
        assert server.stdout
        probes = _usual(f"{endpoint.url}1")
        if hostile:
            probes += _hostile(f"http://127.0.0.1:{server.stdout.readline().strip()}")
        config = directory / "probe.yml"
        config.write_text(yaml.safe_dump({"defaults": {"startup_grace": "0s"}, "probes": probes}))
        daemon = stack.enter_context(running(f"--config.file={config}"))
        return _sample(daemon, seconds)


def _usual(url: str) -> list[dict[str, Any]]:
    return [
        {"name": f"{USUAL}-{n}", "url": url, "interval": USUAL_INTERVAL, "timeout": "2s"}
        for n in range(USUAL_PROBES)
    ]


def _hostile(url: str) -> list[dict[str, Any]]:
    return [
        {
            "name": f"hostile-{kind}-{n}",
            "url": f"{url}/{path}",
            "interval": HOSTILE_INTERVAL,
            "timeout": "5s",
            "expect": expect,
        }
        for kind, (path, expect) in enumerate(HOSTILE_KINDS)
        for n in range(HOSTILE_PROBES_PER_KIND)
    ]


def _sample(daemon: Running, seconds: float) -> Load:
    """Measure `daemon` repeatedly for `seconds`, and count its results."""
    with _maximum(lambda: _resident_mib(daemon.process.pid), MEMORY_PAUSE_SECONDS) as memory:
        time.sleep(WARM_UP_SECONDS)
        before = Scrape(daemon.get("/metrics").text)
        with (
            _maximum(lambda: _request_seconds(daemon, "/metrics"), SCRAPE_PAUSE_SECONDS) as scrape,
            _maximum(
                lambda: _request_seconds(daemon, "/-/healthy"), HEALTHY_PAUSE_SECONDS
            ) as healthy,
        ):
            time.sleep(seconds)
        after = Scrape(daemon.get("/metrics").text)
    probes = after.probes()

    def total(metric: str, kind: str, **labels: str) -> float:
        return sum(
            after.total(metric, probe=name, **labels) - before.total(metric, probe=name, **labels)
            for name in probes
            if name.startswith(kind)
        )

    reasons = {reason.value: total("failures_total", "hostile", reason=reason) for reason in Reason}
    return Load(
        resident_mib=memory(),
        scrape_seconds=scrape(),
        healthy_seconds=healthy(),
        usual_ticks=total("ticks_total", USUAL),
        usual_skipped=total("skipped_total", USUAL),
        usual_failures=total("failures_total", USUAL),
        hostile_reasons={reason: count for reason, count in reasons.items() if count},
    )


@contextmanager
def _maximum(measure: Callable[[], float], pause_seconds: float) -> Iterator[Callable[[], float]]:
    """Call `measure` on another thread until the end of the block; yield the maximum's getter.

    The getter raises the exception of `measure`, such as that of a failed scrape.
    """
    values: list[float] = []
    errors: list[Exception] = []
    stopped = threading.Event()

    def work() -> None:
        try:
            while not stopped.wait(pause_seconds):
                values.append(measure())
        except Exception as error:  # noqa: BLE001  (the getter raises it)
            errors.append(error)

    def maximum() -> float:
        if errors:
            raise errors[0]
        return max(values)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield maximum
    finally:
        stopped.set()
        thread.join()


def _request_seconds(daemon: Running, path: str) -> float:
    started = time.monotonic()
    assert daemon.get(path).ok
    return time.monotonic() - started


def _resident_mib(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    process = Path(f"/proc/{pid}")
    command = (process / "cmdline").read_bytes()
    total = _process_mib(process)
    for task in (process / "task").iterdir():
        try:
            children = [Path(f"/proc/{child}") for child in (task / "children").read_text().split()]
            # Until it executes its program, a child shares the memory of its parent (vfork).
            started = [child for child in children if (child / "cmdline").read_bytes() != command]
        except OSError:  # the thread or the child has ended
            continue
        total += sum(map(_process_mib, started))
    return total


def _process_mib(process: Path) -> float:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:  # the process has ended
        return 0.0
    resident = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(resident[0]) / 1024 if resident else 0.0


def _bounds(alone: Load, loaded: Load) -> Sequence[tuple[str, float, float, str]]:
    """Return name, value, bound and unit of each criterion."""
    more_skipped = max(0.0, loaded.skipped_ratio - alone.skipped_ratio) * 100
    other_reasons = sum(
        count
        for reason, count in loaded.hostile_reasons.items()
        if reason not in (Reason.ASSERTION, Reason.INTERNAL)
    )
    return (
        ("RSS of the daemon and its worker", loaded.resident_mib, MAX_RESIDENT_MIB, "MiB"),
        ("skipped ticks, more than alone", more_skipped, MAX_MORE_SKIPPED_RATIO * 100, "%"),
        ("slowest scrape", loaded.scrape_seconds, MAX_SCRAPE_SECONDS, "s"),
        ("slowest `/-/healthy`", loaded.healthy_seconds, MAX_HEALTHY_SECONDS, "s"),
        ("failures of usual probes", loaded.usual_failures, 0, ""),
        ("hostile results that are neither `assertion` nor `internal`", other_reasons, 0, ""),
    )


def _markdown(
    alone: Load,
    loaded: Load,
    bounds: Sequence[tuple[str, float, float, str]],
    seconds: float,
) -> str:
    rows = [
        (name, f"{value:.3g} {unit}", f"{bound:g} {unit}", "yes" if value <= bound else "**no**")
        for name, value, bound, unit in bounds
    ]
    reasons = ", ".join(f"{count:.0f} `{name}`" for name, count in loaded.hostile_reasons.items())
    return (
        f"{environment()}; two runs of {seconds:g} s.\n\n"
        + aligned_table(("criterion", "value", "at most", "met"), rows)
        + f"\n\nAlone: RSS {alone.resident_mib:.0f} MiB, slowest scrape"
        f" {alone.scrape_seconds:.2f} s, {alone.usual_skipped:.0f} of {alone.usual_ticks:.0f}"
        f" ticks skipped. With the hostile probes: {loaded.usual_skipped:.0f} of"
        f" {loaded.usual_ticks:.0f} ticks skipped; their results: {reasons or 'none'}."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.evaluation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run (60)")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the results, and do not publish them"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
