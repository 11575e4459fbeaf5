"""Simple JSON queries, which need no library, and those of the library."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.prober.cpu_budget import CpuBudget
from probe.prober.json_query import compile_query
from probe.prober.jsonpath import compile_jsonpath

Find = Callable[[Any, CpuBudget], list[Any]]

NAMES = ("a", "b_1", "_", "true", "null", "and", "length")
QUOTED_NAMES = (*NAMES, "", "0", "-1", "a b", "a.b", "x-y")
INDEXES = (0, 1, 2, -1, -3, 999_999_999)

steps = st.one_of(
    st.sampled_from(NAMES).map(lambda name: f".{name}"),
    st.sampled_from(QUOTED_NAMES).map(lambda name: f"['{name}']"),
    st.sampled_from(QUOTED_NAMES).map(lambda name: f'["{name}"]'),
    st.sampled_from(INDEXES).map(lambda index: f"[{index}]"),
)
paths = st.lists(steps, max_size=4).map(lambda parts: "$" + "".join(parts))
documents = st.recursive(
    st.sampled_from((None, True, 0, 1.5, "a", "")),
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.dictionaries(st.sampled_from(QUOTED_NAMES), values, max_size=3),
    ),
    max_leaves=6,
)


def find_within(find: Find, document: Any, checks: int) -> Any:
    """Return the values, or "exceeded" if `find` checks its budget more than `checks` times."""
    clock = count()
    try:
        return find(document, CpuBudget(checks + 1, clock.__next__))
    except TimeoutError:
        return "exceeded"


@given(paths, documents, st.integers(0, 5))
def test_simple_paths_find_what_the_library_finds(path: str, document: Any, checks: int) -> None:
    """With the same checks of the budget, so that both exceed it at the same value."""
    library, query = compile_jsonpath(path), compile_query(path)
    assert find_within(query, document, checks) == find_within(library, document, checks)


@given(st.text("$.[]'\"ab-01* \\\n\u00e9?:,", max_size=8).map("${}".format), documents)
def test_any_path_finds_what_the_library_finds(path: str, document: Any) -> None:
    """Paths that are not simple are the library's."""
    try:
        library = compile_jsonpath(path)
    except Exception:  # noqa: BLE001 (the config rejects such paths)
        return
    assert compile_query(path)(document, CpuBudget()) == library(document, CpuBudget())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", [{"a": [{"b c": 1}, 2]}]),
        ("$.a[0]['b c']", [1]),
        ('$["a"][-1]', [2]),
        ("$.a[2]", []),
        ("$.a.b", []),
        ("$[0]", []),
        ("$..b", []),
        ("$.a[*]", [{"b c": 1}, 2]),
    ],
)
def test_values(path: str, expected: list[Any]) -> None:
    document = json.loads('{"a": [{"b c": 1}, 2]}')
    assert compile_query(path)(document, CpuBudget()) == expected
