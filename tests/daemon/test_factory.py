"""What counts as a change of a probe."""

from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.daemon.factory import ProberFactory
from tests.builders import settings_of

SAFE = {"name": "model", "url": "https://127.0.0.1:1/"}
PLAIN = {"name": "model", "url": "http://127.0.0.1:1/"}


def fingerprint(
    directory: Path, probe: dict[str, Any], bundle: Path | None = None, **top: Any
) -> object:
    """What makes the probe what it is, where the environment names a bundle of authorities."""
    environ = {"SSL_CERT_FILE": str(bundle)} if bundle else {}
    factory = ProberFactory(environ=environ, base=directory, clock=Clock())
    return factory.fingerprints(settings_of(directory, probe, **top))["model"]


def test_the_same_again_is_no_change(tmp_path: Path) -> None:
    """However often it is read."""
    probe = PLAIN | {"json": {"a": [1, True, None]}}
    assert fingerprint(tmp_path, probe) == fingerprint(tmp_path, probe)


def test_other_networks_are_a_change(tmp_path: Path) -> None:
    """Of each probe: what may be connected to is asked when its connection is made."""
    networks = {"deny": ["10.0.0.0/8"]}
    assert fingerprint(tmp_path, PLAIN) != fingerprint(tmp_path, PLAIN, networks=networks)


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0)])
def test_what_json_tells_apart_is_a_change(tmp_path: Path, one: Any, other: Any) -> None:
    """In a body and in an expectation, though to Python they are equal."""
    sent, wanted = (
        [fingerprint(tmp_path, PLAIN | keys(value)) for value in (one, other)]
        for keys in (
            lambda value: {"json": {"a": [value]}},
            lambda value: {"expect": {"json": {"$.a": {"equals": value}}}},
        )
    )
    assert sent[0] != sent[1]
    assert wanted[0] != wanted[1]


@pytest.mark.parametrize(("probe", "changed"), [(SAFE, True), (PLAIN, False)])
def test_a_renewed_bundle_is_a_change(tmp_path: Path, probe: dict[str, Any], changed: bool) -> None:
    """Of a probe that needs it, though config and environment say the same."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("old")
    before = fingerprint(tmp_path, probe, bundle)
    bundle.write_text("new")
    assert (fingerprint(tmp_path, probe, bundle) != before) is changed
