"""A bound on how soon any alert rule can detect an outage, to compare the rules with."""

from math import inf, log

from probe.slo.alerts import BUDGET_PERIOD_SECONDS
from probe.slo.evidence import divergence


def lorden_bound(
    bad_ratio: float, budget: float, interval: float, false_pages: float = 0.1
) -> float:
    """Return the mean detection time (seconds) that no rule can beat.

    `false_pages` is the number of false pages that the rule has in 30 days.
    interval * ln(probes between false pages) / KL(bad_ratio || budget): Lorden, "Procedures for
    Reacting to a Change in Distribution", 1971, theorem 3.
    """
    if bad_ratio <= budget:
        return inf
    probes_between = BUDGET_PERIOD_SECONDS / interval / false_pages
    return interval * log(probes_between) / divergence(bad_ratio, budget)
