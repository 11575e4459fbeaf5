"""Events that differ only in their text: see probe/prober/stream_template.py."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.http.stopwatch import Timestamp
from probe.http.stream import StreamEvent
from probe.prober.stream_paths import EventDocument, EventPath, EventPaths
from probe.prober.stream_template import EventTemplate, find_template

PATHS = EventPaths(
    [
        ("content", EventPath("$.choices[*].delta")),
        ("content", EventPath("$.type")),
        ("finish", EventPath("$.choices[*].finish")),
        ("finish", EventPath("b:$.name")),
    ]
)


def make_event(data: bytes, event_type: str = "") -> StreamEvent:
    return StreamEvent(data, event_type, False, Timestamp(1, 1), False)


def parse(event: StreamEvent) -> tuple[EventDocument, dict[str, list[Any]]]:
    """Return the JSON of an event, with the type of the reader, and its values."""
    value = json.loads(event.data)
    event_type = event.type
    if not event_type and isinstance(value, dict) and isinstance(value.get("type"), str):
        event_type = value["type"]
    document = EventDocument(event_type, value)
    return document, PATHS.find(document)


def template_of(data: bytes) -> EventTemplate | None:
    event = make_event(data)
    return find_template(event, *parse(event))


@pytest.mark.parametrize("text", ["b", "", " two words", "\u00fc\U0001f600", "\x7f"])
def test_other_text(text: str) -> None:
    data = '{"id": "x", "choices": [{"delta": "%s", "finish": null}]}'
    template = template_of((data % "a").encode())

    assert template
    assert template.find_text(make_event((data % text).encode())) == text


@pytest.mark.parametrize(
    "data",
    [
        b'{"id": "a", "choices": [{"delta": "a"}]}',
        b'{"choices":[{"delta":":"}]}',
        b'{"choices": [{"delta": "\\u0061"}], "id": "a"}',
        b'{"choices": [{"delta": "a"}, {"delta": "b"}]}',
        b'{"choices": [{"delta": "a", "finish": "stop"}]}',
        b'{"choices": [{"delta": ""}]}',
        b'{"choices": [{"delta": 1}]}',
        b'{"type": "a"}',
        b'[{"delta": "a"}]',
    ],
)
def test_ambiguous_text(data: bytes) -> None:
    """These events have no template: their place, or what else they say, is not certain."""
    assert template_of(data) is None


NOT_PLAIN = {
    "quote": b'"',
    "escape": b"\\n",
    "control character": b"\n",
    "not UTF-8": b"\xff",
    "surrogate": b"\xed\xa0\x80",
    "another value": b'", "finish": "stop',
}


@pytest.mark.parametrize("text", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_text_that_must_be_parsed(text: bytes) -> None:
    data = b'{"choices": [{"delta": "%s"}]}'
    template = template_of(data % b"a")

    assert template
    assert template.find_text(make_event(data % text)) is None


def test_other_events() -> None:
    """Another type, an error, and an event in which the parts of the template overlap."""
    data = b'{"choices": [{"delta": "a"}], "name": "n"}'
    template = template_of(data)

    assert template
    assert template.find_text(make_event(data, "b")) is None
    assert template.find_text(make_event(data)._replace(is_error=True)) is None
    assert template.find_text(make_event(template.before + template.after[1:])) is None


TEXTS = st.sampled_from(["a", "b", ":", ",", "ab", "type", "\u00fc", '"', "\n", ""])
CHOICE = st.fixed_dictionaries(
    {"delta": TEXTS}, optional={"finish": st.none() | TEXTS, "index": st.just(0)}
)
DOCUMENTS = st.fixed_dictionaries(
    {"id": TEXTS, "choices": st.lists(CHOICE, min_size=1, max_size=2)},
    optional={"type": TEXTS, "name": TEXTS},
)
STYLES = st.sampled_from(
    [
        {"separators": (",", ":"), "ensure_ascii": False},
        {"separators": (", ", ": "), "ensure_ascii": True},
    ]
)


@given(
    documents=st.tuples(DOCUMENTS, DOCUMENTS),
    text=TEXTS,
    types=st.tuples(*[st.sampled_from(["", "b"])] * 2),
    style=STYLES,
)
def test_values_are_those_of_the_parsed_event(
    documents: tuple[Any, Any], text: str, types: tuple[str, str], style: dict[str, Any]
) -> None:
    """The second event is any other one, or the first one with another text."""
    learned, other = (
        make_event(json.dumps(document, **style).encode(), event_type)
        for document, event_type in zip(documents, types, strict=True)
    )
    template = find_template(learned, *parse(learned))
    if template is None:
        return
    written = json.dumps(text, **style)[1:-1].encode()
    similar = make_event(template.before + written + template.after, types[1])

    for event in (other, similar):
        found = template.find_text(event)
        if found is not None:
            assert parse(event)[1] == {"content": [found]}
