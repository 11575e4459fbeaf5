"""When the alerts of the rules are pending, given which probes were bad. Time is in evaluations."""

from collections.abc import Callable, Iterator

from probe.slo.alerts import (
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    HOUR_SECONDS,
    LONG_EVALUATION_INTERVAL_SECONDS,
    OBJECTIVE_MISSED,
    Burn,
)
from probe.slo.evidence import min_bad_of
from probe.slo.windows import (
    Window,
    bad_ratio,
    logical_and,
    logical_or,
    pending,
    repeat_samples,
    spans,
)

LONG_LOOK = LONG_EVALUATION_INTERVAL_SECONDS // EVALUATION_INTERVAL_SECONDS
HALF_HOUR = HOUR_SECONDS // 2 // EVALUATION_INTERVAL_SECONDS
"""Of which the rules add up the windows of days."""

SELDOM = HIGH_LATENCY.hold // EVALUATION_INTERVAL_SECONDS // 2
"""Evaluations from look to look, of which two in a row see whatever holds for long enough."""

Alert = Callable[[list[int]], Iterator[int]]
"""The looks from which on it is pending until it fires, given all bad probes so far."""


def promise(probes: list[int], looks: range, budget: float) -> Alert:
    """HighModelLatency."""
    window = Window.of(probes, looks, _samples(HIGH_LATENCY.window), bad_ratio(budget))
    seldom = window.part(0, len(looks), SELDOM)

    def alert(bad: list[int]) -> Iterator[int]:
        for start, end in spans(seldom.exceeded(bad), 2):
            first = max(0, (start - 1) * SELDOM + 1)
            held = window.part(first, end * SELDOM).exceeded(bad)
            yield from (first + look for look in pending(held, 1, HIGH_LATENCY.hold))

    return alert


def ticket(probes: list[int], looks: range, burn: Burn, budget: float) -> Alert:
    """Of ModelErrorBudgetBurn: windows of days are of whole half hours."""
    share = bad_ratio(burn.factor * budget)
    short = Window.of(probes, looks[::LONG_LOOK], _samples(burn.short), share)
    long = Window.of(probes, looks[::HALF_HOUR], burn.long // EVALUATION_INTERVAL_SECONDS, share)

    def alert(bad: list[int]) -> Iterator[int]:
        burnt = long.exceeded(bad)
        if any(burnt):
            holds = logical_and(
                (short.exceeded(bad), repeat_samples(burnt, HALF_HOUR // LONG_LOOK))
            )
            yield from pending(holds, LONG_LOOK, burn.hold)

    return alert


def page(probes: list[int], looks: range, burn: Burn, budget: float) -> Alert:
    """Of ModelErrorBudgetBurn: the long window must be evidence as well."""
    share = bad_ratio(burn.factor * budget)
    short = Window.of(probes, looks, _samples(burn.short), share)
    long = Window.of(probes, looks, _samples(burn.long), share)
    sure = _evidence(probes, looks, burn.long, budget, OBJECTIVE_MISSED.evidence)
    windows = (short, long, sure)
    return lambda bad: pending(logical_and(it.exceeded(bad) for it in windows), 1, burn.hold)


def missed(probes: list[int], looks: range, budget: float) -> Alert:
    """ModelObjectiveMissed: evidence, some before, and a bad probe lately."""
    ago = OBJECTIVE_MISSED.before // EVALUATION_INTERVAL_SECONDS
    earlier = range(looks.start - ago, looks.stop - ago)
    enough = [
        _evidence(probes, looks, it, budget, OBJECTIVE_MISSED.evidence)
        for it in OBJECTIVE_MISSED.windows
    ]
    some = [
        _evidence(probes, earlier, it, budget, OBJECTIVE_MISSED.evidence_before)
        for it in OBJECTIVE_MISSED.windows
    ]
    lately = Window.of(probes, looks, _samples(OBJECTIVE_MISSED.lately), lambda _: 0)

    def alert(bad: list[int]) -> Iterator[int]:
        evident = (logical_or(it.exceeded(bad) for it in windows) for windows in (enough, some))
        yield from pending(logical_and((*evident, lately.exceeded(bad))), 1, 0)

    return alert


def _evidence(probes: list[int], looks: range, window: int, budget: float, level: float) -> Window:
    def most(size: int) -> int:
        count = min_bad_of(size, window, budget, level)
        return size if count is None else count - 1

    return Window.of(probes, looks, _samples(window), most)


def _samples(window: int) -> int:
    """Evaluations from the first sample in a window, which `increase` sees, to its last."""
    return window // EVALUATION_INTERVAL_SECONDS - 1
