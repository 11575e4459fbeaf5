"""What `once` prints for people, letter for letter."""

from datetime import UTC, datetime
from typing import Any

import pytest

from probe.cli import waterfall
from probe.result import Component, Phase, Reason, RedirectHop, Result
from tests.builders import result_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86_400


def drawn(*results: Result, encoding: str = "utf-8") -> str:
    return waterfall.render_waterfall(results, now=NOW, encoding=encoding)


def phases(**milliseconds: float) -> dict[Phase, float]:
    return {Phase(name): time / 1000 for name, time in milliseconds.items()}


def success(**more: Any) -> Result:
    """A probe of an https URL, 100 ms in all."""
    said = {
        "phases": phases(dns=5, connect=10, tls=20, send=0, wait=60, receive=5),
        "status": 200,
        "clock": "kernel",
        "correction": 0.001234,
    }
    return result_of(**{**said, **more})


def test_a_success() -> None:
    """A bar starts where the last one ended, all of them are 40 columns; what took no time has
    none; what the server says stands below the wait, of which it is a part.
    """
    result = success(
        server={Component.COMPUTE: 0.0405, Component.QUEUE: 0.0101, Component.POSTPROCESS: 0.001},
        certificate_not_after=NOW.timestamp() + 41.5 * DAY,
    )

    assert (
        drawn(result)
        == """\
model: succeeded after 100.0 ms, status 200
    dns               5.000 ms  ██
    connect          10.000 ms    ████
    tls              20.000 ms        ████████
    send              0.000 ms
    wait             60.000 ms                ████████████████████████
      queue          10.100 ms
      compute        40.500 ms
      postprocess     1.000 ms
    receive           5.000 ms                                        ██
    correction        1.234 ms  not in the latency: the interpreter's
    certificate   expires 2026-04-12, in 41 days"""
    )


def test_a_failure() -> None:
    """Its reason for machines, the sentence for people, and the phases that were reached."""
    result = result_of(
        reason=Reason.CONNECT_TIMEOUT, phases=phases(dns=100, connect=4900), correction=0.0
    )

    assert (
        drawn(result)
        == """\
model: failed (connect_timeout) after 5000.0 ms
    as the test says
    dns             100.000 ms  █
    connect        4900.000 ms   ███████████████████████████████████████
    correction        0.000 ms  not in the latency: the interpreter's
    clock         the process's own, not the kernel's"""
    )


def test_a_failure_before_anything_happened() -> None:
    """Nothing to draw, and nothing to be said of clocks."""
    result = result_of(reason=Reason.INTERNAL, phases={})

    assert (
        drawn(result)
        == """\
model: failed (internal) after 0.0 ms
    as the test says"""
    )


def test_redirects() -> None:
    """Each request below its URL, on one scale; the server's own time is the last one's."""
    first, last = phases(connect=10, wait=20), phases(connect=10, wait=60)
    result = success(
        phases=phases(connect=20, wait=80),
        hops=(RedirectHop(url="http://a/", status=302, phases=first),),
        landing=RedirectHop(url="http://b/on", status=200, phases=last),
        server={Component.TOTAL: 0.055},
    )

    assert (
        drawn(result)
        == """\
model: succeeded after 100.0 ms, status 200
    http://a/: status 302
    connect          10.000 ms  ████
    wait             20.000 ms      ████████
    http://b/on: status 200
    connect          10.000 ms              ████
    wait             60.000 ms                  ████████████████████████
      total          55.000 ms
    correction        1.234 ms  not in the latency: the interpreter's"""
    )


def test_a_redirect_to_nowhere() -> None:
    """The last request has no status, and says so."""
    result = result_of(
        reason=Reason.REFUSED,
        phases=phases(connect=1, wait=3),
        hops=(RedirectHop(url="http://a/", status=302, phases=phases(wait=3)),),
        landing=RedirectHop(url="http://b/", status=None, phases=phases(connect=1)),
    )

    assert "    http://b/: no answer\n    connect           1.000 ms" in drawn(result)


def test_short_phases_are_seen() -> None:
    """One column at least, also at the very end, and no bar goes beyond the last."""
    lines = drawn(success(phases=phases(connect=0.001, wait=500, receive=0.001))).splitlines()

    bars = [line[32:] for line in lines[1:4]]
    assert bars == ["█", "█" * 40, " " * 39 + "█"]


def test_no_phase_took_any_time() -> None:
    """A clock may be coarse."""
    assert "connect           0.000 ms\n" in drawn(success(phases=phases(connect=0)))


@pytest.mark.parametrize(
    ("ignored", "words"),
    [
        (1, "    server        told 1 time that made no sense\n"),
        (2, "    server        told 2 times that made no sense\n"),
    ],
)
def test_times_that_made_no_sense(ignored: int, words: str) -> None:
    """Whoever maps the wrong unit finds out here."""
    assert words in drawn(success(server_ignored=ignored))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (30, "expires 2026-03-31, in 30 days"),
        (1.9, "expires 2026-03-03, in 1 day"),
        (0.4, "expires 2026-03-01, in 0 days"),
        (0, "expired 2026-03-01, 0 days ago"),
        (-3.5, "expired 2026-02-26, 3 days ago"),
    ],
)
def test_the_certificate(days: float, words: str) -> None:
    """Whole days that are left, or that it is too late."""
    result = success(certificate_not_after=NOW.timestamp() + days * DAY)

    assert drawn(result).endswith(f"    certificate   {words}")


def test_probes_stand_apart() -> None:
    """By an empty line."""
    one = drawn(success())

    assert drawn(success(), success()) == f"{one}\n\n{one}"


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "█"), ("cp437", "█"), ("latin-1", "#")])
def test_bars_for_every_terminal(encoding: str, bar: str) -> None:
    """Blocks where the output has them, else something that everybody has."""
    assert f"{bar * 24}\n" in drawn(success(), encoding=encoding)


def test_words_for_every_terminal() -> None:
    """A URL or an answer may hold what the output cannot say: it is escaped, and no error."""
    landing = RedirectHop(url="http://é€/", status=200, phases={})
    result = success(hops=(landing,), landing=landing)

    assert "http://é\\u20ac/" in drawn(result, encoding="latin-1")
    assert drawn(result, encoding="ascii").isascii()
