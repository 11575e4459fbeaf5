"""Count lost and skipped ticks: `python -m bench.ticks [--probes 200] [--minutes 1]`.

Runs the daemon with an endpoint that responds after 20 ms, and prints its counters. Exit code 0 if
every tick became a successful probe.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.commands import Running, running
from tests.servers import respond_with, serve


def main() -> int:
    args = _parser().parse_args()
    with tempfile.TemporaryDirectory() as directory, serve(respond_with(delay=0.02)) as url:
        config = Path(directory, "probe.yml")
        probes = [{"name": f"model-{n}", "url": url} for n in range(args.probes)]
        defaults = {"interval": args.interval, "timeout": "2s"}
        config.write_text(yaml.safe_dump({"defaults": defaults, "probes": probes}))
        with running(f"--config.file={config}") as daemon:
            time.sleep(args.minutes * 60)
            return _report(daemon)


def _report(daemon: Running) -> int:
    metrics = daemon.get("/metrics").text
    counters = {
        name: _total(metrics, f"inference_probe_{name}")
        for name in ("ticks_total", "runs_total", "skipped_total", "in_flight", "failures_total")
    }
    for name, value in counters.items():
        print(f"{name:<16}{value:>10.0f}")
    lost = counters["ticks_total"] - counters["runs_total"] - counters["in_flight"]
    print(f"{'CPU per probe':<16}{_cpu(metrics) / counters['runs_total'] * 1000:>10.2f} ms")
    print(f"lost: {lost:.0f}, skipped: {counters['skipped_total']:.0f}")
    return 1 if lost or counters["skipped_total"] or counters["failures_total"] else 0


def _cpu(metrics: str) -> float:
    return _total(metrics, "process_cpu_seconds_total")


def _total(metrics: str, name: str) -> float:
    """Return the sum of all series of a metric."""
    values = re.findall(rf"^{name}(?:{{.*}})? (.+)$", metrics, re.MULTILINE)
    return sum(map(float, values))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.ticks", description=__doc__)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--minutes", type=float, default=1.0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
