"""Single values in the JSON of a response."""

from collections.abc import Iterable, Mapping
from typing import Any

from probe.prober.cpu_budget import CpuBudget
from probe.prober.json_query import JsonQuery
from probe.prober.response import BodyDecodeError, ProbeResponse
from probe.redaction import MAX_SECRET_CHARS

# Text, a number or a boolean, by the name of the config key.
Values = Mapping[str, Any]
NO_VALUES: Values = {}


def read_json(
    queries: Mapping[str, JsonQuery], response: ProbeResponse, budget: CpuBudget
) -> Values:
    """Return the values in the JSON of `response`; none if it is not JSON.

    Raises the error of `budget` unless it is a TimeoutError: values of that query are unknown.
    """
    values = {}
    for name, query in queries.items():
        try:
            values[name] = first_scalar(query(response.document, budget))
        except (BodyDecodeError, RecursionError, TimeoutError):
            continue
    return values


def first_scalar(values: Iterable[Any]) -> Any:
    """Return the first value that is text, a number or a boolean; None without one."""
    for value in values:
        if isinstance(value, str) and value:
            return value[:MAX_SECRET_CHARS]
        if isinstance(value, (bool, int, float)):
            return value
    return None
