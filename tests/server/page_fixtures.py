"""Daemons' web sites with a past that a test makes up."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from starlette.types import ASGIApp, Receive, Scope, Send

from probe.clock import Clock
from probe.config.schema import Probe
from probe.history.history import History
from probe.result import Component, Excerpt, Phase, Reason
from probe.server.app import create_app
from probe.server.on_demand import OnDemandTarget
from probe.server.server import Server, listen
from tests.builders import result_of, settings_of
from tests.server.lifecycles import lifecycle_of

FAST = {"name": "fast", "target": "90%", "latency": "500ms"}
UP = {"name": "up", "target": "99%"}


class Site:
    """A served history of probes, all of them with the objectives `fast` and `up`."""

    def __init__(self, directory: Path, names: Sequence[str], keys: Mapping[str, Any]) -> None:
        self.now = 1000.0
        self.history = History(lambda: self.now)
        said = {"url": "http://model:5000/predict", "objectives": [FAST, UP], **keys}
        self.probes: Sequence[Probe] = settings_of(
            directory, *({"name": name, **said} for name in names)
        ).probes
        for probe in self.probes:
            self.history.set_probe(probe)
        self.url = ""

    def add(self, probe: str = "model", *, ago: float = 0.0, **how: Any) -> None:
        """Take in a result that started so many seconds ago (of the wall clock)."""
        started = datetime.now(UTC) - timedelta(seconds=ago)
        self.history.record(replace(result_of(probe=probe, **how), started=started))

    def live(self, probe: str = "model", *, failing: bool = False, results: int = 120) -> None:
        """A past of ten seconds' steps: all failing, or with a slow answer and a failure."""
        for step in range(results):
            ago = 10.0 * (results - step)
            if failing or step == 90:
                self.add(probe, ago=ago, **refusal())
            else:
                self.add(probe, ago=ago, **answer(1.9 if step == 60 else 0.05 + step % 7 / 100))

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **more)


def answer(wait: float) -> dict[str, Any]:
    """A success, by its phases, and the server's account of it."""
    return {
        "phases": {
            Phase.DNS: 0.002,
            Phase.CONNECT: 0.0011,
            Phase.SEND: 0.0001,
            Phase.WAIT: wait,
            Phase.RECEIVE: 0.003,
        },
        "server": {Component.QUEUE: wait / 5, Component.COMPUTE: wait / 2},
        "status": 200,
        "clock": "kernel",
    }


def refusal() -> dict[str, Any]:
    """A failure with an answer that would do harm if it were not escaped."""
    return {
        "reason": Reason.OVERLOADED,
        "status": 503,
        "latency": 0.02,
        "excerpt": Excerpt(
            headers={"Server": "<i>toy</i>", "Retry-After": "3"},
            body="<script>document.title = 'hacked'</script> no capacity",
        ),
    }


class _User:
    is_authenticated = True


def _logged_in(app: ASGIApp) -> ASGIApp:
    async def with_user(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "user": _User()}, receive, send)

    return with_user


@contextmanager
def site_of(directory: Path, *names: str, logged_in: bool = False, **keys: Any) -> Iterator[Site]:
    """A site of probes with these names (`model`, if none), until the end of the block."""
    site = Site(directory, names or ("model",), keys)
    targets = {one.name: OnDemandTarget(run=result_of, interval=60) for one in site.probes}
    app: ASGIApp = create_app(
        lambda _: (b"# nothing\n" * 200, "text/plain"),
        lambda: targets,
        site.history,
        lifecycle_of(),
        Clock(),
    )
    listener = listen("127.0.0.1:0")
    site.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(_logged_in(app) if logged_in else app, listener, Clock())
    server.start()
    try:
        yield site
    finally:
        server.stop()


def wait_until(true: Any, seconds: float = 15) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
