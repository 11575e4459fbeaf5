"""What to think over in a config that is valid: it would run, and not do what it seems to."""

from collections.abc import Iterator
from dataclasses import replace

from probe.config.schema import Objective, Probe, Settings
from probe.config.units import format_duration
from probe.slo.alerts import BUDGET_PERIOD_SECONDS, MODEL_DOWN, OBJECTIVE_MISSED, PAGE_BURNS
from probe.slo.evidence import longest_interval
from probe.slo.forecast import AlertTiming

MIN_PROBES_PER_WINDOW = 20
"""Bad probes that a budget of 30 days should hold: with fewer, each one is an event."""

MAX_TIMEOUT_SHARE = 0.5
"""The bad share that the shortest window should be able to tell, if it is twice the budget at
least.
"""

MAX_FALSE_PAGES = 0.1
"""In 30 days, of a model that just keeps its objective: more of them wear people out."""


def lint(settings: Settings) -> Iterator[str]:
    """One sentence or two for each thing, beginning with the probe and the objective."""
    for probe in settings.probes:
        if not probe.objectives:
            yield f"{probe.name}: no objectives, so only ModelDown can fire for it"
        for objective in probe.objectives:
            for words in _about(objective, probe):
                yield f"{probe.name}, {objective.name}: {words}"


def alert_timing(objective: Objective, probe: Probe) -> AlertTiming:
    """What the objective's alerts depend on."""
    return AlertTiming(
        budget=round(1 - objective.target, 12),  # 0.01, and not 0.010000000000000009
        interval=probe.interval,
        timeout=probe.timeout,
        pages=objective.alert == "page",
    )


def _about(objective: Objective, probe: Probe) -> Iterator[str]:
    if objective.latency is not None and objective.latency >= probe.timeout:
        yield (
            f"the threshold {format_duration(objective.latency)} is not below the timeout "
            f"{format_duration(probe.timeout)}; every probe that succeeds is good"
        )
    if objective.alert == "none":
        return
    yield from _about_numbers(alert_timing(objective, probe))
    yield from _about_failures(alert_timing(objective, probe))
    if objective.alert == "page":
        yield from _about_pages(alert_timing(objective, probe))


def _about_numbers(pace: AlertTiming) -> Iterator[str]:
    allowed = pace.budget * BUDGET_PERIOD_SECONDS / pace.interval
    if allowed < MIN_PROBES_PER_WINDOW:
        enough = pace.budget * BUDGET_PERIOD_SECONDS / MIN_PROBES_PER_WINDOW
        yield (
            f"its budget for 30 days is {allowed:.1f} bad probes, and with fewer than "
            f"{MIN_PROBES_PER_WINDOW} each weighs too much; "
            f"probe every {_rounded(enough)} or more often, or promise less"
        )


def _about_failures(pace: AlertTiming) -> Iterator[str]:
    """ModelDown pages whatever the objective says; with long runs it is never by chance."""
    pages = pace.false_downs(pace.budget)
    if pages > MAX_FALSE_PAGES:
        number = f"{pages:,.0f}" if pages >= 10 else f"{pages:.2g}"
        yield (
            f"a model that just keeps it, and whose bad requests fail, has {number} false pages "
            f"in 30 days: {pace.run()} failures in a row are ModelDown; probe every "
            f"{_rounded(_unlikely(pace))} or more often, so that it takes more, or promise more"
        )


def _unlikely(pace: AlertTiming) -> float:
    """The longest interval, in seconds, at which so many failures in a row are not chance."""
    run = MODEL_DOWN.failures
    while replace(pace, interval=MODEL_DOWN.least / run).false_downs(pace.budget) > MAX_FALSE_PAGES:
        run += 1
    return MODEL_DOWN.least / run


def _about_pages(pace: AlertTiming) -> Iterator[str]:
    if not pace.can_page():
        yield (
            "can never page: no window holds enough probes to tell bad luck from a bad model; "
            f"probe every {_rounded(_telling(1, OBJECTIVE_MISSED.windows[-1], pace))} or more often"
        )
    elif pace.interval > (
        enough := _telling(share := _much(pace), OBJECTIVE_MISSED.windows[0], pace)
    ):
        much = "half" if share == MAX_TIMEOUT_SHARE else f"{100 * share:.3g}%"
        yield (
            f"{format_duration(OBJECTIVE_MISSED.windows[0])} hold too few probes to tell "
            f"that {much} of them are bad; "
            f"probe every {_rounded(enough)} or more often, or wait longer for the page"
        )
    if all(burn.factor * pace.budget >= 1 for burn in PAGE_BURNS):
        yield (
            f"can never page by its error budget: {PAGE_BURNS[-1].factor:g} times "
            f"{pace.budget:.3g} is more than everything; ModelObjectiveMissed and ModelDown do page"
        )


def _much(pace: AlertTiming) -> float:
    """A bad share well above the budget."""
    return MAX_TIMEOUT_SHARE if 2 * pace.budget <= MAX_TIMEOUT_SHARE else (1 + pace.budget) / 2


def _telling(share: float, window: int, pace: AlertTiming) -> float:
    return longest_interval(window, share, pace.budget, OBJECTIVE_MISSED.evidence)


def _rounded(seconds: float) -> str:
    """Downwards, to something that one would write."""
    unit = 60 if seconds >= 120 else 1 if seconds >= 1 else 0.1
    return format_duration(round(max(unit, seconds // unit * unit), 1))
