"""What exported scripts of k6 and Locust have in common."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probe.load.export_plan import ExportPlan
from probe.load.k6_script import render_k6
from probe.load.locust_script import render_locust
from probe.result import Signal
from tests.load.export_cases import (
    GOLDEN_FILES,
    SECRET,
    golden_scripts,
    make_plan,
    objective,
)

Render = Callable[[ExportPlan], str]


def comments(script: str) -> str:
    """Return the comments at the top of a script as one line."""
    lines = script[: script.index("\nimport")].splitlines()
    return " ".join(line.lstrip("/# ") for line in lines)


BOTH = pytest.mark.parametrize("render", [render_k6, render_locust])


@pytest.mark.parametrize("name", sorted(golden_scripts()))
def test_script_is_the_golden_file(name: str) -> None:
    """The scripts are those in tests/testdata/export; `tests.load.export_cases` writes them."""
    assert golden_scripts()[name] == (GOLDEN_FILES / name).read_text()


@BOTH
def test_values_of_references_are_in_no_script(render: Render, tmp_path: Path) -> None:
    """A script has the names of environment variables and files, and never their values."""
    (tmp_path / "key").write_text(f"{SECRET}-file\n")
    plan = make_plan(
        tmp_path,
        environ={"TOKEN": SECRET, "HOST": f"{SECRET}.example", "PROXY": f"http://{SECRET}:1"},
        url="http://${env:HOST}/predict?key=${file:key}",
        proxy="${env:PROXY}",
        headers={"X-Key": "${file:key}"},
        json={"nested": [{"token": "Bearer ${env:TOKEN}"}]},
        expect={"headers": {"x-echo": {"equals": "${env:TOKEN}"}}, "body_matches": "${env:TOKEN}"},
    )
    script = render(plan)
    assert SECRET not in script
    assert all(name in script for name in ('"TOKEN"', '"HOST"', '"key"'))
    assert "not checked: the header x-echo, `expect.body_matches`, because it" in comments(script)


@BOTH
def test_credentials_in_plain_text_are_announced(render: Render, tmp_path: Path) -> None:
    """A script with a credential says so at its top: the config has it as plain text."""
    plan = make_plan(tmp_path, url="http://me:pass@127.0.0.1:1/", headers={"X-Api-Key": "k-123"})
    assert "user and password of the URL, the header X-Api-Key" in comments(render(plan))


@BOTH
@pytest.mark.parametrize(
    ("keys", "note"),
    [
        ({"expect": {"json": {"$.ok": {"equals": True}}}}, "not checked: `expect.json`"),
        ({"expect": {"headers": {"x-a": {"min": 1}}}}, "not checked: the header x-a"),
        ({"redirects": 2}, "After a redirect"),
        ({}, "`networks` and `max_bytes` of the config have no effect"),
    ],
)
def test_what_is_lost_is_at_the_top(
    render: Render, keys: dict[str, Any], note: str, tmp_path: Path
) -> None:
    """The comments at the top of a script list what it does not preserve of this probe."""
    assert note in comments(render(make_plan(tmp_path, **keys)))


@pytest.mark.parametrize(
    ("render", "stream"),
    [
        (render_k6, {}),
        (render_locust, {"stream": {"format": "aws-event-stream", "content": ["$.x"]}}),
    ],
)
def test_objectives_that_cannot_be_measured_are_left_out(
    render: Render, stream: dict[str, Any], tmp_path: Path
) -> None:
    """An objective on the first token is not replaced by one on another time."""
    plan = make_plan(
        tmp_path,
        protocol={"openai-chat": {"model": "m", "prompt": "p"}},
        objectives=[objective(0.95, Signal.TIME_TO_FIRST_TOKEN, 0.25)],
        **stream,
    )
    script = render(plan)
    assert "Objectives on the time to first token are left out" in comments(script)
    assert "0.25" not in script


@BOTH
@pytest.mark.parametrize("name", ["x\u2028y", 'a"b', "a`$1", "*/ x", "a\nimport evil"])
def test_texts_of_the_config_cannot_break_out_of_comments(
    render: Render, name: str, tmp_path: Path
) -> None:
    """Each line of the comments is one: names of files and headers contain no line separator."""
    file = tmp_path / f"body{name.replace('/', '')}"
    file.write_text("{}")
    script = render(make_plan(tmp_path, body_file=file.name))
    head = script[: script.index("\nimport")]
    marker = "//" if render is render_k6 else "#"
    assert all(not line or line.startswith(marker) for line in head.splitlines())


def test_the_strictest_of_two_objectives_with_a_threshold_counts(tmp_path: Path) -> None:
    """Two objectives on the same time have one metric, with the higher target."""
    plan = make_plan(tmp_path, objectives=[objective(0.9), objective(0.99), objective(0.95)])
    assert plan.objectives_on([Signal.LATENCY]) == (objective(0.99),)


def test_scripts_of_locust_are_python(tmp_path: Path) -> None:
    """All optional parts of a script are valid Python."""
    for keys in (
        {"url": "https://h/", "tls": {"server_name": "model", "min_version": "TLS13"}},
        {"proxy": "http://u:p@proxy:3128", "connection": "reuse", "redirects": 3},
        {"body": "{{now}} {{sequence}} {{nonce}}", "expect": {"body_matches": r"a\d"}},
        {"method": "DELETE", "ip_family": "4", "expect": {"status": [200, "4xx"]}},
    ):
        ast.parse(render_locust(make_plan(tmp_path, **keys)))
