"""Pure judges of an answer: what the config expects of it, and what it was."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from probe.measure import failure
from probe.measure.masking import NOTHING_SECRET, Mask
from probe.measure.observed import Observed, Unreadable, finder
from probe.settings.schema import Condition, Expect
from probe.vocabulary import Failure, Reason

SHOWN = 80
"""Characters of a value that is not as expected."""


class Judgement:
    """The expectations of one probe, ready to be held against an answer."""

    def __init__(self, expect: Expect) -> None:
        self._expect = expect
        self._json = tuple((path, finder(path), when) for path, when in expect.json_paths.items())

    def __call__(self, observed: Observed, mask: Mask = NOTHING_SECRET) -> Failure | None:
        """None when all is as expected, else the first thing that is not: anybody may read it,
        so the mask hides the secrets of the request.
        """
        if not self._expect.allows(observed.status):
            reason = failure.of_status(observed.status)
            return Failure(reason=reason, detail=f"the answer has the status {observed.status}")
        try:
            self._check(observed, mask)
        except _Unexpected as unexpected:
            return Failure(reason=Reason.ASSERTION, detail=str(unexpected))
        except Unreadable as error:
            detail = mask.cut(str(error), failure.LONGEST)
            return Failure(reason=Reason.ASSERTION, detail=detail)
        except RecursionError:
            return Failure(reason=Reason.ASSERTION, detail="the body's JSON is nested too deeply")
        return None

    def _check(self, observed: Observed, mask: Mask) -> None:
        for name, condition in self._expect.headers.items():
            value = observed.headers.get(name)
            found = [] if value is None else [_HeaderText(value)]
            _hold(condition, found, f"the header {name}", mask)
        pattern = self._expect.body_matches
        if pattern and not pattern.search(observed.content.decode(errors="replace")):
            raise _Unexpected(mask(f"the body does not match {pattern.pattern!r}"))
        for path, find, condition in self._json:
            _hold(condition, find(observed.document), path, mask)


class _Unexpected(Exception):
    """An expectation that does not hold, in words."""


class _HeaderText(str):
    """A header's value: its numbers are text, too; those of JSON are not."""


def _hold(condition: Condition, found: list[Any], where: str, mask: Mask) -> None:
    """Raise unless there is a value and every value that was found meets the condition."""
    if condition.exists is not None and condition.exists is not bool(found):
        raise _Unexpected(f"{where} is {'missing' if condition.exists else 'there'}")
    if condition.exists is False:
        return
    if not found:
        raise _Unexpected(f"{where} is missing")
    for value in found:
        _meet(condition, value, where, mask)


def _meet(condition: Condition, value: Any, where: str, mask: Mask) -> None:
    for operator, wanted in condition.operators.items():
        complaint = _COMPLAINTS[operator](value, wanted)
        if complaint:
            shown = mask.cut(json.dumps(value), SHOWN)
            raise _Unexpected(f"{where} is {shown}, {mask(complaint)}")


def _differs(value: Any, wanted: Any) -> str | None:
    return None if _same(value, wanted) else f"not {json.dumps(wanted)}"


def _is_none_of(value: Any, wanted: tuple[Any, ...]) -> str | None:
    fits = any(_same(value, one) for one in wanted)
    return None if fits else f"none of {json.dumps(list(wanted))}"


def _does_not_match(value: Any, wanted: re.Pattern[str]) -> str | None:
    text = value if isinstance(value, str) else json.dumps(value)
    return None if wanted.search(text) else f"which does not match {wanted.pattern!r}"


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
    "matches": _does_not_match,
    "exists": lambda _value, _wanted: None,  # it was found
    "min": _is_less,
    "max": _is_more,
}
