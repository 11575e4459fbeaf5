"""Runs the probe of a config, and reports its CPU time: a program that `bench.features` starts.

    python -P bench/features_worker.py CONFIG

Each line of the input is a number of runs. The response is the CPU time of these runs (seconds).
A run includes the runner, the prober and all sinks. It imports nothing but `probe`, which can be
that of another revision.
"""

import gc
import sys
import time
from pathlib import Path

from probe.clock import Clock
from probe.config.loader import load
from probe.daemon.probe_manager import ProbeManager, ProbeServices
from probe.daemon.prober_factory import ProberFactory
from probe.history.history import History
from probe.metrics.recorder import Recorder
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import ProbeRunner
from probe.scheduler.scheduler import ProbeScheduler
from probe.threads import Task

WARM_UP_RUNS = 200


class _Runners(ProbeScheduler):
    """Keeps the runners, and calls none of them."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.runners: list[ProbeRunner] = []

    def add(self, runner: ProbeRunner) -> None:
        self.runners.append(runner)


class _SameThread:
    """Executor without threads: waking one takes a time that depends on the machine."""

    def submit(self, task: Task) -> None:
        task()


def main() -> None:
    config = Path(sys.argv[1])
    clock, accounting = Clock(), TickAccounting()
    scheduler = _Runners(clock)
    services = ProbeServices(
        clock=clock,
        run_state=RunState(),
        accounting=accounting,
        scheduler=scheduler,
        executor=_SameThread(),
        recorder=Recorder(accounting, clock.unix_seconds),
        history=History(clock.monotonic_seconds, clock.unix_seconds),
    )
    factory = ProberFactory(environ={}, base=config.parent, clock=clock)
    manager = ProbeManager(factory, services)
    manager.apply_config(load(config, environ={}))
    (runner,) = scheduler.runners
    (target,) = manager.targets.values()
    if failure := target.run().failure:
        sys.exit(f"the probe fails: {failure.detail}")

    def run(count: int) -> float:
        before = time.process_time()
        for _ in range(count):
            runner.on_due(clock.monotonic(), 0)
        return time.process_time() - before

    run(WARM_UP_RUNS)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(run(int(line)), flush=True)
    (counts,) = accounting.counts().values()
    if counts.runs != counts.ticks:
        sys.exit(f"{counts.ticks - counts.runs} of {counts.ticks} ticks did not run")


if __name__ == "__main__":
    main()
