"""Health, reload, pause and resume, over real sockets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from probe import __version__
from probe.clock import Clock
from probe.history.history import History
from probe.metrics.daemon_info import ConfigState
from probe.server.app import create_app
from probe.server.lifecycle import ReloadRejected
from probe.server.server import Server, bind
from tests.server.page_fixtures import lifecycle_of

pytestmark = pytest.mark.timing

ACTIONS = ("reload", "pause", "resume")


@contextmanager
def site(**fields: Any) -> Iterator[str]:
    """Serve an application with these fields of Lifecycle, and yield the URL of its `/-/`."""
    listener = bind("127.0.0.1:0")
    app = create_app(
        lambda _: ((), "text/plain"), dict, History(lambda: 0.0), lifecycle_of(**fields), Clock()
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
def test_actions_are_disabled_by_default(action: str) -> None:
    """Without --web.enable-lifecycle an action gives 403, and the response names the flag."""
    called: list[str] = []
    actions = {name: lambda: called.append("called") for name in ACTIONS}
    with site(enabled=False, **actions) as url:
        response = _post(url + action)
    assert (response.status_code, called) == (403, [])
    assert "--web.enable-lifecycle" in response.text


@pytest.mark.parametrize("action", ACTIONS)
def test_a_stopping_daemon_rejects_actions(action: str) -> None:
    """While the daemon stops an action gives 503, and is not executed."""
    called: list[str] = []
    with site(
        enabled=True, stopping=lambda: True, **{action: lambda: called.append(action)}
    ) as url:
        response = _post(url + action)
    assert (response.status_code, response.text) == (503, "inference-probe is stopping\n")
    assert called == []


@pytest.mark.parametrize("action", ACTIONS)
def test_only_post_and_put_execute_an_action(action: str) -> None:
    """GET, such as by a crawler, is refused; POST and PUT are accepted, as in Prometheus."""
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
def test_requests_of_web_pages_are_rejected(action: str, origin: str) -> None:
    """A request with an `Origin` gives 403; without one, as curl sends it, it is accepted."""
    called: list[str] = []

    def act() -> str:
        called.append(action)
        return "done"

    with site(enabled=True, **{action: act}) as url:
        assert _post(url + action, Origin=origin).status_code == 403
        assert called == []
        assert _post(url + action).status_code == 200
    assert called == [action]


def test_dns_rebinding_is_rejected() -> None:
    """A site whose name resolves to the daemon's address has the daemon's origin: 403 as well."""
    evil = {"Host": "evil.example:10115", "Origin": "http://evil.example:10115"}
    with site(enabled=True) as url:
        assert _post(url + "pause", **evil).status_code == 403
        assert _post(url + "pause", Origin=url.removesuffix("/-/")).status_code == 403
        assert _post(url + "pause", Origin="null", Host="").status_code == 403


@pytest.mark.parametrize("fetch_site", ["cross-site", "same-site", "same-origin", "", "None"])
def test_sec_fetch_site_is_sufficient_to_reject(fetch_site: str) -> None:
    """A browser that sends no `Origin` is recognised by `Sec-Fetch-Site`."""
    with site(enabled=True) as url:
        assert _post(url + "pause", **{"Sec-Fetch-Site": fetch_site}).status_code == 403
        assert _post(url + "pause", **{"Sec-Fetch-Site": "none"}).status_code == 200


def test_a_rejected_reload_lists_its_problems() -> None:
    """A reload that changes nothing gives 500, with one problem per line."""

    def reload() -> str:
        raise ReloadRejected("probe.yml:3:5: first\nprobe.yml:9:1: second")

    with site(enabled=True, reload=reload) as url:
        response = _post(url + "reload")
    assert response.status_code == 500
    assert response.text.splitlines()[1:] == ["probe.yml:3:5: first", "probe.yml:9:1: second"]


def test_a_scheduler_that_has_stopped() -> None:
    """The daemon is not healthy, but ready: it listens, and its config is valid."""
    with site(scheduler_alive=lambda: False) as url:
        response = requests.get(url + "healthy", timeout=10)
        assert (response.status_code, "scheduler has stopped" in response.text) == (503, True)
        assert requests.get(url + "ready", timeout=10).status_code == 200


def test_health_check_waits_for_a_heartbeat() -> None:
    """Directly after SIGCONT, before the scheduler has run, the health check waits for it."""
    beats = iter([False, True])
    with site(scheduler_alive=lambda: next(beats)) as url:
        assert requests.get(url + "healthy", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"paused": lambda: True},
            "Paused: no scheduled probes are started until `inference-probe resume`.",
        ),
        ({"stopping": lambda: True}, "Stopping: no more probes are started."),
        ({"scheduler_alive": lambda: False}, "The scheduler has stopped: no probes run."),
    ],
)
def test_pages_show_why_no_probes_run(fields: dict[str, Any], reason: str) -> None:
    """A page with old results says that no probes run, and why; the API, too."""
    with site(**fields) as url:
        root = url.removesuffix("/-/")
        assert reason in requests.get(f"{root}/", timeout=10).text
        assert requests.get(f"{root}/api/v1/probes", timeout=10).json()["standstill"] == reason
    with site() as url:
        root = url.removesuffix("/-/")
        assert "✗" not in requests.get(f"{root}/", timeout=10).text
        assert requests.get(f"{root}/api/v1/probes", timeout=10).json()["standstill"] is None


def test_pages_show_a_failed_reload() -> None:
    """A page says that the config in effect is an older one, and since when it is in effect."""
    failed = ConfigState(1.5e9, reload_successful=False)
    with site(config_state=lambda: failed) as url:
        page = requests.get(url.removesuffix("-/"), timeout=10).text
    assert "The last reload of the config failed." in page
    assert "2017-07-14 02:40:00" in page


def test_status() -> None:
    """The status has the version, why no probes run, and the state of the config."""
    failed = ConfigState(1.5e9, reload_successful=False)
    with site(paused=lambda: True, config_state=lambda: failed) as url:
        status = requests.get(f"{url.removesuffix('-/')}api/v1/status", timeout=10).json()
    assert status["version"] == __version__
    assert status["standstill"].startswith("Paused")
    config = {"loaded": "2017-07-14T02:40:00.000Z", "last_reload_successful": False}
    assert status["config"] == config
