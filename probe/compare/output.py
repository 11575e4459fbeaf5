"""A comparison as text and as JSON."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from probe.compare.comparison import Comparison, PercentileBounds, Side
from probe.compare.difference import (
    Difference,
    Finding,
    Scale,
    Verdict,
    label,
    requests_needed,
)
from probe.config.units import format_duration, format_percentage
from probe.formatting import align, format_seconds

_COLUMNS = ("", "A", "B", "difference", "95 % interval", "margin", "p", "verdict")

# If more requests than this are needed, the advice to send more is omitted.
MAX_ADVISED_REQUESTS = 1_000_000

# Fewer requests are too few to estimate how many are needed.
MIN_ADVICE_REQUESTS = 50


def render_text(comparison: Comparison) -> str:
    """Return the two sides, which requests are bad, the table of differences and the verdict."""
    sides = [
        ("A", comparison.a.name, _counts(comparison.a)),
        ("B", comparison.b.name, _counts(comparison.b)),
    ]
    table = align([_COLUMNS, *map(_row, comparison.findings)])
    bounds = map(_percentile_sentence, comparison.percentile_bounds)
    sentences = [*comparison.notes, *bounds, *_sentences(comparison)]
    return "\n".join([*align(sides), _bad_meaning(comparison), "", *table, "", *sentences])


def _bad_meaning(comparison: Comparison) -> str:
    """Return which requests are bad, such as "bad: failed or slower than 100ms"."""
    limits = [
        f"{label('slower than', signal)} {format_duration(seconds)}"
        for signal, seconds in comparison.thresholds.items()
    ]
    return f"bad: {' or '.join(['failed', *limits])}"


def _counts(side: Side) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in side.reasons.items())
    return f"{side.requests} requests, {side.bad} bad" + (f" ({reasons})" if reasons else "")


def _percentile_sentence(percentile: PercentileBounds) -> str:
    a, b = (_bucket_text(lower, upper) for lower, upper in (percentile.a, percentile.b))
    name = label(percentile.name, percentile.signal)
    return f"{name} by the buckets of the histogram: A {a}, B {b}."


def _bucket_text(lower: float, upper: float) -> str:
    """Return the text of the bounds of a percentile. 0 and infinity are omitted."""
    if math.isfinite(upper):
        return f"{format_duration(lower)} to {format_duration(upper)}"
    return f"more than {format_duration(lower)}" if lower else "unknown"


def _row(finding: Finding) -> tuple[str, ...]:
    difference = finding.difference
    return (
        difference.label,
        _value(difference, difference.a),
        _value(difference, difference.b),
        "-" if difference.value is None else _change(difference, difference.value),
        _interval(difference),
        _size(difference, difference.margin),
        _p_value(finding.p_value),
        finding.verdict.replace("_", " "),
    )


def _p_value(p_value: float) -> str:
    """Return the text of a p-value. Very small values are not exact, so they are a bound."""
    return f"{p_value:.2g}" if p_value >= 1e-4 else "< 0.0001"


def _value(difference: Difference, value: float | None) -> str:
    if value is None:
        return "-"
    if difference.scale is Scale.SHARE:
        return format_percentage(round(value, 4))
    return format_seconds(value)


def _change(difference: Difference, change: float) -> str:
    """Return a difference with its sign: `+5.7%`, or `+0.40 pp` for a share."""
    if difference.scale is Scale.SHARE:
        return f"{round(100 * change, 2) + 0.0:+.2f} pp"  # no "-0.00"
    return f"{round(100 * change, 1) + 0.0:+.1f}%"


def _size(difference: Difference, size: float) -> str:
    """Return a margin: `5%`, or `1 pp` for a share."""
    unit = " pp" if difference.scale is Scale.SHARE else "%"
    return f"{100 * size:.3g}{unit}"


def _interval(difference: Difference) -> str:
    """Return the interval. The percentiles of few requests have none, or only one end."""
    lower, upper = (
        _change(difference, end) if math.isfinite(end) else "unknown"
        for end in (difference.lower, difference.upper)
    )
    return "unknown" if lower == upper == "unknown" else f"{lower} to {upper}"


def _sentences(comparison: Comparison) -> Iterator[str]:
    """Yield the verdict and its reasons."""
    findings = comparison.findings
    match comparison.verdict:
        case Verdict.WORSE | Verdict.BETTER as verdict:
            yield f"Verdict: B is {verdict}."
        case Verdict.NO_DIFFERENCE:
            yield f"Verdict: no difference is larger than its margin ({_margins(findings)})."
        case Verdict.NOT_WORSE:
            yield f"Verdict: B is not worse by more than the margins ({_margins(findings)})."
        case Verdict.NOT_ENOUGH_DATA:
            yield "Verdict: not enough data."
    for verdict in (Verdict.WORSE, Verdict.BETTER):
        for finding in findings:
            if finding.verdict is verdict:
                yield _reason(finding)
    if comparison.verdict is Verdict.NOT_ENOUGH_DATA:
        yield from _missing_data(comparison)


def _margins(findings: Iterable[Finding]) -> str:
    differences = [finding.difference for finding in findings]
    return ", ".join(
        f"{difference.label} {_size(difference, difference.margin)}" for difference in differences
    )


def _reason(finding: Finding) -> str:
    difference = finding.difference
    assert difference.value is not None, "the verdict is about a difference"
    return (
        f"{difference.label} is {finding.verdict}: {_change(difference, difference.value)}"
        f" (95 % interval {_interval(difference)}), and the margin is"
        f" {_size(difference, difference.margin)}."
    )


def _missing_data(comparison: Comparison) -> Iterator[str]:
    empty = [side.name for side in (comparison.a, comparison.b) if not side.requests]
    if empty:
        yield f"There are no requests of {' and '.join(empty)}."
        return
    undecided = [
        finding.difference
        for finding in comparison.findings
        if finding.verdict is Verdict.NOT_ENOUGH_DATA
    ]
    names = ", ".join(difference.label for difference in undecided)
    yield f"B may be worse by more than the margin: the intervals are too wide ({names})."
    requests = min(comparison.a.requests, comparison.b.requests)
    needed = [requests_needed(difference, requests) for difference in undecided]
    known = [count for count in needed if count is not None]
    is_known = bool(known) and requests >= MIN_ADVICE_REQUESTS
    if is_known and requests < max(known) <= MAX_ADVISED_REQUESTS:
        yield (
            f"If there is no difference, about {_two_digits(max(known))} requests per side show it;"
            " a larger margin needs fewer."
        )


def _two_digits(number: int) -> int:
    """Return `number` rounded up to two significant digits."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // unit) * unit


def render_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison for machines: shares and relative differences as ratios."""
    return {
        "verdict": str(comparison.verdict),
        "a": _side_json(comparison.a),
        "b": _side_json(comparison.b),
        "thresholds": dict(comparison.thresholds),
        "differences": [_finding_json(finding) for finding in comparison.findings],
        "resolution": [
            {
                "name": percentile.name,
                "signal": percentile.signal,
                "a": list(map(_finite, percentile.a)),
                "b": list(map(_finite, percentile.b)),
            }
            for percentile in comparison.percentile_bounds
        ],
        "notes": list(comparison.notes),
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "requests": side.requests,
        "bad": side.bad,
        "reasons": dict(side.reasons),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    difference = finding.difference
    return {
        "name": difference.name,
        "signal": difference.signal,
        "scale": str(difference.scale),
        "a": difference.a,
        "b": difference.b,
        "difference": difference.value,
        "interval": [_finite(difference.lower), _finite(difference.upper)],
        "margin": difference.margin,
        "p_value": finding.p_value,
        "verdict": str(finding.verdict),
        "threshold_seconds": difference.threshold_seconds,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
