"""Health, reload, pause and resume, over real sockets."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import requests

from probe.clock import Clock
from probe.errors import ReloadRejected
from probe.history.history import History
from probe.server.app import create_app
from probe.server.server import Server, listen
from tests.server.lifecycles import lifecycle_of

Open = Callable[..., AbstractContextManager[str]]
ACTIONS = ("reload", "pause", "resume")


@contextmanager
def site(**handles: Any) -> Iterator[str]:
    """The URL of a daemon's `/-/`, with these handles."""
    listener = listen("127.0.0.1:0")
    app = create_app(
        lambda _: (b"", "text/plain"), dict, History(lambda: 0.0), lifecycle_of(**handles), Clock()
    )
    server = Server(app, listener, Clock())
    server.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/-/"
    finally:
        server.stop()


def _post(url: str, **headers: str) -> requests.Response:
    return requests.post(url, headers=headers, timeout=10)


@pytest.mark.parametrize("action", ACTIONS)
def test_closed_unless_asked_for(action: str) -> None:
    """Without --web.enable-lifecycle nobody can change anything, and is told how one could."""
    called: list[str] = []
    handles = {name: lambda: called.append("called") for name in ACTIONS}
    with site(enabled=False, **handles) as url:
        answer = _post(url + action)
    assert (answer.status_code, called) == (403, [])
    assert "--web.enable-lifecycle" in answer.text


@pytest.mark.parametrize("action", ACTIONS)
def test_who_stops_promises_nothing(action: str) -> None:
    """Nobody is told that a daemon runs, or will, that is on its way out."""
    called: list[str] = []
    with site(
        enabled=True, stopping=lambda: True, **{action: lambda: called.append(action)}
    ) as url:
        answer = _post(url + action)
    assert (answer.status_code, answer.text) == (503, "inference-probe is stopping\n")
    assert called == []


@pytest.mark.parametrize("action", ACTIONS)
def test_looking_changes_nothing(action: str) -> None:
    """GET, as of a crawler, is refused; POST and PUT, as Prometheus takes them, are done."""
    called: list[str] = []

    def act() -> str:
        called.append(action)
        return "done"

    with site(enabled=True, **{action: act}) as url:
        assert requests.get(url + action, timeout=10).status_code == 405
        assert called == []
        assert _post(url + action).status_code == 200
        assert requests.put(url + action, timeout=10).status_code == 200
    assert called == [action, action]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", ""]
)
@pytest.mark.parametrize("action", ACTIONS)
def test_pages_of_other_sites(action: str, origin: str) -> None:
    """A browser that posts for a page is refused; for curl, it is done."""
    called: list[str] = []

    def act() -> str:
        called.append(action)
        return "done"

    with site(enabled=True, **{action: act}) as url:
        assert _post(url + action, Origin=origin).status_code == 403
        assert called == []
        assert _post(url + action).status_code == 200
    assert called == [action]


def test_a_name_that_becomes_ours() -> None:
    """A page of a site whose name was made to lead here has our origin, and is refused as well."""
    evil = {"Host": "evil.example:10115", "Origin": "http://evil.example:10115"}
    with site(enabled=True) as url:
        assert _post(url + "pause", **evil).status_code == 403
        assert _post(url + "pause", Origin=url.removesuffix("/-/")).status_code == 403
        assert _post(url + "pause", Origin="null", Host="").status_code == 403


@pytest.mark.parametrize("asked_by", ["cross-site", "same-site", "same-origin", "", "None"])
def test_browsers_that_name_no_origin(asked_by: str) -> None:
    """What a browser says of a request that a page has made is enough to refuse it."""
    with site(enabled=True) as url:
        assert _post(url + "pause", **{"Sec-Fetch-Site": asked_by}).status_code == 403
        assert _post(url + "pause", **{"Sec-Fetch-Site": "none"}).status_code == 200


def test_problems_are_told() -> None:
    """A reload that is refused is an error, with each problem on its line."""

    def reload() -> str:
        raise ReloadRejected("probe.yml:3:5: first\nprobe.yml:9:1: second")

    with site(enabled=True, reload=reload) as url:
        answer = _post(url + "reload")
    assert answer.status_code == 500
    assert answer.text.splitlines()[1:] == ["probe.yml:3:5: first", "probe.yml:9:1: second"]


def test_a_scheduler_that_hangs() -> None:
    """Is not healthy, but ready all the same: it listens, and its config is valid."""
    with site(scheduler_alive=lambda: False) as url:
        answer = requests.get(url + "healthy", timeout=10)
        assert (answer.status_code, "scheduler has stopped" in answer.text) == (503, True)
        assert requests.get(url + "ready", timeout=10).status_code == 200


def test_the_moment_after_a_stop() -> None:
    """Asked right after SIGCONT, before the scheduler has had its turn, it waits for it."""
    beats = iter([False, True])
    with site(scheduler_alive=lambda: next(beats)) as url:
        assert requests.get(url + "healthy", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        ({"paused": lambda: True}, "Paused: no probes are started until POST /-/resume."),
        ({"stopping": lambda: True}, "Stopping: no more probes are started."),
        ({"scheduler_alive": lambda: False}, "The scheduler has stopped: no probes run."),
    ],
)
def test_a_standstill_is_seen(handle: dict[str, Any], words: str) -> None:
    """A page of results that were good before a pause does not pretend that all is well."""
    with site(**handle) as url:
        root = url.removesuffix("/-/")
        assert words in requests.get(f"{root}/", timeout=10).text
        assert requests.get(f"{root}/api/v1/probes", timeout=10).json()["standstill"] == words
    with site() as url:
        root = url.removesuffix("/-/")
        assert "✗" not in requests.get(f"{root}/", timeout=10).text
        assert requests.get(f"{root}/api/v1/probes", timeout=10).json()["standstill"] is None
