"""The pages of a daemon with a history that the test defines."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests
from starlette.types import ASGIApp, Receive, Scope, Send

from probe.clock import Clock
from probe.config.settings import Probe
from probe.history.history import History
from probe.metrics.daemon_info import ConfigState
from probe.result import NO_BUDGET, Component, Excerpt, Phase, Reason
from probe.server.app import create_app
from probe.server.lifecycle import Lifecycle
from probe.server.links import PageLink, TraceUrl, no_trace_url
from probe.server.on_demand import OnDemandTarget
from probe.server.server import Server, bind
from tests.builders import make_result, make_settings

FAST = {"name": "fast", "target": "90%", "latency": "500ms"}
UP = {"name": "up", "target": "99%"}


class Site:
    """The history of some probes, by default with the objectives FAST and UP, and its pages."""

    def __init__(self, directory: Path, names: Sequence[str], keys: Mapping[str, Any]) -> None:
        self.now = 1000.0
        self.startup_seconds_left = 0.0
        self.budget = NO_BUDGET
        self.history = History(lambda: self.now)
        keys = {"url": "http://model:5000/predict", "objectives": [FAST, UP], **keys}
        self.probes: Sequence[Probe] = make_settings(
            directory,
            *(
                {"name": name}
                | {key: value(name) if callable(value) else value for key, value in keys.items()}
                for name in names
            ),
        ).probes
        for probe in self.probes:
            self.history.add_probe(probe, lambda: self.startup_seconds_left, lambda: self.budget)
        self.url = ""

    def add(self, probe: str = "model", *, seconds_ago: float = 0.0, **fields: Any) -> None:
        """Record a result with `fields` that started `seconds_ago` (wall clock)."""
        started = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        self.history.record(replace(make_result(probe=probe, **fields), started=started))

    def add_history(
        self, probe: str = "model", *, failing: bool = False, results: int = 120
    ) -> None:
        """Record a result each 10 s: failures, or successes with one slow and one failed result."""
        for step in range(results):
            fields = overloaded() if failing else typical_result(step)
            self.add(probe, seconds_ago=10.0 * (results - step), **fields)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **options)


def success(wait: float) -> dict[str, Any]:
    """Return the fields of a success with a `wait` phase of `wait` seconds."""
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


def typical_result(step: int) -> dict[str, Any]:
    """Return the fields of the result number `step`: successes, one of them slow, one failure."""
    if step == 90:
        return overloaded()
    return success(1.9 if step == 60 else 0.05 + step % 7 / 100)


def overloaded() -> dict[str, Any]:
    """Return the fields of a failure. The response would do harm if a page did not escape it."""
    return {
        "reason": Reason.OVERLOADED,
        "detail": "the response has the status 503",
        "status": 503,
        "latency": 0.02,
        "excerpt": Excerpt(
            headers={"Server": "<i>toy</i>", "Retry-After": "3"},
            body="<script>document.title = 'hacked'</script> no capacity",
        ),
    }


def lifecycle_of(**fields: Any) -> Lifecycle:
    """Return the Lifecycle of a healthy daemon without `--web.enable-lifecycle`, with `fields`."""
    defaults: dict[str, Any] = {
        "enabled": False,
        "scheduler_alive": lambda: True,
        "reload": lambda: "reloaded",
        "pause": lambda: None,
        "resume": lambda: None,
        "paused": lambda: False,
        "stopping": lambda: False,
        "config_state": lambda: ConfigState(1.8e9, reload_successful=True),
    }
    return Lifecycle(**{**defaults, **fields})


class _User:
    is_authenticated = True


def _authenticated(app: ASGIApp) -> ASGIApp:
    async def with_user(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "user": _User()}, receive, send)

    return with_user


@contextmanager
def site_of(
    directory: Path,
    *names: str,
    authenticated: bool = False,
    max_page_age_seconds: float = 0.0,
    lifecycle: Mapping[str, Any] = MappingProxyType({}),
    links: Sequence[PageLink] = (),
    trace_url: TraceUrl = no_trace_url,
    **keys: Any,
) -> Iterator[Site]:
    """Serve the pages of probes with these names (by default `model`) and config `keys`.

    A value of `keys` may be a function of the name. `lifecycle` are fields of Lifecycle.
    """
    site = Site(directory, names or ("model",), keys)
    targets = {probe.name: OnDemandTarget(run=make_result, interval=60) for probe in site.probes}
    app: ASGIApp = create_app(
        lambda _: (["# nothing\n"] * 200, "text/plain"),
        lambda: targets,
        site.history,
        lifecycle_of(**lifecycle),
        Clock(),
        links=links,
        trace_url=trace_url,
        max_page_age_seconds=max_page_age_seconds,
    )
    listener = bind("127.0.0.1:0")
    site.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(_authenticated(app) if authenticated else app, listener, Clock())
    server.start()
    try:
        yield site
    finally:
        server.stop()


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until `condition` returns a true value; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)
