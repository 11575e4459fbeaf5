"""docs/api.md lists exactly the fields of the API, and the actions with their status codes."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from probe.result import (
    BudgetKind,
    BudgetStatus,
    BudgetUse,
    Component,
    Phase,
    RedirectHop,
    Result,
    Spending,
    TokenCounts,
)
from probe.serialization import result_json
from probe.server.api import all_probes_json, one_probe_json
from probe.server.lifecycle import ReloadRejected, lifecycle_routes, status_json
from tests.builders import MEASURED_STREAM, make_result
from tests.docs.markdown import blocks, tables
from tests.server.page_fixtures import FAST, Site, lifecycle_of, overloaded, site_of, success

PAGE = Path(__file__).parents[1] / "docs/api.md"
FIELDS = ["field", "type"]
PAUSED = lifecycle_of(paused=lambda: True)
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
    """Serve a probe with a success and a failure."""
    with site_of(tmp_path, objectives=[FAST]) as site:
        site.add(**success(0.3))
        use = BudgetUse(kind=BudgetKind.TOKENS_PER_DAY, used=Decimal(5), limit=Decimal(9))
        site.budget = BudgetStatus(is_exhausted=False, uses=(use,))
        site.history.record(complete_result())
        yield site


def complete_result() -> Result:
    """Return a failure in which each field has a value."""
    redirect = RedirectHop(url="http://model/", status=307, phases={Phase.WAIT: 0.1})
    return replace(
        make_result(**overloaded()),
        due=datetime.now(UTC),
        server={Component.QUEUE: 0.01},
        hops=(redirect,),
        final_hop=redirect,
        certificate_not_after=2e9,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        payload="long",
        version="1.4",
        segment="blue",
        cold=True,
        spending=Spending(input=7, output=4, cached=3, estimated=False, cost=0.25, currency="USD"),
        stream=replace(
            MEASURED_STREAM, tokens=TokenCounts(input=7, output=4, cached=3, reasoning=0)
        ),
    )


def by_heading(
    all_probes: Object,
    one_probe: Object,
    on_demand: Object,
    once: Sequence[Object],
    status: Object,
) -> dict[str, Object | None]:
    """Return the object that each heading of the document describes.

    The arguments are the responses of `/api/v1/probes`, `/results` and `/probe`, the output of
    `once`, and the response of `/api/v1/status`.
    """
    (probe,), (failure, *_), (result,) = all_probes["probes"], one_probe["failures"], once
    (objective,) = probe["objectives"]
    return {
        "All probes": all_probes,
        "A probe": probe,
        "Last": probe["last"],
        "A budget": probe["budget"],
        "A limit": probe["budget"] and probe["budget"]["limits"][0],
        "An objective": objective,
        "Windows": objective["windows"],
        "Counts": objective["windows"]["5m"],
        "Quantiles": probe["latency_seconds"],
        "One probe": without({**all_probes, **probe}, one_probe),
        "A version": next(iter(one_probe["versions"]), None),
        "A half hour": one_probe["half_hours"][0],
        "A result": result,
        "More of a result": without(result, {**failure, **on_demand}),
        "A stream": result["stream"],
        "Spending": result["spending"],
        "A request": failure["landing"],
        "The daemon": status,
        "The config": status["config"],
    }


def without(known: Object, fields: Object) -> Object:
    return {name: value for name, value in fields.items() if name not in known}


def documented() -> dict[str, dict[str, str]]:
    """Return the type of each field in the document, by heading."""
    types: dict[str, dict[str, str]] = {}
    for heading, (head, *rows) in tables(PAGE):
        if head[:2] == FIELDS:
            types[heading] = {row[0].strip("`"): row[1] for row in rows}
    return types


def test_every_field_is_documented(site: Site) -> None:
    """Each field is in the table of its object, with its type, and no table has others."""
    history = site.history.snapshot("model")
    assert history
    all_probes = all_probes_json([history], PAUSED)
    documents = (
        {**all_probes, "probes": list(all_probes["probes"])},
        one_probe_json(history, site.history.half_hours("model"), PAUSED, excerpts=True),
        site.get("/probe?name=model").json(),
        [result_json(complete_result())],
        status_json(lifecycle_of(paused=lambda: True)),
    )
    objects = by_heading(*json.loads(json.dumps(documents)))
    assert documented() == {
        heading: {name: TYPES[type(value)] for name, value in (fields or {}).items()}
        for heading, fields in objects.items()
    }


def test_examples_have_the_documented_fields() -> None:
    """The examples of the document have the fields of its tables."""
    examples = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    types = documented()
    for heading, fields in by_heading(*examples).items():
        assert fields is None or fields.keys() == types[heading].keys(), heading


ACTIONS = "Actions and health checks"


def actions() -> dict[str, list[str]]:
    """Return the other columns of the table of actions, by path."""
    (rows,) = [rows for heading, (_, *rows) in tables(PAGE) if heading == ACTIONS]
    return {path.strip("`"): columns for path, *columns in rows}


def test_actions_and_their_methods() -> None:
    """The table has the routes under `/-/`, with all methods that they accept."""
    routes = lifecycle_routes(lifecycle_of())
    assert {path: set(columns[0].split(", ")) for path, columns in actions().items()} == {
        route.path: route.methods for route in routes if route.path.startswith("/-/")
    }


def reject() -> str:
    raise ReloadRejected("mistakes")


def test_status_codes_of_actions(tmp_path: Path) -> None:
    """The table has the status codes of each action, unless they are those of all actions."""
    observed = defaultdict[str, set[int]](set)
    for fields in ({}, {"reload": reject}, {"scheduler_alive": lambda: False}):
        with site_of(tmp_path, lifecycle={"enabled": True, **fields}) as site:
            for path, columns in actions().items():
                response = requests.request(columns[0].split(", ")[0], site.url + path, timeout=10)
                observed[path].add(response.status_code)
    assert observed == {
        path: set(map(int, re.findall(r"\b([1-5]\d\d):", columns[-1])))
        for path, columns in actions().items()
    }
