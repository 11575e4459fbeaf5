"""Evaluation of a response against `expect`, except its status code."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.config.regex import TimedRegex
from probe.prober.cpu_budget import MAX_CPU_SECONDS, CpuBudget
from probe.prober.json_query import JsonQuery, compile_query
from probe.prober.response import BodyDecodeError, ProbeResponse, json_number, parse_number
from probe.redaction import (
    CREDENTIAL_NAME,
    MASK,
    MAX_MESSAGE_CHARS,
    NO_REDACTION,
    Redactor,
    redact_json,
    redact_location,
    to_one_line,
)
from probe.result import Failure, Reason

if TYPE_CHECKING:  # the worker process does not have the memory for the config's models
    from probe.config.response_settings import Expect

# Characters of an actual value in a detail.
MAX_VALUE_CHARS = 80

_TOO_LONG = f"takes more than {MAX_CPU_SECONDS:g} s of CPU time"

_ELLIPSIS = "..."

# The end of a text that was cut: the first half of an emoji (a surrogate), and a part of an escape.
_INCOMPLETE_ESCAPE = re.compile(
    r"(?<!\\)((?:\\\\)*)(?:\\ud[89ab][0-9a-f]{2})?(?:\\(?:u[0-9a-f]{0,3})?)?$"
)
_QUOTE = re.compile(r'(?<!\\)(?:\\\\)*"')

# Operators of a condition with their operands, such as {"min": 0.5}.
_Operators = Mapping[str, Any]


class Assertions:
    """The compiled `expect` of one probe. It can be pickled."""

    def __init__(self, expect: "Expect") -> None:
        self._header_conditions = tuple(
            (str(name), condition.operators) for name, condition in expect.headers.items()
        )
        self._body_pattern = expect.body_matches
        self._json_conditions = tuple(
            (str(path), compile_query(str(path)), condition.operators)
            for path, condition in expect.json_paths.items()
        )

    @property
    def needs_headers(self) -> bool:
        """Whether an assertion is about a header."""
        return bool(self._header_conditions)

    @property
    def needs_body(self) -> bool:
        """Whether an assertion is about the body."""
        return bool(self._body_pattern or self._json_conditions)

    def evaluate(
        self, response: ProbeResponse, budget: CpuBudget, redactor: Redactor = NO_REDACTION
    ) -> Failure | None:
        """Return the first assertion that fails, or None.

        Details are public: `redactor` must hide the secrets of the request and of `expect`.
        """
        try:
            self._evaluate(response, _AssertionChecker(redactor, budget))
        except _AssertionFailed as failed:
            return _failure(to_one_line(str(failed)))
        except BodyDecodeError as error:
            return _failure(redactor.truncate(str(error), MAX_MESSAGE_CHARS))
        except RecursionError:
            return _failure("the body's JSON is nested too deeply")
        return None

    def _evaluate(self, response: ProbeResponse, checker: "_AssertionChecker") -> None:
        for name, operators in self._header_conditions:
            value = response.headers.get(name.lower())
            values = [] if value is None else [_HeaderText(value)]
            checker.check_values(operators, values, f"the header {name}")
        if self._body_pattern:
            text = response.content.decode(errors="replace")
            checker.check_body(self._body_pattern, text)
        for path, query, operators in self._json_conditions:
            values = checker.query(query, response.document, path)
            checker.check_values(operators, values, path)


def _failure(detail: str) -> Failure:
    return Failure(reason=Reason.ASSERTION, detail=detail)


class _AssertionFailed(Exception):
    """An assertion does not hold. The message is for users."""


class _HeaderText(str):
    """Value of a header: its numbers are text, unlike those of JSON."""


@dataclass(frozen=True, slots=True)
class _AssertionChecker:
    """Checks one response within a CPU budget. Messages of its exceptions are redacted.

    `place` in the methods below is the part of the response that a value is from, for messages.
    """

    redactor: Redactor
    budget: CpuBudget

    def check_body(self, pattern: TimedRegex, body: str) -> None:
        """Raise unless `pattern` matches somewhere in `body`."""
        if not self._matches(pattern, body, "the body"):
            raise _AssertionFailed(f"the body {self._truncate(_no_match_message(pattern))}")

    def query(self, query: JsonQuery, document: Any, path: str) -> list[Any]:
        """Return the values at `path`."""
        try:
            return query(document, self.budget)
        except TimeoutError:
            raise _AssertionFailed(f"looking for {path} in the body {_TOO_LONG}") from None

    def check_values(self, operators: _Operators, values: list[Any], place: str) -> None:
        """Raise unless there is a value and every value meets the condition."""
        exists = operators.get("exists")
        if exists is not None and exists is not bool(values):
            raise _AssertionFailed(f"{place} is {'missing' if exists else 'present'}")
        if exists is False:
            return
        if not values:
            raise _AssertionFailed(f"{place} is missing")
        for value in values:
            self._check_value(operators, value, place)

    def _check_value(self, operators: _Operators, value: Any, place: str) -> None:
        try:
            self.budget.remaining()
        except TimeoutError:
            raise _AssertionFailed(f"checking the values of {place} {_TOO_LONG}") from None
        for operator, expected in operators.items():
            message = self._mismatch_message(operator, value, expected, place)
            if message:
                actual = self._public_value(value, place)
                raise _AssertionFailed(f"{place} is {actual}, {self._truncate(message)}")

    def _mismatch_message(self, operator: str, value: Any, expected: Any, place: str) -> str | None:
        """Return what is wrong with `value`, or None if the operator holds."""
        if operator != "matches":
            return _OPERATORS[operator](value, expected)
        text = value if isinstance(value, str) else json.dumps(value)
        if self._matches(expected, text, place):
            return None
        return f"which {_no_match_message(expected)}"

    def _matches(self, pattern: TimedRegex, text: str, place: str) -> bool:
        try:
            return self.budget.call(lambda timeout: pattern.search(text, timeout=timeout))
        except TimeoutError:
            activity = self._truncate(f'matching {place} with "{pattern.text}"')
            raise _AssertionFailed(f"{activity} {_TOO_LONG}") from None

    def _public_value(self, value: Any, place: str) -> str:
        """Return `value` as JSON, or a mask if `place` is named like a credential."""
        if CREDENTIAL_NAME.search(place):
            return MASK
        if isinstance(value, _HeaderText):
            value = redact_location(place, value)
        return self._truncate(json.dumps(redact_json(value)), MAX_VALUE_CHARS)

    def _truncate(self, text: str, max_chars: int = MAX_MESSAGE_CHARS) -> str:
        """Return `text` redacted. If it is longer than `max_chars`, it ends with an ellipsis.

        A quoted string that is cut keeps its closing quote.
        """
        if len(text) <= max_chars:
            return self.redactor(text)
        start = self.redactor.truncate(text, max_chars - len(_ELLIPSIS) - 1)
        start = _INCOMPLETE_ESCAPE.sub(r"\1", start)
        is_quoted = len(_QUOTE.findall(start)) % 2 == 1
        return start + _ELLIPSIS + ('"' if is_quoted else "")


def _no_match_message(pattern: TimedRegex) -> str:
    return f'does not match "{pattern.text}"'


def _not_equal(value: Any, expected: Any) -> str | None:
    return None if _json_equal(value, expected) else f"not {json.dumps(expected)}"


def _not_in(value: Any, options: tuple[Any, ...]) -> str | None:
    if any(_json_equal(value, option) for option in options):
        return None
    return f"none of {json.dumps(list(options))}"


def _below_min(value: Any, minimum: float) -> str | None:
    number = _to_number(value)
    if number is None:
        return "not a number"
    return None if number >= minimum else f"less than {minimum:g}"


def _above_max(value: Any, maximum: float) -> str | None:
    number = _to_number(value)
    if number is None:
        return "not a number"
    return None if number <= maximum else f"more than {maximum:g}"


def _to_number(value: Any) -> float | None:
    """Return the number of a JSON number or of a header's text, otherwise None."""
    return parse_number(value) if isinstance(value, _HeaderText) else json_number(value)


def _json_equal(value: Any, expected: Any) -> bool:
    """Compare JSON values: at any depth, true is not 1, and 1 is 1.0."""
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(
            _json_equal(value[key], expected[key]) for key in value
        )
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_json_equal, value, expected))
    return bool(value == expected) and isinstance(value, bool) is isinstance(expected, bool)


# Each function returns what is wrong with a value, or None.
_OPERATORS: Mapping[str, Callable[[Any, Any], str | None]] = {
    "equals": _not_equal,
    "in": _not_in,
    "exists": lambda _value, _expected: None,  # checked before, for all values together
    "min": _below_min,
    "max": _above_max,
}
