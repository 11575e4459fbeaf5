"""Progress of a load test on stderr: a line for each step, and a bar on a terminal."""

from typing import TextIO

from probe.load.formatting import format_quantile, format_rate
from probe.load.measurement import StepMeasurement
from probe.load.report import StepReport
from probe.load.step import StepPlan

BAR_CHARS = 20


class Progress:
    """Writes to `stream`. The bar replaces itself, so only a terminal has one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_bar = stream.isatty()
        self._bar_chars = 0

    def show_step(self, plan: StepPlan, seconds: float, measurement: StepMeasurement) -> None:
        """Show how far the step is, `seconds` after its start."""
        if not self._has_bar:
            return
        done = round(BAR_CHARS * seconds / plan.max_seconds)
        completed = sum(second.completed for second in measurement.seconds)
        self._replace(
            f"[{'#' * done}{'.' * (BAR_CHARS - done)}] {format_rate(plan.rate)},"
            f" {seconds:.0f} of at most {plan.max_seconds:.0f} s, {completed} completed,"
            f" {measurement.in_flight} in flight"
        )

    def end_step(self, step: StepReport) -> None:
        """Write a line about a step that has ended."""
        kind = "confirmation" if step.is_confirmation else "step"
        evidence = step.limiting
        self._replace("")
        print(
            f"{kind} at {format_rate(step.rate)}: {evidence.bad} of {evidence.requests} bad in"
            f" {step.seconds:.0f} s, p95 {format_quantile(step.p95)}: {step.verdict}",
            file=self._stream,
            flush=True,
        )

    def note(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._stream, flush=True)

    def _replace(self, text: str) -> None:
        """Write `text` in place of the bar."""
        if self._has_bar:
            self._stream.write(f"\r{text.ljust(self._bar_chars)}" + ("" if text else "\r"))
            self._stream.flush()
            self._bar_chars = len(text)
