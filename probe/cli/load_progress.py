"""Progress of a load test on stderr: a line for each step, and a bar on a terminal."""

from typing import TextIO

from probe.cli.progress_line import ProgressLine, bar
from probe.formatting import format_rate
from probe.load.formatting import format_quantile
from probe.load.measurement import StepMeasurement
from probe.load.report import StepReport
from probe.load.step import StepPlan


class Progress:
    """Writes to `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._line = ProgressLine(stream)

    def show_step(self, plan: StepPlan, seconds: float, measurement: StepMeasurement) -> None:
        """Show how far the step is, `seconds` after its start."""
        completed = sum(second.completed for second in measurement.seconds)
        self._line.show(
            f"{bar(seconds / plan.max_seconds)} {format_rate(plan.rate)},"
            f" {seconds:.0f} of at most {plan.max_seconds:.0f} s, {completed} completed,"
            f" {measurement.in_flight} in flight"
        )

    def end_step(self, step: StepReport) -> None:
        """Write a line about a step that has ended."""
        kind = "confirmation" if step.is_confirmation else "step"
        evidence = step.limiting
        self._line.note(
            f"{kind} at {format_rate(step.rate)}: {evidence.bad} of {evidence.requests} bad in"
            f" {step.seconds:.0f} s, p95 {format_quantile(step.p95)}: {step.verdict}"
        )

    def note(self, text: str) -> None:
        """Write a line."""
        self._line.note(text)
