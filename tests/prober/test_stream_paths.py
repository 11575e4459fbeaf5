"""Paths in the JSON of events: see probe/prober/stream_paths.py."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.prober.stream_paths import EventDocument, EventPath, EventPaths

CHOICES = {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": None}}, {"index": 2}, 3]}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$", [CHOICES]),
        ("$.choices[*].delta.content", ["a", None]),
        ("$.choices[2].index", [2]),
        ("$.choices[3]", [3]),
        ("$.choices[4]", []),
        ("$.choices.delta", []),
        ("$[*]", []),
        ("delta:$.choices[3]", [3]),
        ("other:$.choices[3]", []),
    ],
)
def test_path(path: str, values: list[Any]) -> None:
    assert EventPath(path).find(EventDocument("delta", CHOICES)) == values


PATHS = st.builds(
    lambda prefix, steps: f"{prefix}${''.join(steps)}",
    st.sampled_from(["", "", "a:", "b:"]),
    st.lists(st.sampled_from([".a", ".b", "[*]", "[0]", "[1]"]), max_size=4),
)
VALUES = st.recursive(
    st.sampled_from([None, "", "text", 0, 1, False]),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("abc"), values, max_size=3)
    ),
)


@given(
    paths=st.lists(st.tuples(st.sampled_from(["first", "second"]), PATHS), max_size=8),
    event_type=st.sampled_from(["", "a", "c"]),
    value=VALUES,
)
@example(
    paths=[("first", "$[*].a"), ("first", "$[*].a[*].b"), ("second", "$[0]")],
    event_type="",
    value=[{"a": [{"b": "second"}]}, {"a": "first"}],
)
def test_one_walk_finds_what_each_path_finds(
    paths: list[tuple[str, str]], event_type: str, value: Any
) -> None:
    """The values of a key are in the order of its paths, without null."""
    document = EventDocument(event_type, value)
    expected: dict[str, list[Any]] = {}
    for key, path in paths:
        values = [found for found in EventPath(path).find(document) if found is not None]
        if values:
            expected.setdefault(key, []).extend(values)

    compiled = EventPaths((key, EventPath(path)) for key, path in paths)

    assert compiled.find(document) == expected
