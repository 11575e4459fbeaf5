"""A load test, from the processes that send requests to the report."""

import random
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace

from probe.cli.load_options import LoadOptions
from probe.cli.load_progress import Progress
from probe.cli.load_share import run_share
from probe.cli.load_target import LoadTarget
from probe.clock import Clock
from probe.config.settings import Tracing
from probe.daemon.prober_factory import ProberFactory
from probe.formatting import format_seconds
from probe.load.generator import WHOLE, ProcessGenerator, default_processes
from probe.load.report import StepReport
from probe.load.search import Search, SearchOptions, SearchResult
from probe.load.single_requests import measure_latency, wait_for_recovery
from probe.load.step import Step, StepPlan, StepPlanner, run_step
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.worker_process import LoadGeneratorError
from probe.result import Result, RunProbe

# Without --from, the first rate is at most this part of --max-rate: a fast endpoint may still not
# serve many requests at a time.
MAX_FIRST_RATE_SHARE = 0.05


class LoadTest:
    """One load test. `run` may be called once, before the program starts threads."""

    def __init__(
        self, target: LoadTarget, options: LoadOptions, environ: Mapping[str, str]
    ) -> None:
        self._target = target
        self._options = options
        self._environ = environ
        self._clock = Clock()
        self._progress = Progress(sys.stderr)

    def run(self) -> SearchResult:
        """Run the load test. Raises PreflightFailed and LoadGeneratorError."""
        # A job that is ended prints its report, as after Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        options = self._options
        share = options.share or WHOLE
        generator = ProcessGenerator(
            self._build_runner,
            self._target.all_objectives,
            processes=options.processes or default_processes(options.max_rate / share.count),
            arrivals=options.arrivals,
            timeout_seconds=self._target.probe.timeout,
            max_in_flight=options.max_in_flight,
            clock=self._clock,
            seed=random.SystemRandom().getrandbits(32),
            max_requests=options.max_requests,
            max_tokens=options.max_tokens,
            share=share,
        )
        # The processes are forked before the first request, which starts threads.
        with generator:
            return self._run_share(generator) if options.share else self._search(generator)

    def _build_runner(self) -> RunProbe:
        """Return the function that sends a request, in this process."""
        factory = ProberFactory(
            environ=self._environ,
            base=self._target.config.base,
            clock=self._clock,
            max_idle_connections=self._options.max_in_flight,
        )
        name = self._target.probe.name
        # A load test would flood a tracing backend, so its requests are not sampled.
        settings = replace(self._target.config.settings, tracing=Tracing())
        return factory.build(settings, [name])[name].prober.run

    def _run_share(self, generator: ProcessGenerator) -> SearchResult:
        probe = self._target.probe
        return run_share(
            generator,
            self._options,
            probe_name=probe.name,
            timeout_seconds=probe.timeout,
            objectives=self._target.all_objectives,
            progress=self._progress,
            clock=self._clock,
        )

    def _search(self, generator: ProcessGenerator) -> SearchResult:
        options, target = self._options, self._target
        objectives = target.all_objectives
        runner = self._build_runner()

        def run_probe() -> Result:
            return runner(self._clock.monotonic())

        latency_seconds = measure_latency(
            run_probe, objectives, needs_tokens=options.max_tokens is not None
        )
        self._progress.note(
            f"{target.probe.name}: median latency of single requests"
            f" {format_seconds(latency_seconds)}"
        )
        planner = StepPlanner(
            objectives=objectives,
            latency_seconds=latency_seconds,
            fixed_seconds=options.step_seconds,
        )

        def run(plan: StepPlan) -> Step:
            try:
                step = run_step(generator, plan, objectives, self._progress.show_step)
            except LoadGeneratorError as error:
                self._progress.note(f"inference-probe: {error}")
                raise LoadTestEnded(StopReason.GENERATOR_FAILED) from None
            self._progress.end_step(StepReport.of(step))
            if not step.passed and not step.stop_reason:
                wait_for_recovery(run_probe, latency_seconds)
            return step

        max_first_rate = MAX_FIRST_RATE_SHARE * options.max_rate
        search = Search(
            SearchOptions(
                first_rate=options.first_rate or min(planner.default_first_rate, max_first_rate),
                max_rate=options.max_rate,
                max_seconds=options.max_seconds,
                rates=options.rates,
                expected_rate=options.demand.rate if options.demand else None,
            ),
            planner,
            run_step=run,
            now=self._clock.monotonic_seconds,
        )
        return search.run()
