"""`status`: a table of the running daemon's probes, objectives and failures."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from probe.cli.daemon_client import DaemonClient, NotFoundError
from probe.cli.status import STATES, _objective_cells, _read_status, _state_cell
from probe.server.summary import ProbeState
from tests.commands import Running, invoke, running
from tests.servers import respond_with, serve

pytestmark = pytest.mark.timing

REFUSING = "http://127.0.0.1:1/"
UP = {"name": "up", "target": "99.9%"}
FAST = {"name": "fast", "target": "99%", "latency": "20ms"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a daemon with a good, a slow, a dead and a new probe, until each has results."""
    directory = tmp_path_factory.mktemp("status")
    with serve(respond_with()) as good, serve(respond_with(delay=0.05)) as slow:
        probes = [
            {"name": "new", "url": good, "interval": "1h", "startup_grace": "10m"},
            {"name": "good", "url": good, "objectives": [{**FAST, "latency": "4s"}, UP]},
            {"name": "slow/one", "url": slow, "objectives": [FAST]},
            {"name": "dead", "url": REFUSING, "objectives": [UP]},
        ]
        defaults = {"interval": "200ms", "startup_grace": "0s"}
        (directory / "probe.yml").write_text(
            yaml.safe_dump({"defaults": defaults, "probes": probes})
        )
        with running("--web.enable-lifecycle", cwd=directory) as daemon:
            end = time.monotonic() + 30
            while '"last":null' in daemon.get("/api/v1/probes").text.partition('"good"')[2]:
                assert time.monotonic() < end
                time.sleep(0.05)
            yield daemon


def status(daemon: Running, *arguments: str) -> str:
    done = invoke("status", f"--daemon.url={daemon.url}", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_table(daemon: Running) -> None:
    """Probes with a problem come first, columns are aligned, and each objective has a row."""
    lines = status(daemon).splitlines()
    assert re.fullmatch(rf"inference-probe \S+ at {daemon.url}", lines[0])
    assert re.fullmatch(r"config: loaded \S+ \S+ UTC", lines[1])
    head, dead, slow, new, good, good_up = lines[3:9]
    assert re.match(
        r"dead +failed \(refused\) +\d+ s ago {20,}up: 99.9 % +missed 0 %.* spent", dead
    )
    assert re.match(r"slow/one +slow .* fast: 99 % < 20 ms +missed 0 %.* spent", slow)
    assert re.match(r"new +pending \(failures count in [\d mins]+\)", new)
    assert re.match(r"good +ok .* fast: 99 % < 4 s +met 100 %.* +100 % \(\d+ results?\)$", good)
    assert re.match(r" +up: 99.9 % +met 100 %.* +100 % \(\d+ results?\)$", good_up)
    for row in (dead, slow, good, good_up):
        for column in ("OBJECTIVE", "5M", "BUDGET"):
            assert row[head.index(column) - 2 : head.index(column)] == "  "
            assert row[head.index(column)] != " "


def test_states() -> None:
    """The states are sorted as in the pages."""
    assert tuple(ProbeState) == STATES


def test_failures(daemon: Running) -> None:
    """Without names the last failure of each probe is shown, with a name its latest ones."""
    every = status(daemon).partition("LATEST FAILURES")[2].splitlines()[1:]
    assert [re.split(" {2,}", line)[1:3] for line in every] == [["dead", "refused"]]
    end = time.monotonic() + 30
    while (text := status(daemon, "dead")).count(" dead ") < 3:
        assert time.monotonic() < end, text
    assert "good" not in text


def test_json(daemon: Running) -> None:
    """`--output=json` has the objects of the API."""
    document = json.loads(status(daemon, "slow/one", "--output=json"))
    assert list(document) == ["version", "standstill", "config", "probes", "failures"]
    (probe,) = document["probes"]
    api = daemon.get("/api/v1/probes").json()["probes"]
    assert probe.keys() == api[0].keys()
    assert (probe["probe"], document["failures"]) == ("slow/one", [])


def test_a_pause_and_a_failed_reload(tmp_path: Path) -> None:
    """Both are shown above the table."""
    path = tmp_path / "probe.yml"
    path.write_text(f"probes: [{{name: a, url: '{REFUSING}'}}]")
    with running("--web.enable-lifecycle", f"--config.file={path}") as other:
        path.write_text("probes: 7")
        for action in ("pause", "reload"):
            requests.post(f"{other.url}/-/{action}", timeout=10)
        text = status(other)
    assert re.search(r"config: the last reload failed; the config loaded at .* is in effect", text)
    assert "Paused: no scheduled probes are started" in text


class FakeClient(DaemonClient):
    """A daemon that has removed the probe `b` after it has listed it."""

    def __init__(self) -> None: ...

    def request(self, _method: str, path: str, **_: float) -> str:  # type: ignore[override]
        if path == "/api/v1/status":
            return "{}"
        if path == "/api/v1/probes":
            probe = {"state": "failed", "last": {"reason": "refused"}, "objectives": []}
            return json.dumps({"probes": [{**probe, "probe": name} for name in "abc"]})
        if "/b/" in path:
            raise NotFoundError("has no such page")
        return json.dumps({"failures": [{"started": path}]})


def test_a_probe_that_is_removed_meanwhile() -> None:
    """Its failures are left out."""
    document = _read_status(FakeClient(), [])
    assert [failure["started"][15] for failure in document["failures"]] == ["c", "a"]


@pytest.mark.parametrize(
    ("state", "reason", "cell"),
    [
        ("paused", None, "paused"),
        ("over_budget", "refused", "over budget (refused)"),
        ("not_measured", "internal", "not measured (internal)"),
        ("never_answered", "startup", "never answered (failures count in 1 min 40 s)"),
        ("pending", None, "pending (failures count in 1 min 40 s)"),
    ],
)
def test_state_during_the_startup_grace(state: str, reason: str | None, cell: str) -> None:
    """The time until failures count is shown only where it explains the state."""
    last = {"reason": reason} if reason else None
    probe = {"state": state, "startup_seconds_left": 100.0, "last": last}
    assert _state_cell(probe) == cell


@pytest.mark.parametrize(
    ("good", "bad", "cells"),
    [
        (0, 8, ("missed 0 % (8 results)", "spent 20× (8 results)")),
        (0, 1, ("missed 0 % (1 result)", "spent 20× (1 result)")),
        (9, 10, ("missed 47.36 %", "spent 20× (19 results)")),
        (20, 0, ("met 100 %", "spent 20×")),
        (0, 0, ("no requests", "spent 20× (0 results)")),
    ],
)
def test_few_results(good: int, bad: int, cells: tuple[str, str]) -> None:
    """A statistic of few results has their number, as the pages show it in grey."""
    met = None if not good + bad else bad == 0
    window = {"good": good, "bad": bad, "met": met}
    objective = {
        "name": "up",
        "target": 0.95,
        "signal": "latency",
        "threshold_seconds": None,
        "budget_left": -19.0,
        "windows": {"5m": window, "kept": window},
    }
    assert tuple(_objective_cells(objective)) == ("up: 95 %", *cells)


def test_unknown_name(daemon: Running) -> None:
    """The message lists the probes."""
    done = invoke("status", f"--daemon.url={daemon.url}", "god")
    assert done.returncode == 2
    there_are = "there are: new, good, slow/one, dead"
    assert done.stderr == f"no probe 'god', did you mean good? {there_are}\n"

    other = invoke("status", f"--daemon.url={daemon.url}", "xyz")
    assert other.stderr == f"no probe 'xyz'; {there_are}\n"


def test_not_the_api() -> None:
    """JSON of another server, and no JSON, are exit code 1."""
    other = b'{"probes": [{"probe": "a", "state": "ok", "last": 5, "objectives": []}]}'
    for body in (b"[]", b"hello", b'{"probes": [{}]}', b'{"probes": {"a": 5}}', other):
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with serve(respond_with(reply)) as url:
            done = invoke("status", f"--daemon.url={url}")
        assert (done.returncode, done.stdout) == (1, "")
        assert "does not respond like inference-probe" in done.stderr
