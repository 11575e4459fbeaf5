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

from probe.config.units import format_duration
from probe.demo import files
from probe.demo.alerts import AlertApi
from probe.demo.batch_queue import (
    BATCH_ITEM_SECONDS,
    BATCH_OVERHEAD_SECONDS,
    BatchSettings,
)
from probe.demo.fault import Fault, ModelType
from probe.demo.scenario import AlertWatcher, Scenario
from probe.demo.stack import Binaries, Interrupted, ModelProcess, ProcessFailedError, Stack

# Window of the printed latencies: the shortest window of the rules.
WINDOW_SECONDS = 300.0


def run(
    *,
    model_type: ModelType,
    batches: BatchSettings | None,
    fault: Fault | None,
    fault_seconds: float,
    factor: int,
) -> int:
    """Run the demo and return its exit code. Without a fault it runs until Ctrl-C.

    `batches` is for the model that processes batches, and None for the others.
    """
    directory = Path(tempfile.mkdtemp(prefix="inference-probe-demo-"))
    with _stop_on_signals() as stop:
        try:
            with Stack(directory, factor=factor, stop=stop) as stack:
                model = stack.start_model(model_type, batches=batches)
                code = _run_scenario(stack, model, fault, fault_seconds)
        except (ProcessFailedError, requests.RequestException) as error:
            print(f"\n{error}", file=sys.stderr)
            return 1  # the directory with the logs stays
        except Interrupted:
            print("\nstopped, with all processes of the demo")
            code = 1 if fault else 0
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _run_scenario(
    stack: Stack, model: ModelProcess, fault: Fault | None, fault_seconds: float
) -> int:
    daemon = stack.start_daemon(files.probe(stack.factor, url=model.url, model=model.type))
    binaries = Binaries.find()
    alerts = stack.start_alerting(binaries, daemon=daemon) if binaries else None
    print(_overview(stack, model, daemon, alerts), flush=True)
    watcher = AlertWatcher(
        stack, daemon=daemon, alerts=alerts, window_seconds=WINDOW_SECONDS / stack.factor
    )
    if fault is None:
        watcher.wait_until(lambda: False, timeout_seconds=math.inf)
        return 0
    scenario = Scenario(
        watcher=watcher,
        model=model,
        fault=fault,
        fault_seconds=fault_seconds,
        factor=stack.factor,
    )
    return scenario.run()


def _overview(stack: Stack, model: ModelProcess, daemon: str, alerts: AlertApi | None) -> str:
    """Return the addresses of the processes, and the limits of what the demo shows."""
    fault, *_ = model.type.faults
    addresses = {
        "model": f"POST {model.url}",
        **(_about_batches(model.url, model.batches) if model.batches else {}),
        "faults": f"curl -X PUT --data {fault} {model.admin} (DELETE clears it)",
        "probe": f"{daemon}/",
        "metrics": f"{daemon}/metrics",
        "one result": f"{daemon}/probe?name={model.type.probe_name}",
    }
    if alerts:
        addresses["Prometheus"] = f"{alerts.prometheus}/alerts and {alerts.prometheus}/graph"
        addresses["Alertmanager"] = f"{alerts.alertmanager}/#/alerts"
    addresses["logs"] = str(stack.directory)
    lines = [f"  {name:12}  {address}" for name, address in addresses.items()]
    if not alerts:
        lines += [
            "Prometheus or Alertmanager is not on the PATH, so there are no alerts.",
            "On Debian install prometheus and prometheus-alertmanager.",
        ]
    else:
        lines += [
            "This Prometheus has no history. Windows of hours contain only minutes of data,",
            "so ModelErrorBudgetBurn fires sooner than in a Prometheus that is days old.",
        ]
    if stack.factor > 1:
        lines += [
            f"The durations of the rules and all intervals are divided by {stack.factor}.",
            "Latencies and objectives are not.",
        ]
    return "\n".join(["Everything is running. Press Ctrl-C to stop.", *lines, ""])


def _about_batches(url: str, batches: BatchSettings) -> dict[str, str]:
    """Return how the model at `url` forms batches, and the command of a load test."""
    load = f"inference-probe load --url={url} --json='{{\"data\": \"x\"}}' --slo='95% < 120ms'"
    return {"batches": _describe_batches(batches), "load test": load}


def _describe_batches(batches: BatchSettings) -> str:
    if batches.max_batch_size == 1:
        seconds = format_duration(BATCH_OVERHEAD_SECONDS + BATCH_ITEM_SECONDS)
        return f"none: each request takes {seconds}, one after the other"
    overhead, item = map(format_duration, (BATCH_OVERHEAD_SECONDS, BATCH_ITEM_SECONDS))
    return (
        f"of at most {batches.max_batch_size} requests, which wait for others for at most"
        f" {format_duration(batches.max_wait_seconds)}; {overhead} + {item} per request"
    )


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set.

    A KeyboardInterrupt instead could be raised at any point, also inside a cleanup.
    """
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
