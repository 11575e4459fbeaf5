"""Daemons with one fault each, all of them targets of one Prometheus with the bundled rules."""

import random
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import yaml

from probe.clock import DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS
from probe.demo import files
from probe.demo.alerts import AlertApi
from probe.demo.stack import HOST, Binaries, ChildProcess, Stack, free_port
from tests.servers import respond_with, serve

# All durations are divided by this: 15 minutes become 30 s.
FACTOR = 30

# With FACTOR, this is 30 s, and the rules are correct for at most 60 s. A loaded machine can
# respond to a scrape in this time.
SCRAPE_INTERVAL_SECONDS = 1

JOB = "inference-probe"
# Prometheus scrapes the healthy daemon in this job, too, and stores no buckets.
JOB_WITHOUT_BUCKETS = "without-buckets"

# Latencies of the probe `translate`: on the previous days, and now.
USUAL_LATENCY_SECONDS = 0.02
PRESENT_LATENCY_SECONDS = 0.2

PROBE_INTERVAL_SECONDS = 0.4
RESTARTS = 3
STARTED = "inference_probe_build_info"
SUCCESSES = "inference_probe_last_success_timestamp_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probers:
    """The addresses (HOST:PORT) of the daemons, by their faults."""

    healthy: str
    cut_off: str
    killed: str
    restarted: str
    paused: str
    starved: str

    def all(self) -> list[str]:
        return [
            *(self.healthy, self.cut_off, self.killed),
            *(self.restarted, self.paused, self.starved),
        ]


class FaultyProbers:
    """Starts the daemons and Prometheus, and causes the faults one after the other."""

    def __init__(self, stack: Stack, binaries: Binaries) -> None:
        self.alerting: AlertApi
        self._stack = stack
        self._binaries = binaries
        self._children: dict[str, ChildProcess] = {}
        self.probers = Probers(**{name: _free_address() for name in Probers.__slots__})

    def start(self, endpoints: "Endpoints") -> None:
        """Start the daemons without faults, and wait until Prometheus has scraped each of them."""
        probers = self.probers
        sentiment, replica = (_probe("sentiment", url) for url in endpoints.replicas)
        tls = {"ca_file": str(endpoints.authority)}
        others = [
            _probe("vision", endpoints.https, tls=tls),
            _probe("translate", endpoints.slow, interval="250ms"),
        ]
        self._start_daemon(probers.healthy, sentiment, *others)
        self._start_daemon(probers.cut_off, replica)
        for address in (probers.killed, probers.restarted, probers.paused):
            self._start_daemon(address, sentiment)
        # Requests of four probes are due at different times.
        four = [_probe(f"starved-{number}", endpoints.slow) for number in range(4)]
        self._start_daemon(probers.starved, *four)
        self.pause()
        self._start_alerting()
        for address in probers.all():
            self._wait_for(f'{STARTED}{{job="{JOB}",instance="{address}"}}')
        # Failures of a replica without a success would be its startup.
        self._wait_for(f'{SUCCESSES}{{instance="{probers.cut_off}"}} > 0')

    def pause(self) -> None:
        requests.post(f"http://{self.probers.paused}/-/pause", timeout=10).raise_for_status()

    def kill(self) -> None:
        self._remove(self.probers.killed)

    def break_config(self) -> None:
        """Write an invalid config for the healthy daemon, and make it reload."""
        self._config(self.probers.healthy).write_text("probes: [{name: sentiment}]\n")
        self._children[self.probers.healthy].process.send_signal(signal.SIGHUP)

    def restart(self) -> None:
        """Kill a daemon and start it again, RESTARTS times. Prometheus scrapes each of them."""
        address = self.probers.restarted
        for count in range(1, RESTARTS + 1):
            self._remove(address)
            self._run_daemon(address)
            self._wait_for(
                f'changes(process_start_time_seconds{{instance="{address}"}}[1h]) >= {count}'
            )

    @contextmanager
    def starve(self) -> Iterator[None]:
        """Suspend a daemon again and again until the end of the block, as without CPU time."""
        ended = threading.Event()
        process = self._children[self.probers.starved].process

        def suspend() -> None:
            while not ended.wait(random.uniform(0.1, 0.3)):
                process.send_signal(signal.SIGSTOP)
                ended.wait(random.uniform(0.3, 0.5))
                process.send_signal(signal.SIGCONT)

        thread = threading.Thread(target=suspend)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def config_load_time(self, address: str) -> datetime:
        """Return when a daemon has loaded its config."""
        name = "inference_probe_config_last_reload_success_timestamp_seconds"
        (series,) = self.alerting.query(f'{name}{{job="{JOB}",instance="{address}"}}')
        return datetime.fromtimestamp(float(series["value"][1]), UTC)

    def _start_daemon(self, address: str, *probes: Mapping[str, Any]) -> None:
        self._config(address).write_text(yaml.safe_dump({"probes": list(probes)}))
        self._run_daemon(address)

    def _run_daemon(self, address: str) -> None:
        command = [
            *(sys.executable, "-m", "probe", "run", "--web.enable-lifecycle"),
            *(f"--config.file={self._config(address)}", f"--web.listen-address={address}"),
        ]
        ready_url = f"http://{address}/-/ready"
        self._children[address] = self._stack.start(address, command, ready_url=ready_url)

    def _config(self, address: str) -> Path:
        return self._stack.directory / f"{address}.yml"

    def _remove(self, address: str) -> None:
        child = self._children.pop(address)
        self._stack.children.remove(child)
        child.process.kill()
        child.process.wait()

    def _start_alerting(self) -> None:
        stack = self._stack
        _write_history(stack.directory, self._binaries.prometheus, self.probers.paused)
        alertmanager = stack._start_alertmanager(self._binaries.alertmanager)
        prometheus = stack._start_prometheus(
            self._binaries.prometheus, self._config_of(alertmanager)
        )
        self.alerting = AlertApi(prometheus=prometheus, alertmanager=alertmanager)

    def _config_of(self, alertmanager: str) -> str:
        """Return the config of Prometheus: a job with all daemons, and one without buckets."""
        rules = self._stack._write("rules.yml", files.rules(FACTOR))
        address = alertmanager.removeprefix("http://")
        config = yaml.safe_load(
            files.prometheus(FACTOR, rules=str(rules), target="", alertmanager=address)
        )
        interval = f"{SCRAPE_INTERVAL_SECONDS}s"
        config["global"] |= {"scrape_interval": interval, "scrape_timeout": interval}
        config["scrape_configs"] = [
            {"job_name": JOB, "static_configs": [{"targets": self.probers.all()}]},
            {
                "job_name": JOB_WITHOUT_BUCKETS,
                "static_configs": [{"targets": [self.probers.healthy]}],
                **_without_buckets(self._binaries.prometheus),
            },
        ]
        return yaml.safe_dump(config)

    def _wait_for(self, expression: str) -> None:
        assert self._stack._wait_until(
            lambda: self.alerting.query(expression), timeout_seconds=60
        ), f"no result of {expression}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """URLs of what the daemons probe, and the certificate of the authority of `https`."""

    replicas: tuple[str, str]
    https: str
    slow: str
    authority: Path
    stop_replica: Callable[[], None]
    """Make the second replica refuse connections."""


@contextmanager
def serve_endpoints(tls: ssl.SSLContext, authority: Path) -> Iterator[Endpoints]:
    """Run two replicas of a model, a server with TLS, and one that responds slowly."""
    slow = respond_with(delay=PRESENT_LATENCY_SECONDS)
    with (
        serve(respond_with()) as first,
        serve(respond_with(), tls) as https,
        serve(slow) as translate,
        ExitStack() as second,
    ):
        yield Endpoints(
            replicas=(first, second.enter_context(serve(respond_with()))),
            https=https,
            slow=translate,
            authority=authority,
            stop_replica=second.close,
        )


def _free_address() -> str:
    return f"{HOST}:{free_port()}"


def _probe(name: str, url: str, **others: Any) -> dict[str, Any]:
    objectives = [{"name": "up", "target": "99%"}]
    times = {"interval": f"{PROBE_INTERVAL_SECONDS}s", "timeout": "2s", "startup_grace": "1s"}
    return {"name": name, "url": url, **times, "objectives": objectives, **others}


def _without_buckets(prometheus: str) -> dict[str, Any]:
    """Return the part of a scrape config that loses classic buckets."""
    done = subprocess.run([prometheus, "--version"], capture_output=True, text=True, check=True)
    if re.search(r"version 2\.", done.stdout + done.stderr):
        drop = {"source_labels": ["__name__"], "regex": ".*_bucket", "action": "drop"}
        return {"metric_relabel_configs": [drop]}
    return {"convert_classic_histograms_to_nhcb": True}


def _write_history(directory: Path, prometheus: str, paused: str) -> None:
    """Write what a test cannot wait for: a pause of hours, and the latency of previous days."""
    source = directory / "history.txt"
    with source.open("w") as file:
        file.writelines(_history(int(time.time()), paused))
        file.write("# EOF\n")
    promtool = str(Path(prometheus).with_name("promtool"))
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    command += ["--max-block-duration=1000h", str(source), str(directory / "prometheus")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _history(now: int, paused: str) -> Iterator[str]:
    """Yield lines in OpenMetrics format."""
    day = DAY_SECONDS // FACTOR
    for recording, quantile in (("quantile30m", "0.5"), ("quantile1h", "0.95")):
        labels = f'{{job="{JOB}",probe="translate",quantile="{quantile}"}}'
        series = f"inference_probe:latency_seconds:{recording}{labels} {USUAL_LATENCY_SECONDS}"
        for begin in (now - days * day for days in (3, 2, 1)):
            yield from (
                f"{series} {instant}\n" for instant in range(begin, begin + 5 * MINUTE_SECONDS, 5)
            )
    labels = f'{{instance="{paused}",job="{JOB}",probe="sentiment",reason="paused"}}'
    # The rule also reads the time before the four hours.
    begin = now - 5 * HOUR_SECONDS // FACTOR
    for instant in range(begin, now, SCRAPE_INTERVAL_SECONDS):
        yield f"inference_probe_suspended{labels} 1 {instant}\n"
