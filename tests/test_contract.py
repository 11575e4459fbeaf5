"""Pins the public contract: what users' dashboards, scripts, configs and rules depend on.

The tests see the program only through its commands, HTTP and files, so that internals can change
freely. Each test compares one area with its golden file in `tests/testdata/contract/`:

- `metrics`: families, types, labels and buckets of a scrape in both formats
- `schema`: structure of config/probe.schema.json
- `commands`: flags, environment variables, defaults and positional arguments of each command
- `documents`: keys and types of the JSON of the API and of the commands
- `exit_codes`: exit code of each command, and the stream that it writes to
- `http`: status and media type of each path of the daemon
- `rules`: names, labels, waiting times and expressions of the rules

Values of samples, help texts, descriptions and annotations are not part of it.

After an intended change of the contract, write the golden files anew and review the difference:

    python -m tests.test_contract
"""

import difflib
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from probe.cli import main
from tests.commands import running
from tests.contract import ROOT, USER, Setup, started

PROTOCOL_CONFIG = """\
probes:
  - name: chat
    url: http://model
    protocol: {openai-chat: {model: m, prompt: hi}}
    headers: {Authorization: "Bearer key"}
"""
GOLDEN = Path(__file__).parent / "testdata" / "contract"
COMMANDS = tuple(name for name, _, _ in main.COMMANDS)

# Labels with a fixed set of values, which are pinned, too. Other values depend on the machine.
ENUM_LABELS = {
    "reason",
    "outcome",
    "phase",
    "component",
    "signal",
    "alert",
    "slo",
    "threshold",
    "budget",
}


def metrics(setup: Setup) -> Any:
    formats: dict[str, Callable[[str], Iterable[Any]]] = {
        "text/plain": read_text,
        "application/openmetrics-text": read_openmetrics,
    }
    scrapes = []
    for media_type, read in formats.items():
        headers = {"Accept": f"{media_type}; version=1.0.0"}
        response = requests.get(f"{setup.plain.url}/metrics", headers=headers, timeout=10)
        assert response.headers["Content-Type"].startswith(media_type)
        families = list(read(response.text))
        scrapes.append({f"{family.name} ({family.type})": _series(family) for family in families})
    text, openmetrics = scrapes
    assert text == openmetrics
    return text


def _series(family: Any) -> list[str]:
    """Return names and labels of the samples, with the bounds of buckets."""
    bounds: dict[str, list[str]] = {}
    for name, labels, *_ in family.samples:
        values = ((k, v if k in ENUM_LABELS else "*") for k, v in labels.items() if k != "le")
        series = f"{name}{{{', '.join(f'{k}={v}' for k, v in sorted(values))}}}"
        known = bounds.setdefault(series, [])
        known.extend({labels.get("le", "")} - {*known})
    return sorted(f"{series} {' '.join(known)}".strip() for series, known in bounds.items())


def schema(_: Setup) -> Any:
    document = json.loads((ROOT / "config" / "probe.schema.json").read_text())
    return _resolved(document, document["$defs"])


def _resolved(node: Any, definitions: Mapping[str, Any], *, by_name: bool = False) -> Any:
    """Return the schema without references and prose.

    `by_name` is true for a mapping whose keys are names instead of keywords.
    """
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if by_name:
        return {name: _resolved(value, definitions) for name, value in node.items()}
    if reference := node.get("$ref"):
        rest = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        return _resolved({**definitions[reference.removeprefix("#/$defs/")], **rest}, definitions)
    resolved = {
        keyword: value
        if keyword in {"default", "const", "enum"}
        else _resolved(value, definitions, by_name=keyword in {"properties", "patternProperties"})
        for keyword, value in node.items()
        if keyword not in {"$defs", "title", "description", "examples"}
    }
    if choices := resolved.get("anyOf"):  # alternatives of alternatives are one list
        flat = [x for y in choices for x in (y["anyOf"] if y.keys() == {"anyOf"} else [y])]
        resolved["anyOf"] = sorted(flat, key=lambda choice: json.dumps(choice, sort_keys=True))
    return resolved


def commands(setup: Setup) -> Any:
    pages = {name: setup.invoke(*name.split(), "--help")[1] for name in ("", *COMMANDS)}
    return {f"inference-probe {name}": _flags(page) for name, page in pages.items()}


def _flags(page: str) -> dict[str, object]:
    """Return the usage, and the variable and default of each flag. Metavars are not pinned."""
    usage = page.removeprefix("usage: inference-probe").partition("\n\n")[0]
    groups = re.findall(r"\[(?:[^\[\]]|\[[^\]]*\])*\]|\S+", usage)
    flags = {}
    for entry in re.split(r"^  (?=\S)", page, flags=re.MULTILINE):
        text = " ".join(entry.partition("\n\n")[0].split())
        if flag := re.match(r"(?:-h, )?(--[\w.-]+)", text):
            variable = re.search(r"\[(INFERENCE_PROBE_\w+)\]", text)
            default = re.search(r"\bdefault ([^\s,\[]+)(?=,| \[)", text)
            flags[flag[1]] = " = ".join(match[1] for match in (variable, default) if match)
    return {
        "usage": sorted(re.sub(r" [A-Z0-9][\w:-]*\]$", " VALUE]", group) for group in groups),
        "variable = default": flags,
        "subcommands": re.findall(r"^    (\w+)  ", page, re.MULTILINE),
    }


def documents(setup: Setup) -> Any:
    config, url, slo = f"--config.file={setup.config}", f"--url={setup.url}/ok", "--slo=99% < 500ms"
    invalid = _file(setup, "probes:\n  - name: 5\n    interval: 3\n")
    protocol = _file(setup, PROTOCOL_CONFIG, "protocol.yml")
    lines = {
        "once, successes": ["once", config, "redirect", "tls"],
        "once, a failure": ["once", config, "fail"],
        "check, valid, with advice": ["check", url, slo, "--interval=1h"],
        "check, a protocol": ["check", f"--config.file={protocol}"],
        "status": ["status", "fail", f"--daemon.url={setup.plain.url}"],
        "check, invalid": ["check", f"--config.file={invalid}"],
        "load": [
            "load",
            url,
            slo,
            "--rates=20",
            "--step-duration=2s",
            "--max-requests=130",
            "--arrivals=uniform",
        ],
    }
    lines["compare, measured now"] = [
        *("compare", "ok", "redirect", "--now", "--requests=20", "--rate=100/s"),
        config,
    ]
    variables = {"INFERENCE_PROBE_OUTPUT": "json"}  # has the effect of --output=json
    pages = {name: json.loads(setup.invoke(*line, **variables)[1]) for name, line in lines.items()}
    for side in "ab":
        # On a busy machine, some requests may be slow.
        pages["compare, measured now"][side]["reasons"] = {}
    paths = [
        "/api/v1/probes",
        "/api/v1/status",
        "/api/v1/none",
        "/probe?name=ok",
        "/probe?name=fail",
    ]
    paths += [f"/api/v1/probes/{name}/results" for name in ("fail", "redirect", "tls")]
    remote = {"Host": "probe.example"}  # a local client sees excerpts, which older failures lack
    pages |= {path: setup.plain.get(path, remote).json() for path in paths}
    requests.post(f"{setup.guarded.url}/-/pause", auth=USER, timeout=10)
    path = f"{setup.guarded.url}/api/v1/probes/fail/results"
    page = requests.get(path, auth=USER, timeout=10).json()
    newest, paused = page["failures"][0], page["standstill"]  # older ones may lack excerpts
    pages["newest failure, for a user"], pages["standstill, while paused"] = newest, paused
    requests.post(f"{setup.guarded.url}/-/resume", auth=USER, timeout=10)
    return {name: _types(page) for name, page in pages.items()}


def _types(value: Any, path: str = "") -> dict[str, str]:
    """Return the types of a JSON value by path; what some items of a list lack is `absent`."""
    if isinstance(value, dict):
        items = [_types(item, f"{path}.{key}") for key, item in value.items()]
        return {path: "object"} | {key: kind for types in items for key, kind in types.items()}
    if isinstance(value, list):
        items = [_types(item, f"{path}[]") for item in value]
        keys = {key for types in items for key in types}
        kinds = {key: {types.get(key, "absent") for types in items} for key in keys}
        return {path: "array"} | {key: " or ".join(sorted(kinds[key])) for key in keys}
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value):
        return {path: "instant"}
    names = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return {path: names[type(value)]}


def exit_codes(setup: Setup) -> Any:
    broken = f"--config.file={_file(setup, 'probes: []')}"
    absent = "--config.file=/does/not/exist.yml"
    ok, fail = f"--url={setup.url}/ok", f"--url={setup.url}/fail"
    advice = ["check", ok, "--interval=1h", "--slo=99% < 500ms"]
    lines = [["--version"], [], ["unknown"], ["once", ok], ["once", fail], ["check", ok]]
    lines += [advice, [*advice, "--strict"], ["check", broken, "--output=json"], ["rules"]]
    lines += [["rules", "--format=kubernetes"], ["rules", "--format=kubernetes", "--label=a"]]
    lines += [["rules", "--label=a=b"], ["demo", "--fault-for=2m"], ["demo", "--fault=no"]]
    lines += [["demo", "--model=no"], ["demo", "--fault=stall"]]
    lines += [["run", ok, "--web.listen-address=nowhere"], ["run", ok, "--log.level=loud"]]
    lines += [["run", ok, f"--web.config.file={setup.config}"], ["once", ok, "unknown"]]
    for command in ("status", "pause", "resume", "reload", "healthy"):
        urls = (setup.plain.url, setup.guarded.url, "http://127.0.0.1:1", "nowhere")
        lines += [[command, f"--daemon.url={url}"] for url in urls]
    for command in COMMANDS:
        lines += [[command, "--help"], [command, "--unknown"]]
    lines += [["load", ok], ["load", "--url=http://model", "--slo=99%"]]
    lines += [["compare", "a", "b"], ["compare", "a", "b", "--now", broken]]
    lines += [["compare", "a", "b", "--prometheus.url=http://127.0.0.1:1"]]
    for command in ("run", "check", "once", "load"):
        lines += [[command, broken], [command, absent], [command, ok, broken]]
        lines += [[command, "--name=n"], [command, "--config.file="]]
    codes = {}
    for line in lines:
        code, out, err = setup.invoke(*line)
        name = " ".join(line).replace(broken, "INVALID").replace(setup.url, "URL")
        name = name.replace(str(setup.config), "INVALID")
        name = name.replace(setup.plain.url, "PLAIN").replace(setup.guarded.url, "GUARDED")
        codes[name] = f"{code}{' stdout' * bool(out)}{' stderr' * bool(err)}"
    with running(f"--config.file={setup.config}") as daemon:
        codes["run, until SIGTERM"] = str(daemon.terminate())
    return codes


def _file(setup: Setup, text: str, name: str = "invalid.yml") -> Path:
    path = setup.config.parent / name
    path.write_text(text)
    return path


def http(setup: Setup) -> Any:
    lifecycle = ["/-/pause", "/-/resume", "/-/reload"]
    paths = ["/", "/metrics", "/probe?name=ok", "/api/v1/probes", "/api/v1/probes/ok/results"]
    paths += ["/api/v1/status"]
    paths += ["/probes/ok", "/-/healthy", "/-/ready", *lifecycle]
    missing = ["/probe", "/probe?name=none", "/probes/none", "/api/v1/probes/none/results"]
    missing += ["/none", "/api/none", "/-/none", "/metrics/"]
    calls = [("GET", path) for path in paths + missing]
    calls += [(method, path) for method in ("POST", "PUT", "HEAD") for path in paths]
    plain, guarded = setup.plain.url, setup.guarded.url
    statuses = {
        "plain": {f"{method} {path}": _status(method, plain + path) for method, path in calls},
        "with user and lifecycle": {
            f"{method} {path}": _status(method, guarded + path, auth=USER) for method, path in calls
        },
        "without a user": {path: _status("GET", guarded + path) for path in paths},
        "other": {
            "a body": _status("GET", f"{plain}/metrics", data=b"body"),
            "long headers": _status("GET", f"{plain}/metrics", headers={"X-Long": "h" * 17000}),
            "long URL": _status("GET", f"{plain}/metrics?{'q' * 9000}"),
            "wrong password": _status("GET", f"{guarded}/metrics", auth=("ann", "wrong")),
            "reload, from a page": _status(
                "POST", f"{guarded}/-/reload", auth=USER, headers={"Origin": "http://example.com"}
            ),
        },
    }
    valid = setup.config.read_text()
    try:
        setup.config.write_text("probes: []")
        statuses["other"]["reload, invalid"] = _status("POST", f"{guarded}/-/reload", auth=USER)
    finally:
        setup.config.write_text(valid)
    return statuses


def _status(method: str, url: str, **options: Any) -> str:
    response = requests.request(method, url, timeout=10, allow_redirects=False, **options)
    return f"{response.status_code} {response.headers.get('Content-Type', '').partition(';')[0]}"


def rules(setup: Setup) -> Any:
    flags = ("--format=kubernetes", "--namespace=n", "--label=a=b", "--label=c=d")
    prometheus = yaml.safe_load(setup.invoke("rules")[1])
    resource = yaml.safe_load(setup.invoke("rules", *flags)[1])
    groups = _groups(prometheus)
    assert _groups(resource.pop("spec")) == groups
    return {"prometheus": groups, "kubernetes": resource}


def _groups(document: Any) -> Any:
    """Return the groups: each rule in a line, with a hash of its expression."""
    for group in document["groups"]:
        for rule in group["rules"]:
            expression = " ".join(rule["expr"].split())
            rule["expr"] = hashlib.sha256(expression.encode()).hexdigest()[:16]
            rule.pop("annotations", None)
        group["rules"] = [json.dumps(rule, sort_keys=True) for rule in group["rules"]]
    return document


AREAS: dict[str, Callable[[Setup], Any]] = {
    area.__name__: area for area in (metrics, schema, commands, documents, exit_codes, http, rules)
}


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with started(tmp_path_factory.mktemp("contract")) as setup:
        yield setup


@pytest.mark.parametrize("area", AREAS)
def test_the_public_contract_is_unchanged(area: str, setup: Setup) -> None:
    golden = (GOLDEN / f"{area}.json").read_text()
    actual = _dump(AREAS[area](setup))
    difference = difflib.unified_diff(golden.splitlines(), actual.splitlines(), n=2, lineterm="")
    if actual != golden:
        pytest.fail("\n".join(difference), pytrace=False)


def _dump(document: Any) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def rewrite() -> None:
    """Write all golden files from the present behaviour."""
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, started(Path(directory)) as setup:
        for name, area in AREAS.items():
            (GOLDEN / f"{name}.json").write_text(_dump(area(setup)))


if __name__ == "__main__":
    rewrite()
