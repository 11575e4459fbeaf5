"""Which differences between configs require a new prober, and the connections of probers."""

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.clock import Clock
from probe.config.child_loader import ChildProcessLoader
from probe.daemon.prober_factory import ProberFactory
from probe.http.pool import MAX_IDLE_PER_ORIGIN
from tests.builders import make_settings
from tests.raw_servers import Server, delayed, http_response

HTTPS = {"name": "model", "url": "https://127.0.0.1:1/"}
HTTP = {"name": "model", "url": "http://127.0.0.1:1/"}


def fingerprint(
    directory: Path, probe: dict[str, Any], bundle: Path | None = None, **top: Any
) -> object:
    """Return the fingerprint of `probe`; `bundle` is the CA file named by the environment."""
    environ = {"SSL_CERT_FILE": str(bundle)} if bundle else {}
    factory = ProberFactory(environ=environ, base=directory, clock=Clock())
    return factory.fingerprints(make_settings(directory, probe, **top))["model"]


def test_an_equal_config_is_no_change(tmp_path: Path) -> None:
    """Reading the same config twice gives the same fingerprint."""
    probe = HTTP | {"json": {"a": [1, True, None]}}
    assert fingerprint(tmp_path, probe) == fingerprint(tmp_path, probe)


def test_an_equal_config_of_another_process(tmp_path: Path) -> None:
    """Each reload validates the config in another process. Equal values have equal fingerprints."""
    secrets = {f"SECRET_{number}": f"secret-{number}" * 2 for number in range(6)}
    pattern = "|".join(f"${{env:{name}}}" for name in secrets)
    path = tmp_path / "probe.yml"
    probe = HTTP | {"expect": {"body_matches": f"ok|fine|{pattern}"}}
    path.write_text(yaml.safe_dump({"probes": [probe]}))
    factory = ProberFactory(environ=secrets, base=tmp_path, clock=Clock())
    loads = [ChildProcessLoader().load(path, environ=secrets) for _ in range(3)]
    assert len({str(factory.fingerprints(load)) for load in loads}) == 1


def test_similar_probes(tmp_path: Path) -> None:
    """A fingerprint does not depend on the other probes, which may share values with the probe."""
    factory = ProberFactory(environ={}, base=tmp_path, clock=Clock())
    probes = [HTTP | {"name": f"{n}", "labels": {"n": f"{n}"}} for n in range(4)]
    together = factory.fingerprints(make_settings(tmp_path, *probes))

    assert len(set(map(str, together.values()))) == 4
    for probe in probes:
        alone = factory.fingerprints(make_settings(tmp_path, probe))
        assert alone.items() <= together.items()


def test_own_values_change_the_fingerprint(tmp_path: Path) -> None:
    """URL and labels are a part of it, and the values of other keys as well."""
    changes: list[dict[str, Any]] = [
        {},
        {"url": "http://127.0.0.1:2/"},
        {"labels": {"a": "b"}},
        {"timeout": "1s"},
    ]
    assert len({str(fingerprint(tmp_path, HTTP | keys)) for keys in changes}) == len(changes)


def test_networks_change_each_probe(tmp_path: Path) -> None:
    """The network policy is part of the prober."""
    networks = {"deny": ["10.0.0.0/8"]}
    assert fingerprint(tmp_path, HTTP) != fingerprint(tmp_path, HTTP, networks=networks)


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0)])
def test_values_that_differ_in_json_only(tmp_path: Path, old: Any, new: Any) -> None:
    """They are equal in Python, but in a body and in an assertion they are a change."""
    body, assertion = (
        [fingerprint(tmp_path, HTTP | keys(value)) for value in (old, new)]
        for keys in (
            lambda value: {"json": {"a": [value]}},
            lambda value: {"expect": {"json": {"$.a": {"equals": value}}}},
        )
    )
    assert body[0] != body[1]
    assert assertion[0] != assertion[1]


@pytest.mark.parametrize(("probe", "changed"), [(HTTPS, True), (HTTP, False)])
def test_a_renewed_bundle(tmp_path: Path, probe: dict[str, Any], changed: bool) -> None:
    """New content of the CA file is a change for https, although the config is the same."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("old")
    before = fingerprint(tmp_path, probe, bundle)
    bundle.write_text("new")
    assert (fingerprint(tmp_path, probe, bundle) != before) is changed


@pytest.mark.timing
def test_the_limit_of_idle_connections(tmp_path: Path) -> None:
    """A load test has as many connections as requests in flight, and uses all of them again."""
    server = Server(delayed(0.3, http_response()))
    probe = {"url": server.url(), "name": "model", "connection": "reuse"}
    factory = ProberFactory(
        environ={}, base=tmp_path, clock=Clock(), max_idle_connections=MAX_IDLE_PER_ORIGIN + 2
    )
    compiled = factory.build(make_settings(tmp_path, probe), ["model"])["model"]
    try:
        for _ in range(2):
            threads = [
                threading.Thread(target=compiled.prober.run, args=(0,))
                for _ in range(MAX_IDLE_PER_ORIGIN + 2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        compiled.close()
        server.close()

    assert server.connections == MAX_IDLE_PER_ORIGIN + 2
