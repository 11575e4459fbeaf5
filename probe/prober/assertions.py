"""Pure judges of an answer: what the config expects of it, and what it was."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from probe.config.regex import TimedRegex
from probe.config.schema import Condition, Expect
from probe.credentials import CREDENTIAL_NAME
from probe.prober import classify
from probe.prober.cpu_budget import MAX_CPU_SECONDS, CpuBudget
from probe.prober.response import BodyDecodeError, JsonQuery, ProbeResponse, compile_query
from probe.redaction import MASK, NO_REDACTION, Redactor, redact_json, redact_location
from probe.result import Failure, Reason

MAX_SHOWN_CHARS = 80
"""Characters of a value that is not as expected."""

_TOO_LONG = f"takes too long, more than {MAX_CPU_SECONDS:g} s"


class Assertions:
    """The expectations of one probe, ready to be held against an answer."""

    def __init__(self, expect: Expect) -> None:
        self._expect = expect
        self._json = tuple(
            (path, compile_query(path), when) for path, when in expect.json_paths.items()
        )

    def __call__(self, observed: ProbeResponse, mask: Redactor = NO_REDACTION) -> Failure | None:
        """None when all is as expected, else the first thing that is not: anybody may read it,
        so the mask hides the secrets of the request and of what is expected.
        """
        if not self._expect.allows(observed.status):
            reason = classify.classify_status(observed.status)
            return Failure(reason=reason, detail=f"the answer has the status {observed.status}")
        try:
            self._check(observed, _Hearing(mask, CpuBudget()))
        except _Unexpected as unexpected:
            detail = classify.on_one_line(str(unexpected))
            return Failure(reason=Reason.ASSERTION, detail=detail)
        except BodyDecodeError as error:
            detail = mask.cut(str(error), classify.MAX_MESSAGE_CHARS)
            return Failure(reason=Reason.ASSERTION, detail=detail)
        except RecursionError:
            return Failure(reason=Reason.ASSERTION, detail="the body's JSON is nested too deeply")
        return None

    def _check(self, observed: ProbeResponse, hearing: "_Hearing") -> None:
        for name, condition in self._expect.headers.items():
            value = observed.headers.get(name)
            found = [] if value is None else [_HeaderText(value)]
            hearing.hold(condition, found, f"the header {name}")
        if self._expect.body_matches:
            text = observed.content.decode(errors="replace")
            hearing.search(self._expect.body_matches, text)
        for path, find, condition in self._json:
            hearing.hold(condition, hearing.find(find, observed.document, path), path)


class _Unexpected(Exception):
    """An expectation that does not hold, in words."""


class _HeaderText(str):
    """A header's value: its numbers are text, too; those of JSON are not."""


@dataclass(frozen=True, slots=True)
class _Hearing:
    """One answer before its judges, who have no more time than so much for it.

    What they raise is for anybody to read.
    """

    mask: Redactor
    patience: CpuBudget

    def search(self, pattern: TimedRegex, body: str) -> None:
        if not self._matches(pattern, body, "the body"):
            raise _Unexpected(f"the body {self._cut(_mismatch(pattern))}")

    def find(self, find: JsonQuery, document: Any, path: str) -> list[Any]:
        try:
            return find(document, self.patience)
        except TimeoutError:
            raise _Unexpected(f"looking for {path} in the body {_TOO_LONG}") from None

    def hold(self, condition: Condition, found: list[Any], where: str) -> None:
        """Raise unless there is a value and every value that was found meets the condition."""
        if condition.exists is not None and condition.exists is not bool(found):
            raise _Unexpected(f"{where} is {'missing' if condition.exists else 'there'}")
        if condition.exists is False:
            return
        if not found:
            raise _Unexpected(f"{where} is missing")
        for value in found:
            self._meet(condition, value, where)

    def _meet(self, condition: Condition, value: Any, where: str) -> None:
        for operator, wanted in condition.operators.items():
            complaint = self._complaint(operator, value, wanted, where)
            if complaint:
                raise _Unexpected(f"{where} is {self._shown(value, where)}, {self._cut(complaint)}")

    def _complaint(self, operator: str, value: Any, wanted: Any, where: str) -> str | None:
        if operator != "matches":
            return _COMPLAINTS[operator](value, wanted)
        text = value if isinstance(value, str) else json.dumps(value)
        return None if self._matches(wanted, text, where) else f"which {_mismatch(wanted)}"

    def _matches(self, pattern: TimedRegex, text: str, where: str) -> bool:
        try:
            return pattern.search(text, timeout=self.patience.left())
        except TimeoutError:
            what = self._cut(f'matching {where} with "{pattern.text}"')
            raise _Unexpected(f"{what} {_TOO_LONG}") from None

    def _shown(self, value: Any, where: str) -> str:
        """A value, unless it is what a server tells to none but its client."""
        if CREDENTIAL_NAME.search(where):
            return MASK
        if isinstance(value, _HeaderText):
            value = redact_location(where, value)
        return self.mask.cut(json.dumps(redact_json(value)), MAX_SHOWN_CHARS)

    def _cut(self, words: str) -> str:
        """Those of the config, in which somebody may expect a megabyte."""
        return self.mask.cut(words, classify.MAX_MESSAGE_CHARS)


def _mismatch(pattern: TimedRegex) -> str:
    return f'does not match "{pattern.text}"'


def _differs(value: Any, wanted: Any) -> str | None:
    return None if _same(value, wanted) else f"not {json.dumps(wanted)}"


def _is_none_of(value: Any, wanted: tuple[Any, ...]) -> str | None:
    fits = any(_same(value, one) for one in wanted)
    return None if fits else f"none of {json.dumps(list(wanted))}"


def _is_less(value: Any, least: float) -> str | None:
    number = _number(value)
    if number is None:
        return "not a number"
    return None if number >= least else f"less than {least:g}"


def _is_more(value: Any, most: float) -> str | None:
    number = _number(value)
    if number is None:
        return "not a number"
    return None if number <= most else f"more than {most:g}"


def _number(value: Any) -> float | None:
    """A JSON number, or a header's text that is one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, _HeaderText)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _same(value: Any, wanted: Any) -> bool:
    """Equality of JSON: true is not 1, at any depth, and 1 is 1.0."""
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[k], wanted[k]) for k in value)
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    return bool(value == wanted) and isinstance(value, bool) is isinstance(wanted, bool)


_COMPLAINTS: Mapping[str, Callable[[Any, Any], str | None]] = {
    "equals": _differs,
    "in": _is_none_of,
    "exists": lambda _value, _wanted: None,  # it was found
    "min": _is_less,
    "max": _is_more,
}
