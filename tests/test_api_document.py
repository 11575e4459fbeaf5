"""docs/api.md has the fields that the code gives, and no others."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from probe.result import Component, Phase, RedirectHop, Result
from probe.serialization import result_json
from probe.server.api import all_probes_json, one_probe_json
from tests.builders import result_of
from tests.docs.markdown import blocks, tables
from tests.server.page_fixtures import FAST, Site, answer, refusal, site_of

PAGE = Path(__file__).parents[1] / "docs/api.md"
FIELDS = ["field", "type"]
TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "list",
}

Object = Mapping[str, Any]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Of one probe, with a success and a failure."""
    with site_of(tmp_path, objectives=[FAST]) as site:
        site.add(**answer(0.3))
        site.history.record(rich())
        yield site


def rich() -> Result:
    """A failure that has all that a result can have."""
    asked = RedirectHop(url="http://model/", status=307, phases={Phase.WAIT: 0.1})
    return replace(
        result_of(**refusal()),
        due=datetime.now(UTC),
        server={Component.QUEUE: 0.01},
        hops=(asked,),
        final_hop=asked,
        certificate_not_after=2e9,
    )


def by_heading(
    told: Object, one: Object, asked: Object, once: Sequence[Object]
) -> dict[str, Object | None]:
    """The object that each heading describes, out of the answers of `/api/v1/probes`, `/results`
    and `/probe`, and the output of `once`.
    """
    (probe,), (failure, *_), (result,) = told["probes"], one["failures"], once
    (objective,) = probe["objectives"]
    return {
        "All probes": told,
        "A probe": probe,
        "Last": probe["last"],
        "An objective": objective,
        "Windows": objective["windows"],
        "Counts": objective["windows"]["5m"],
        "Quantiles": probe["latency_seconds"],
        "One probe": without({**told, **probe}, one),
        "A result": result,
        "More of a result": without(result, {**failure, **asked}),
        "A request": failure["landing"],
    }


def without(known: Object, told: Object) -> Object:
    return {name: value for name, value in told.items() if name not in known}


def documented() -> dict[str, dict[str, str]]:
    """The type of each field, by heading."""
    found: dict[str, dict[str, str]] = {}
    for heading, (head, *rows) in tables(PAGE):
        if head[:2] == FIELDS:
            found[heading] = {row[0].strip("`"): row[1] for row in rows}
    return found


def test_every_field_is_described(site: Site) -> None:
    """Each field is in the table of its object, with its type, and no table has another."""
    kept = site.history.snapshot("model")
    assert kept
    made = (
        all_probes_json([kept], "Paused."),
        one_probe_json(kept, "Paused.", excerpts=True),
        site.get("/probe?name=model").json(),
        [result_json(rich())],
    )
    given = by_heading(*json.loads(json.dumps(made)))
    assert documented() == {
        heading: {name: TYPES[type(value)] for name, value in (told or {}).items()}
        for heading, told in given.items()
    }


def test_the_examples_have_these_fields() -> None:
    """What is shown has the fields that are described."""
    told, one, asked, once = (
        json.loads(block.text) for block in blocks(PAGE) if block.language == "json"
    )
    described = documented()
    for heading, shown in by_heading(told, one, asked, once).items():
        assert shown is None or shown.keys() == described[heading].keys(), heading
