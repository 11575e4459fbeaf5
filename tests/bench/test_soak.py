"""What a soak is judged by."""

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan

import pytest

from bench import soak
from bench.protocol import markdown
from bench.samples import Buckets, Sample, Told, counted, quantile, read
from bench.soak_plot import Soak, growth, judge, lost
from bench.soak_targets import KINDS
from bench.workload import HISTORY

TOOK = 0.02


def _latency(count: int, median: float = TOOK) -> Buckets:
    return {median - 1e-4: 0, median + 1e-4: count, inf: count}


def _sample(at: float, *, resident: float = 60.0, median: float = TOOK, **told: object) -> Sample:
    """Of two probes, once a second, that are well."""
    count = int(at)
    said = Told(
        ticks={"tls-new-1": count, "hanging-2": count},
        unbalanced=(),
        in_flight=0,
        skipped={},
        failures={("hanging", "body_timeout"): count},
        latency=dict.fromkeys(KINDS, _latency(count, median)),
        lag={},
        correction={},
    )
    return Sample(
        asked=at,
        answered=at,
        resident=resident,
        threads=30,
        descriptors=40,
        told=replace(said, **told),  # type: ignore[arg-type]
    )


def _soak(samples: Sequence[Sample], *, unread: Sequence[str] = (), code: int = 0) -> Soak:
    return Soak(samples=samples, took=dict.fromkeys(KINDS, TOOK), unread=unread, code=code)


def _missed(soak: Soak) -> set[str]:
    return {verdict.claim for verdict in judge(soak) if not verdict.met}


def _table(soak: Soak) -> str:
    return markdown(soak, judge(soak), [], rate=2)


WELL = [_sample(at) for at in range(0, 1200, 5)]


def test_a_good_soak() -> None:
    """A daemon that stays as it is meets every bound, growth of three things among them."""
    verdicts = judge(_soak(WELL))
    assert all(verdict.met for verdict in verdicts)
    assert sum(verdict.claim.startswith("growth of") for verdict in verdicts) == 3


def test_short_soaks_say_nothing_of_growth() -> None:
    """As long as histories fill, memory may grow; the table says that this was not judged."""
    growing = [_sample(at, resident=60 + at / 10) for at in range(0, int(HISTORY), 5)]
    assert not _missed(_soak(growing))
    assert "not judged: too short" in _table(_soak(growing))
    assert "not judged: too short" in _table(_soak(WELL[: 600 // 5]))
    assert "not judged" not in _table(_soak(WELL[: 660 // 5]))


def test_what_draws_is_there_before_the_soak_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No twenty minutes come to nothing for want of a library."""
    monkeypatch.setattr(sys, "argv", ["bench.soak"])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert soak.main() == 2
    assert "matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize(("per_minute", "missed"), [(0.05, False), (0.3, True)])
def test_memory_that_grows(per_minute: float, missed: bool) -> None:
    """Among samples that scatter by 0.1 MB, 3 MB in ten minutes are seen, half a MB is allowed."""
    noise = random.Random(1)
    samples = [
        _sample(at, resident=60 + at / 60 * per_minute + noise.gauss(0, 0.1))
        for at in range(0, 1200, 5)
    ]
    assert ("growth of RSS in 10 min" in _missed(_soak(samples))) is missed


def test_growth_before_the_warm_up_is_over() -> None:
    """What is taken at the beginning and then kept is no growth."""
    samples = [_sample(at, resident=60 + min(at, 250) / 10) for at in range(0, 1200, 5)]
    assert not _missed(_soak(samples))


def test_descriptors_and_threads_that_grow() -> None:
    """One more each minute is a leak."""
    samples = [
        replace(one, threads=30 + at // 12, descriptors=40 + at // 12)
        for at, one in enumerate(WELL)
    ]
    assert _missed(_soak(samples)) == {
        "growth of threads in 10 min",
        "growth of descriptors in 10 min",
    }


def test_bursts_are_no_growth() -> None:
    """Threads that most samples of the second half have, and one in each minute does not."""
    samples = [
        replace(one, threads=30 + (50 if one.answered > 700 and one.answered % 60 else 0))
        for one in WELL
    ]
    assert not _missed(_soak(samples))


def test_growth_is_not_that_of_outliers() -> None:
    """A few samples far off, late in the run, change neither the slope nor the noise by much."""
    values = [10.0 + n / 10 for n in range(100)]
    values[90:95] = [500.0] * 5
    slope, noise = growth([6.0 * n for n in range(100)], values)
    assert slope == pytest.approx(10, rel=0.05)
    assert noise < 1


def test_one_lost_tick() -> None:
    """A tick that is never counted is found, though no two samples are whole seconds apart."""
    ticks = [(at := 1.3 * n, int(at) - (n > 50)) for n in range(100)]
    whole = [_sample(at, ticks={"one": int(at)}) for at, _ in ticks]
    short = [_sample(at, ticks={"one": count}) for at, count in ticks]
    assert lost(whole) == 0
    assert lost(short) == 1
    assert _missed(_soak(short)) == {"ticks lost"}


def test_guests_lose_nothing() -> None:
    """A probe that is removed, and one that comes later, lose no ticks by that."""
    samples = [
        _sample(0, ticks={"stays": 0, "goes": 0}),
        _sample(5, ticks={"stays": 5, "comes": 1}),
        _sample(10, ticks={"stays": 10, "comes": 6, "goes": 2}),
    ]
    assert lost(samples) == 0
    assert counted(samples) == 10 + 6 + 2


def test_a_ledger_that_does_not_balance() -> None:
    """One probe at one scrape is enough."""
    samples = [*WELL[:-1], _sample(1195, unbalanced=("hanging-2",))]
    assert _missed(_soak(samples)) == {"ledgers that do not balance"}


@pytest.mark.parametrize("by", [-0.0012, 0.0012])
def test_a_median_that_is_off(by: float) -> None:
    """By more than a millisecond, up or down."""
    samples = [_sample(0), *(_sample(at, median=TOOK + by) for at in range(5, 1200, 5))]
    assert _missed(_soak(samples)) == {"median latency, off by"}


def test_a_median_is_of_what_came_since_the_first_sample() -> None:
    """However slow it was before."""
    before = {TOOK: 0.0, 0.5: 0.0, 0.6: 9_000.0, inf: 9_000.0}
    after = {TOOK: 0.0, TOOK + 1e-4: 10.0, 0.5: 10.0, 0.6: 9_010.0, inf: 9_010.0}
    first = _sample(0, latency=dict.fromkeys(KINDS, before))
    last = _sample(1195, latency=dict.fromkeys(KINDS, after))
    assert not _missed(_soak([first, *WELL[1:-1], last]))


def test_whatever_else_goes_wrong() -> None:
    """A healthy probe that fails, a page that does not come, and an unclean end are told."""
    failed = _sample(1195, failures={("tls-new", "reset"): 1, ("hanging", "reset"): 9})
    assert _missed(_soak([*WELL[:-1], failed], unread=["/: status 500"], code=-9)) == {
        "failures of healthy probes",
        "pages that a reader did not get",
        "exit code after SIGTERM",
    }


PAGE = """
# TYPE inference_probe_ticks_total counter
inference_probe_ticks_total{probe="tls-new-1"} 7
inference_probe_ticks_total{probe="hanging-2"} 7
inference_probe_runs_total{probe="tls-new-1"} 6
inference_probe_runs_total{probe="hanging-2"} 4
inference_probe_in_flight{probe="tls-new-1"} 1
inference_probe_in_flight{probe="hanging-2"} 1
inference_probe_skipped_total{probe="tls-new-1",reason="late"} 0
inference_probe_skipped_total{probe="hanging-2",reason="late"} 1
inference_probe_failures_total{probe="hanging-2",reason="reset"} 4
inference_probe_failures_total{probe="hanging-2",reason="dns"} 0
inference_probe_latency_seconds_bucket{probe="tls-new-1",outcome="success",le="0.02"} 3
inference_probe_latency_seconds_bucket{probe="tls-new-1",outcome="success",le="+Inf"} 6
inference_probe_latency_seconds_bucket{probe="tls-new-1",outcome="failure",le="+Inf"} 9
inference_probe_schedule_lag_seconds_bucket{le="0.001"} 11
inference_probe_schedule_lag_seconds_bucket{le="+Inf"} 12
"""


def test_a_page_is_read() -> None:
    """One of two ledgers has a hole; successes, failures and histograms are where they belong."""
    told = read(PAGE)
    assert told.ticks == {"tls-new-1": 7, "hanging-2": 7}
    assert told.unbalanced == ("hanging-2",)
    assert (told.in_flight, told.skipped) == (2, {"late": 1})
    assert told.failures == {("hanging", "reset"): 4}
    assert told.latency["tls-new"] == {0.02: 3, inf: 6}
    assert told.lag == {0.001: 11, inf: 12}


def test_quantiles_of_buckets() -> None:
    """A quantile lies in its bucket where an even spread has it, and never beyond the last."""
    buckets = {0.01: 0, 0.02: 10, 0.03: 10, inf: 20}
    assert quantile(buckets, 0.25) == pytest.approx(0.015)
    assert quantile(buckets, 0.99) == 0.03
    assert isnan(quantile({0.01: 0, inf: 0}, 0.5))
