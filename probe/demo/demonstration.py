"""One run of `inference-probe demo`, from the first process to the last."""

import contextlib
import math
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import requests

from probe.demo import files
from probe.demo.alert_watcher import AlertWatcher
from probe.demo.alerts import AlertmanagerState
from probe.demo.fault import Fault
from probe.demo.process import ChildError
from probe.demo.scenario import Scenario
from probe.demo.stack import Binaries, Interrupted, ModelProcess, Stack

WINDOW_SECONDS = 300.0  # seconds over which numbers are shown: what the rules look at


def run(*, fault: Fault | None, lasting: float, factor: int) -> int:
    """Exit code. The fault lasts for `lasting` seconds; without one it runs until Ctrl-C."""
    directory = Path(tempfile.mkdtemp(prefix="inference-probe-demo-"))
    with _signals() as stop:
        try:
            with Stack(directory, factor=factor, stop=stop) as stack:
                code = _demonstrate(stack, fault, lasting)
        except (ChildError, requests.RequestException) as problem:
            print(f"\n{problem}", file=sys.stderr)
            return 1  # and the logs stay, to be looked at
        except Interrupted:
            print("\nended, and everything that was started here with it")
            code = 1 if fault else 0
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _demonstrate(stack: Stack, fault: Fault | None, lasting: float) -> int:
    model = stack.model()
    daemon = stack.daemon(files.probe(stack.factor, url=model.url))
    binaries = Binaries.find()
    alerting = stack.alerting(binaries, daemon=daemon) if binaries else None
    print(_where_to_look(stack, model, daemon, alerting), flush=True)
    watch = AlertWatcher(
        stack, daemon=daemon, alerting=alerting, window=WINDOW_SECONDS / stack.factor
    )
    if fault is None:
        watch.until(lambda: False, seconds=math.inf)
        return 0
    story = Scenario(watch=watch, model=model, fault=fault, lasting=lasting, factor=stack.factor)
    return story.run()


def _where_to_look(
    stack: Stack, model: ModelProcess, daemon: str, alerting: AlertmanagerState | None
) -> str:
    places = {
        "model": f"POST {model.url}",
        "its faults": f"curl -X PUT --data slow {model.admin} (DELETE heals it)",
        "the probe": f"{daemon}/",
        "metrics": f"{daemon}/metrics",
        "one result": f"{daemon}/probe?name=sentiment",
    }
    if alerting:
        places["Prometheus"] = f"{alerting.prometheus}/alerts and {alerting.prometheus}/graph"
        places["Alertmanager"] = f"{alerting.alertmanager}/#/alerts"
    places["logs"] = str(stack.directory)
    lines = [f"  {name:12}  {place}" for name, place in places.items()]
    if not alerting:
        lines.append(
            "There is no prometheus, or no alertmanager, on the PATH: you see the daemon's"
        )
        lines.append("own numbers, and no alerts. Debian: prometheus, prometheus-alertmanager.")
    else:
        lines.append(
            "This Prometheus has no past: where a rule looks back for hours it sees minutes,"
        )
        lines.append("so ModelErrorBudgetBurn fires sooner than in one that is days old.")
    if stack.factor > 1:
        lines.append(
            f"Time is {stack.factor} times as fast: windows and waiting times of the rules,"
        )
        lines.append("probe and scrape intervals. Latencies and objectives are as they are.")
    return "\n".join(["Everything is running. Ctrl-C ends it.", *lines, ""])


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C or SIGTERM. An exception instead could strike, and get lost, anywhere."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
