"""Flags of the OTLP receivers."""

import argparse

import pytest

from probe.cli.command import UsageError
from probe.cli.otlp_flags import add_otlp_flags
from probe.cli.otlp_options import read_otlp_options
from probe.otlp.exporters import OtlpOptions


def options(*flags: str, **environ: str) -> OtlpOptions:
    parser = argparse.ArgumentParser()
    add_otlp_flags(parser, environ)
    return read_otlp_options(parser.parse_args(flags), environ)


def test_nothing_is_exported_by_default() -> None:
    """There are no receivers."""
    assert (options().metrics, options().traces) == (None, None)


@pytest.mark.parametrize(
    "url", ["http://prometheus:9090/api/v1/otlp", "http://prometheus:9090/api/v1/otlp/v1/metrics/"]
)
def test_paths_of_otlp_are_added(url: str) -> None:
    """Unless the URL has them."""
    metrics = options(f"--otlp.endpoint={url}").metrics
    assert metrics
    assert metrics.server.url == "http://prometheus:9090/api/v1/otlp/v1/metrics"


def test_traces_and_metrics() -> None:
    """Both have the credentials and the headers, and https has certificates."""
    found = options(
        "--otlp.endpoint=http://prometheus:9090/api/v1/otlp",
        "--otlp.traces-endpoint=https://collector:4318",
        "--otlp.username=ann",
        "--otlp.header=X-Scope-OrgID: team-a",
        "--otlp.interval=30s",
        INFERENCE_PROBE_OTLP_PASSWORD="secret",
    )
    assert found.interval_seconds == 30
    assert found.traces
    assert found.metrics
    assert found.traces.server.url == "https://collector:4318/v1/traces"
    assert found.traces.server.tls
    assert found.metrics.server.tls is None
    for receiver in (found.traces.server, found.metrics.server):
        assert receiver.authorization == "Basic YW5uOnNlY3JldA=="
        assert receiver.headers == {"X-Scope-OrgID": "team-a"}
        assert "secret" not in repr(receiver)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--otlp.endpoint=collector:4318", "write one such as http://collector:4318"),
        ("--otlp.traces-endpoint=http://a:b@c", "a URL with a password is visible"),
        ("--otlp.interval=15", "--otlp.interval: "),
        ("--otlp.interval=2m", "--otlp.interval: 2m is not between 1s and 1m; write 15s"),
    ],
)
def test_mistakes(flag: str, message: str) -> None:
    """The message names the flag, and says what to write."""
    with pytest.raises(UsageError) as caught:
        options(flag)
    assert message in str(caught.value)
    assert flag.partition("=")[0] in str(caught.value)
