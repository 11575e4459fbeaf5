"""What to think over in a config that is valid: it would run, and not do what it seems to."""

from collections.abc import Iterator
from dataclasses import replace

from probe.settings.schema import Objective, Probe, Settings
from probe.settings.units import format_duration
from probe.slo.alerts import DOWN, MISSED, PAGES, PERIOD
from probe.slo.evidence import longest_interval
from probe.slo.outlook import Pace

FEWEST = 20
"""Bad probes that a budget of 30 days should hold: with fewer, each one is an event."""

HALF = 0.5
"""The bad share that the shortest window should be able to tell, if it is twice the budget at
least.
"""

FALSE_PAGES = 0.1
"""In 30 days, of a model that just keeps its objective: more of them wear people out."""


def advise(settings: Settings) -> Iterator[str]:
    """One sentence or two for each thing, beginning with the probe and the objective."""
    for probe in settings.probes:
        if not probe.objectives:
            yield f"{probe.name}: no objectives, so only ModelDown can fire for it"
        for objective in probe.objectives:
            for words in _about(objective, probe):
                yield f"{probe.name}, {objective.name}: {words}"


def pace(objective: Objective, probe: Probe) -> Pace:
    """What the objective's alerts depend on."""
    return Pace(
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
    yield from _about_numbers(pace(objective, probe))
    yield from _about_failures(pace(objective, probe))
    if objective.alert == "page":
        yield from _about_pages(pace(objective, probe))


def _about_numbers(pace: Pace) -> Iterator[str]:
    allowed = pace.budget * PERIOD / pace.interval
    if allowed < FEWEST:
        enough = pace.budget * PERIOD / FEWEST
        yield (
            f"its budget for 30 days is {allowed:.1f} bad probes, and with fewer than {FEWEST} "
            f"each weighs too much; probe every {_rounded(enough)} or more often, or promise less"
        )


def _about_failures(pace: Pace) -> Iterator[str]:
    """ModelDown pages whatever the objective says; with long runs it is never by chance."""
    pages = pace.false_downs(pace.budget)
    if pages > FALSE_PAGES:
        number = f"{pages:,.0f}" if pages >= 10 else f"{pages:.2g}"
        yield (
            f"a model that just keeps it, and whose bad requests fail, has {number} false pages "
            f"in 30 days: {pace.run()} failures in a row are ModelDown; probe every "
            f"{_rounded(_unlikely(pace))} or more often, so that it takes more, or promise more"
        )


def _unlikely(pace: Pace) -> float:
    """The longest interval, in seconds, at which so many failures in a row are not chance."""
    run = DOWN.failures
    while replace(pace, interval=DOWN.least / run).false_downs(pace.budget) > FALSE_PAGES:
        run += 1
    return DOWN.least / run


def _about_pages(pace: Pace) -> Iterator[str]:
    if not pace.can_page():
        yield (
            "can never page: no window holds enough probes to tell bad luck from a bad model; "
            f"probe every {_rounded(_telling(1, MISSED.windows[-1], pace))} or more often"
        )
    elif pace.interval > (enough := _telling(share := _much(pace), MISSED.windows[0], pace)):
        much = "half" if share == HALF else f"{100 * share:.3g}%"
        yield (
            f"{format_duration(MISSED.windows[0])} hold too few probes to tell that {much} of them "
            f"are bad; probe every {_rounded(enough)} or more often, or wait longer for the page"
        )
    if all(burn.factor * pace.budget >= 1 for burn in PAGES):
        yield (
            f"can never page by its error budget: {PAGES[-1].factor:g} times {pace.budget:.3g} "
            "is more than everything; ModelObjectiveMissed and ModelDown do page"
        )


def _much(pace: Pace) -> float:
    """A bad share well above the budget."""
    return HALF if 2 * pace.budget <= HALF else (1 + pace.budget) / 2


def _telling(share: float, window: int, pace: Pace) -> float:
    return longest_interval(window, share, pace.budget, MISSED.evidence)


def _rounded(seconds: float) -> str:
    """Downwards, to something that one would write."""
    unit = 60 if seconds >= 120 else 1 if seconds >= 1 else 0.1
    return format_duration(round(max(unit, seconds // unit * unit), 1))
