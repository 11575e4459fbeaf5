"""What an exported script does: the request of a probe, and the steps, limits and objectives."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from probe import __version__
from probe.config.choices import ConnectionMode
from probe.config.response_settings import Condition
from probe.config.secrets import Reference, Template
from probe.config.settings import Probe
from probe.config.units import format_number
from probe.load.arrivals import Arrivals
from probe.load.objective import LoadObjective
from probe.result import Signal

# Steps start after this time, in addition to the timeout, so that no request of the step before is
# in flight.
DRAIN_RESERVE_SECONDS = 1.0

_VARIABLE = re.compile(r"\{\{(nonce|now|sequence)\}\}")

# A regular expression that matches itself only.
_LITERAL = re.compile(r"[^\\.^$*+?{}\[\]|()]+")


@dataclass(frozen=True, slots=True)
class ExportStep:
    """Requests at one rate (per second). `name` consists of letters, digits and `_`."""

    name: str
    rate: float


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """A load test with fixed steps, to be written as a script for another program.

    `rates` are requests per second. Requests of the first `warm_up_seconds` of a step do not count.
    `max_error_ratio` is the largest share of failures in a step.
    """

    probe: Probe
    rates: Sequence[float]
    step_seconds: float
    objectives: Sequence[LoadObjective]
    max_error_ratio: float | None
    arrivals: Arrivals
    max_in_flight: int
    warm_up_seconds: float = 0.0

    @property
    def steps(self) -> tuple[ExportStep, ...]:
        return tuple(
            ExportStep(f"step_{number}_at_{format_number(rate).replace('.', '_')}_per_s", rate)
            for number, rate in enumerate(self.rates, start=1)
        )

    @property
    def pause_seconds(self) -> float:
        """Time between two steps, in which all requests of the first one end."""
        return self.probe.timeout + DRAIN_RESERVE_SECONDS

    def objectives_on(self, signals: Collection[Signal]) -> tuple[LoadObjective, ...]:
        """Return the objectives on these signals.

        Of several with the same threshold, the one with the highest target is sufficient.
        """
        strictest: dict[tuple[Signal, float | None], LoadObjective] = {}
        for objective in sorted(self.objectives, key=lambda objective: objective.target):
            if objective.signal in signals:
                strictest[objective.signal, objective.threshold_seconds] = objective
        return tuple(objective for objective in self.objectives if objective in strictest.values())

    def unmeasured_signals(self, signals: Collection[Signal]) -> tuple[Signal, ...]:
        """Return the signals of objectives that are not among these."""
        unmeasured = {objective.signal for objective in self.objectives} - {*signals}
        return tuple(signal for signal in Signal if signal in unmeasured)

    @property
    def statuses(self) -> tuple[tuple[int, int], ...]:
        """Expected status codes, as ranges with both ends."""
        patterns = [pattern.text for pattern in self.probe.expect.status]
        return tuple(
            (int(text[0]) * 100, int(text[0]) * 100 + 99)
            if text.endswith("x")
            else (int(text), int(text))
            for text in patterns
        )

    @property
    def is_new_connection(self) -> bool:
        """Whether each request opens a connection."""
        return self.probe.connection is ConnectionMode.NEW

    @property
    def is_https(self) -> bool:
        """Whether requests may use TLS."""
        return self.probe.may_need_tls

    @property
    def headers(self) -> Mapping[str, str | Template]:
        """The headers of the request, with the defaults of a probe."""
        headers: dict[str, str | Template] = {
            "User-Agent": f"inference-probe/{__version__}",
            "Accept": "*/*",
            "Connection": "close" if self.is_new_connection else "keep-alive",
        }
        if self.probe.json_body is not None and not (self.probe.body or self.probe.body_file):
            headers["Content-Type"] = "application/json"
        configured = {name.lower() for name in self.probe.headers}
        defaults = {name: headers[name] for name in headers if name.lower() not in configured}
        return {**defaults, **self.probe.headers}

    @property
    def variables(self) -> frozenset[str]:
        """Names of the variables in the body. A file is sent as it is."""
        if self.probe.body_file:
            return frozenset()
        texts = _texts(self.probe.body or self.probe.json_body)
        return frozenset(name for text in texts for name in _VARIABLE.findall(text))

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The references in the request, without repetitions, in the order of their names.

        The proxy has references too, but only some scripts write it.
        """
        templates = [self.probe.url, *self.probe.headers.values()]
        if not self.probe.body_file:
            templates += _templates(self.probe.body or self.probe.json_body)
        found = {
            part for template in templates for part in template.parts if isinstance(part, Reference)
        }
        return tuple(sorted(found, key=str))

    @property
    def literal_body_match(self) -> str | None:
        """The text of `body_matches`, if it is a text without operators."""
        pattern = self.body_pattern
        return pattern if pattern and _LITERAL.fullmatch(pattern) else None

    @property
    def body_pattern(self) -> str | None:
        """`body_matches`, if it can be checked.

        Its text may be the value of a reference, and the text of a stream is in several events.
        """
        pattern = self.probe.expect.body_matches
        if not pattern or self.probe.stream or self._has_secret(pattern.text):
            return None
        return pattern.text

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """`expect.finish`, or nothing if it has the value of a reference."""
        reasons = self.probe.expect.finish
        return () if any(map(self._has_secret, reasons)) else reasons

    @property
    def header_values(self) -> Mapping[str, tuple[str, ...] | None]:
        """Conditions on headers: the allowed values by lower-case name. None allows any value."""
        conditions = self.probe.expect.headers.items()
        return {
            name.lower(): _allowed_values(condition)
            for name, condition in conditions
            if self._is_exportable(condition)
        }

    @property
    def unchecked_headers(self) -> tuple[str, ...]:
        """Names of headers with a condition that `header_values` does not have."""
        conditions = self.probe.expect.headers.items()
        return tuple(name for name, condition in conditions if not self._is_exportable(condition))

    def _is_exportable(self, condition: Condition) -> bool:
        operators = dict(condition.operators)
        if operators == {"exists": True}:
            return True
        values = _allowed_values(condition) or ()
        return (
            operators.keys() in ({"equals"}, {"in"})
            and all(isinstance(value, str) for value in values)
            and not any(self._has_secret(value) for value in values)
        )

    def _has_secret(self, text: str) -> bool:
        return any(secret in text for secret in self.probe.expect.secrets if secret)


def _allowed_values(condition: Condition) -> tuple[Any, ...] | None:
    if "equals" in condition.operators:
        return (condition.operators["equals"],)
    return condition.operators.get("in")


def _templates(body: Any) -> list[Template]:
    """Return the templates in a body at any depth."""
    if isinstance(body, Template):
        return [body]
    if isinstance(body, Mapping):
        return [template for item in body.values() for template in _templates(item)]
    if isinstance(body, (list, tuple)):
        return [template for item in body for template in _templates(item)]
    return []


def _texts(body: Any) -> list[str]:
    """Return all texts in a body, also its keys."""
    if isinstance(body, Template):
        return [part for part in body.parts if isinstance(part, str)]
    if isinstance(body, str):
        return [body]
    if isinstance(body, Mapping):
        return [*body, *(text for item in body.values() for text in _texts(item))]
    if isinstance(body, (list, tuple)):
        return [text for item in body for text in _texts(item)]
    return []
