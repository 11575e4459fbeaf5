"""When the alerts of the rules are pending, given which probes were bad. Time is in evaluations."""

from collections.abc import Callable, Iterator

from probe.slo.alerts import EVALUATION, HOUR, LONG_EVALUATION, MISSED, PROMISE, Burn
from probe.slo.evidence import fewest
from probe.slo.history import Window, all_of, either, pending, runs, share_of, stretched

LONG_LOOK = LONG_EVALUATION // EVALUATION
HALF_HOUR = HOUR // 2 // EVALUATION
"""Of which the rules add up the windows of days."""

SELDOM = PROMISE.hold // EVALUATION // 2
"""Evaluations from look to look, of which two in a row see whatever holds for long enough."""

Alert = Callable[[list[int]], Iterator[int]]
"""The looks from which on it is pending until it fires, given all bad probes so far."""


def promise(probes: list[int], looks: range, budget: float) -> Alert:
    """HighModelLatency."""
    window = Window.of(probes, looks, _samples(PROMISE.window), share_of(budget))
    seldom = window.part(0, len(looks), SELDOM)

    def alert(bad: list[int]) -> Iterator[int]:
        for start, end in runs(seldom.exceeded(bad), 2):
            first = max(0, (start - 1) * SELDOM + 1)
            held = window.part(first, end * SELDOM).exceeded(bad)
            yield from (first + look for look in pending(held, 1, PROMISE.hold))

    return alert


def ticket(probes: list[int], looks: range, burn: Burn, budget: float) -> Alert:
    """Of ModelErrorBudgetBurn: windows of days are of whole half hours."""
    share = share_of(burn.factor * budget)
    short = Window.of(probes, looks[::LONG_LOOK], _samples(burn.short), share)
    long = Window.of(probes, looks[::HALF_HOUR], burn.long // EVALUATION, share)

    def alert(bad: list[int]) -> Iterator[int]:
        burnt = long.exceeded(bad)
        if any(burnt):
            holds = all_of((short.exceeded(bad), stretched(burnt, HALF_HOUR // LONG_LOOK)))
            yield from pending(holds, LONG_LOOK, burn.hold)

    return alert


def page(probes: list[int], looks: range, burn: Burn, budget: float) -> Alert:
    """Of ModelErrorBudgetBurn: the long window must be evidence as well."""
    share = share_of(burn.factor * budget)
    short = Window.of(probes, looks, _samples(burn.short), share)
    long = Window.of(probes, looks, _samples(burn.long), share)
    sure = _evidence(probes, looks, burn.long, budget, MISSED.evidence)
    windows = (short, long, sure)
    return lambda bad: pending(all_of(it.exceeded(bad) for it in windows), 1, burn.hold)


def missed(probes: list[int], looks: range, budget: float) -> Alert:
    """ModelObjectiveMissed: evidence, some before, and a bad probe lately."""
    ago = MISSED.before // EVALUATION
    earlier = range(looks.start - ago, looks.stop - ago)
    enough = [_evidence(probes, looks, it, budget, MISSED.evidence) for it in MISSED.windows]
    some = [_evidence(probes, earlier, it, budget, MISSED.evidence_before) for it in MISSED.windows]
    lately = Window.of(probes, looks, _samples(MISSED.lately), lambda _: 0)

    def alert(bad: list[int]) -> Iterator[int]:
        evident = (either(it.exceeded(bad) for it in windows) for windows in (enough, some))
        yield from pending(all_of((*evident, lately.exceeded(bad))), 1, 0)

    return alert


def _evidence(probes: list[int], looks: range, window: int, budget: float, level: float) -> Window:
    def most(size: int) -> int:
        count = fewest(size, window, budget, level)
        return size if count is None else count - 1

    return Window.of(probes, looks, _samples(window), most)


def _samples(window: int) -> int:
    """Evaluations from the first sample in a window, which `increase` sees, to its last."""
    return window // EVALUATION - 1
