"""Advice about a valid config with likely mistakes, or whose alerts would not work as intended."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import ceil, inf
from typing import Any, NamedTuple

from probe.check.spending import spending_advice
from probe.clock import MINUTE_SECONDS
from probe.config.protocol_expansion import (
    MIN_NONCE_TOKENS,
    NONCE,
    estimate_text_tokens,
    prompt_text,
)
from probe.config.settings import MAX_BUDGET_AS_TARGET, Objective, Probe, Settings
from probe.config.units import format_duration
from probe.result import Signal
from probe.scheduler.token_estimate import TokenEstimate, find_output_limit
from probe.slo.alerts import BUDGET_PERIOD_SECONDS, MODEL_DOWN, OBJECTIVE_MISSED, PAGE_BURNS
from probe.slo.evidence import longest_interval
from probe.slo.forecast import AlertTiming
from probe.threads import yield_gil

# Bad probes that the error budget of 30 days should allow: with fewer, each one is an event.
MIN_BUDGET_PROBES = 20

# The bad ratio that the shortest window should detect, unless the budget is nearly as large.
DETECTABLE_BAD_RATIO = 0.5

# The shortest interval that the config allows.
MIN_INTERVAL_SECONDS = 0.01

# Share of the safe rate of an endpoint that its probe may use.
MAX_PROBE_SHARE = 0.1

# In 30 days, of a model that just meets its objective.
MAX_FALSE_PAGES = 0.1


def lint(settings: Settings, estimates: Mapping[str, TokenEstimate]) -> Iterator[str]:
    """Yield advice, each text beginning with a position, or with names of probe and objective.

    `estimates` has the tokens of one request of each probe by its name.
    """
    # Many probes have the same interval and objective, and the forecast takes 30 µs of CPU. The
    # cache ends with the call, because the daemon would keep it for good.
    objective_advice = cache(_objective_advice)
    yield from map(str, settings.likely_mistakes)
    for probe in yield_gil(settings.probes):
        if probe.stream:
            yield from _stream_advice(probe)
        if not probe.objectives and probe.down == "none":
            yield f"{probe.name}: no objectives and `down: none`, so no outage raises an alert"
        elif not probe.objectives:
            alerts = "outages, latency regressions and expiring certificates"
            yield f"{probe.name}: no objectives, so only {alerts} raise alerts"
        yield from spending_advice(probe, estimates[probe.name])
        yield from _capacity_advice(probe)
        yield from _scale_to_zero_advice(probe)
        for objective in probe.objectives:
            if objective.target <= MAX_BUDGET_AS_TARGET:
                continue  # one of the likely mistakes
            deadline, timing = signal_deadline(objective, probe), alert_timing(objective, probe)
            for advice in objective_advice(objective, deadline, timing):
                yield f"{probe.name}, {objective.name}: {advice}"


def _capacity_advice(probe: Probe) -> Iterator[str]:
    """Yield advice if the requests of the probe are a considerable load for the endpoint."""
    if probe.capacity is None:
        return
    share = 1 / probe.interval / probe.capacity.safe_rate
    if share > MAX_PROBE_SHARE:
        seconds = 1 / (MAX_PROBE_SHARE * probe.capacity.safe_rate)
        yield (
            f"{probe.name}: the probe alone sends {100 * share:.3g}% of the `safe_rate` of its"
            f" endpoint; probe every {_round_up(seconds)} or less often"
        )


def _scale_to_zero_advice(probe: Probe) -> Iterator[str]:
    """Yield advice if the probe keeps its service from scaling to zero."""
    if probe.cold is None or probe.cold.after_idle is None or probe.cold.probe:
        return
    yield (
        f"{probe.name}: a request every {format_duration(probe.interval)} keeps the service from"
        f" scaling to zero after {format_duration(probe.cold.after_idle)} without requests"
        " (`after_idle`), so it always has a replica; write `probe: true` in `cold` to let it scale"
        " to zero once in a while"
    )


def _stream_advice(probe: Probe) -> Iterator[str]:
    """Yield advice about the request for a stream, or about that of each payload."""
    owners = [f"{probe.name}, payload {payload.name}" for payload in probe.payloads]
    for owner, request in zip(owners or [probe.name], probe.payload_probes(), strict=True):
        body = _json_body(request)
        advice = (
            *_document_advice(request),
            *_token_advice(request, body),
            *_cache_advice(request, body),
        )
        yield from (f"{owner}: {text}" for text in advice)


def _document_advice(probe: Probe) -> Iterator[str]:
    """Yield advice if the body asks for one document although the probe expects a stream."""
    body = probe.json_body
    if isinstance(body, Mapping) and body.get("stream") is False:
        yield (
            "the body has `stream: false`, but the probe expects a stream; write"
            " `stream: null` in the probe, or ask for a stream"
        )


def _token_advice(probe: Probe, body: Any) -> Iterator[str]:
    """Yield advice if a stream cannot have as many tokens as the probe expects."""
    if probe.expect.tokens is None:
        return
    minimum, limit = probe.expect.tokens.min, find_output_limit(body)
    if limit is not None and limit < minimum:
        yield (
            f"`expect.tokens.min` is {minimum}, but the request limits the output to"
            f" {limit} tokens, so every stream fails; lower it, or raise the limit, such as"
            " max_tokens"
        )


def _cache_advice(probe: Probe, body: Any) -> Iterator[str]:
    """Yield advice if a prompt cache of the server may shorten the time to the first token."""
    if probe.protocol and probe.protocol.accepts_cached_prompts:
        return
    prompt = prompt_text(body) if isinstance(body, Mapping) else ""
    tokens = estimate_text_tokens(len(prompt))
    if tokens >= MIN_NONCE_TOKENS and not prompt.startswith(NONCE):
        yield (
            f"the prompt has about {tokens} tokens and does not begin with"
            f" {NONCE}, so a prompt cache of the server shortens the time to the first token;"
            f' begin it with {NONCE}, and watch inference_probe_tokens_total{{kind="cached"}}'
        )


def _json_body(probe: Probe) -> Any:
    """Return the JSON of the body; None if the body is a file or no JSON."""
    if probe.body is None:
        return probe.json_body
    try:
        return json.loads(probe.body.source)
    except (ValueError, RecursionError):
        return None


def alert_timing(objective: Objective, probe: Probe) -> AlertTiming:
    """Return the parameters of the forecast for an objective."""
    return AlertTiming(
        budget=round(1 - objective.target, 12),  # 0.01, and not 0.010000000000000009
        interval=probe.interval,
        timeout=probe.timeout,
        pages=objective.alert == "page",
        down=probe.down,
    )


class SignalDeadline(NamedTuple):
    """The deadline (seconds) that ends a request before a signal is longer, and its config key."""

    seconds: float
    key: str


def signal_deadline(objective: Objective, probe: Probe) -> SignalDeadline:
    """Return the deadline of the objective's signal.

    No time per token is longer than the longest time between two tokens.
    """
    deadlines = [SignalDeadline(probe.timeout, "timeout")]
    if objective.signal is Signal.TIME_TO_FIRST_TOKEN and probe.first_token_timeout is not None:
        deadlines.append(SignalDeadline(probe.first_token_timeout, "first_token_timeout"))
    if objective.signal is Signal.TIME_PER_OUTPUT_TOKEN and probe.stall_timeout is not None:
        deadlines.append(SignalDeadline(probe.stall_timeout, "stall_timeout"))
    return min(deadlines)


def _objective_advice(
    objective: Objective, deadline: SignalDeadline, timing: AlertTiming
) -> tuple[str, ...]:
    advice: list[str] = []
    if objective.threshold is not None and objective.threshold >= deadline.seconds:
        advice.append(
            f"the {deadline.key} {format_duration(deadline.seconds)} ends requests before they "
            f"reach the threshold {format_duration(objective.threshold)}, so a slow request is a "
            f"failure; choose a {deadline.key} above the threshold"
        )
    if objective.alert == "none":
        return tuple(advice)
    budget = list(_small_budget(timing))
    if any(obstacle.interval < MIN_INTERVAL_SECONDS for obstacle in budget):
        # The target is out of reach, with any alert.
        return (*advice, *map(str, budget))
    down = list(_false_model_down(timing)) if timing.down == "page" else []
    pages = list(_no_page(timing)) if objective.alert == "page" else []
    if objective.alert == "page" and not timing.can_page():
        return (*advice, _join([*pages, *budget, *down]))
    return (*advice, *map(str, [*budget, *down, *pages]))


class _Obstacle(NamedTuple):
    """A reason why alerts do not work as intended.

    A remedy is to probe at least every `interval` seconds, another one is `alternative`. Without
    an alternative there is no remedy.
    """

    text: str
    interval: float = inf
    alternative: str = ""

    def __str__(self) -> str:
        remedy = f"; {_remedy(self.interval, self.alternative)}" if self.alternative else ""
        return self.text + remedy


def _join(obstacles: Sequence[_Obstacle]) -> str:
    """Return one advice, because the remedies of the obstacles may contradict each other."""
    texts = "; ".join(obstacle.text for obstacle in obstacles)
    interval = min(obstacle.interval for obstacle in obstacles)
    return f"{texts}; {_remedy(interval, 'choose another target')}"


def _small_budget(timing: AlertTiming) -> Iterator[_Obstacle]:
    allowed = timing.budget * BUDGET_PERIOD_SECONDS / timing.interval
    if allowed < MIN_BUDGET_PROBES:
        interval = timing.budget * BUDGET_PERIOD_SECONDS / MIN_BUDGET_PROBES
        number = f"{allowed:.1f}" if allowed >= 1 else f"{allowed:.2g}"
        effect = "a few bad probes spend all of it"
        if allowed < 1:
            effect = "a single bad probe overspends it"
        text = f"its error budget is {number} bad probes in 30 days, so {effect}"
        yield _Obstacle(text, interval, "lower the target")


def _false_model_down(timing: AlertTiming) -> Iterator[_Obstacle]:
    """Check that ModelDown, if it pages, needs more failures in a row than chance produces."""
    pages = timing.false_down_pages(timing.budget)
    if pages > MAX_FALSE_PAGES:
        number = f"{pages:,.0f}" if pages >= 10 else f"{pages:.2g}"
        text = (
            f"ModelDown would page falsely {number} times in 30 days: it fires after "
            f"{timing.failures_until_down()} failures in a row, which happen by chance at this "
            "target"
        )
        yield _Obstacle(text, _safe_down_interval(timing), "raise the target")


def _safe_down_interval(timing: AlertTiming) -> float:
    """Return the longest interval (seconds) at which ModelDown has few false pages.

    If no allowed interval is short enough, the returned one is shorter.
    """

    def is_safe(failures: int) -> bool:
        shorter = replace(timing, interval=MODEL_DOWN.min_silence_seconds / failures)
        return shorter.false_down_pages(timing.budget) <= MAX_FALSE_PAGES

    # The longer the run of failures that ModelDown needs, the rarer it is by chance.
    max_failures = round(MODEL_DOWN.min_silence_seconds / MIN_INTERVAL_SECONDS)
    candidates = range(MODEL_DOWN.failures, max_failures + 1)
    index = bisect_left(candidates, True, key=is_safe)
    return MODEL_DOWN.min_silence_seconds / (MODEL_DOWN.failures + index)


def _no_page(timing: AlertTiming) -> Iterator[_Obstacle]:
    windows = [window.seconds for window in OBJECTIVE_MISSED.windows]
    if not timing.can_page():
        interval = _longest_interval(1, windows[-1], timing)
        yield _Obstacle(_impossible_pages(timing), interval, "raise the target")
        return
    bad_ratio = _detectable_bad_ratio(timing.budget)
    interval = _longest_interval(bad_ratio, windows[0], timing)
    if timing.interval > interval:
        text = (
            f"{windows[0] // MINUTE_SECONDS} minutes hold too few probes to detect a bad ratio of "
            f"{100 * bad_ratio:.3g}%"
        )
        yield _Obstacle(text, interval, "accept a later page")
    if not _can_burn_page(timing):
        yield _Obstacle(_impossible_pages(timing))


def _can_burn_page(timing: AlertTiming) -> bool:
    return any(rule.factor * timing.budget < 1 for rule in PAGE_BURNS)


def _impossible_pages(timing: AlertTiming) -> str:
    """Return which alerts can never page, why, and which can."""
    reasons = []
    pages = ["ModelDown"] if timing.down == "page" else []
    if not timing.can_page():
        reasons.append("ModelObjectiveMissed can never fire: no window holds enough probes")
    if not _can_burn_page(timing):
        reasons.append(
            f"ModelErrorBudgetBurn can never page: {PAGE_BURNS[-1].factor:g} times the budget of "
            f"{100 * timing.budget:.3g}% is more than 100%"
        )
        pages = ["ModelObjectiveMissed"] * timing.can_page() + pages
        reasons.append(f"only {' and '.join(pages)} can page" if pages else "no alert can page")
    return "; ".join(reasons)


def _detectable_bad_ratio(budget: float) -> float:
    """Return a bad ratio well above the budget."""
    return DETECTABLE_BAD_RATIO if 2 * budget <= DETECTABLE_BAD_RATIO else (1 + budget) / 2


def _longest_interval(bad_ratio: float, window: int, timing: AlertTiming) -> float:
    return longest_interval(window, bad_ratio, timing.budget, OBJECTIVE_MISSED.evidence)


def _remedy(interval: float, alternative: str) -> str:
    """Return the advice to probe at least every `interval` seconds, or to do `alternative`."""
    if interval < MIN_INTERVAL_SECONDS:
        return f"no allowed interval is short enough; {alternative}"
    return f"probe at least every {_round_down(interval)}, or {alternative}"


def _round_down(seconds: float) -> str:
    """Return a duration that people would write in a config, not above `seconds`."""
    unit = _rounding_unit(seconds)
    return format_duration(round(seconds // unit * unit, 2))


def _round_up(seconds: float) -> str:
    """Return a duration that people would write in a config, not below `seconds`."""
    unit = _rounding_unit(seconds)
    # Not one unit more because of the error of a division.
    return format_duration(round(ceil(round(seconds / unit, 6)) * unit, 2))


def _rounding_unit(seconds: float) -> float:
    return 60 if seconds >= 120 else 1 if seconds >= 2 else 0.1 if seconds >= 0.2 else 0.01
