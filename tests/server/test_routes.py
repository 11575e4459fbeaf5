"""The text of the documents of the API."""

import json
from typing import Any

import pytest

from probe.server.routes import _json_parts


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"probes": []},
        {"standstill": None, "probes": [{"probe": "ü", "url": 'a"b'}, {"probe": "b"}]},
        {"probe": "a", "phases": {"wait": {"p50": 0.5}}, "recent": [1, [2, 3]]},
    ],
)
def test_json(document: dict[str, Any]) -> None:
    """The parts are the text that `json.dumps` returns, and each item of a list is a part."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    assert "".join(_json_parts(document)) == text


def test_nan() -> None:
    """JSON has no NaN."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        "".join(_json_parts({"value": float("nan")}))
