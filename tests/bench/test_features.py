"""The benchmark of features: ratios, intervals, and the processes that it measures."""

from pathlib import Path

import pytest

from bench.features import (
    COMPARISONS,
    DEFAULT,
    MAX_TRACED_RATIO,
    SAME,
    Comparison,
    Ratio,
    Variant,
    compare,
    run_worker,
    write_config,
)
from bench.revision import ROOT
from tests.servers import respond_with, serve


def test_the_ratio_of_a_round_is_the_median_of_its_blocks() -> None:
    """Only measured variants are compared."""
    rounds = [
        {DEFAULT: [2.0, 2.0, 2.0], SAME: [3.0, 3.0, 9.0]},
        {DEFAULT: [4.0, 4.0, 4.0], SAME: [4.0, 4.0, 1.0]},
    ]
    (ratio,) = compare(rounds)
    assert ratio.comparison == COMPARISONS[0]
    assert ratio.rounds == [1.5, 1.0]
    assert ratio.median == 1.25


def test_a_missed_bound() -> None:
    comparison = Comparison(variant=SAME, baseline=DEFAULT, bound=MAX_TRACED_RATIO)
    assert Ratio(comparison=comparison, rounds=[1.0, 1.04, 2.0]).is_met
    assert not Ratio(comparison=comparison, rounds=[1.0, 1.06, 2.0]).is_met


def test_a_worker(tmp_path: Path) -> None:
    """It measures successful runs, and says why there are none."""
    variant = Variant(keys={}, sample="always")
    with (
        serve(respond_with()) as url,
        run_worker(write_config(tmp_path, variant, url), ROOT) as worker,
    ):
        assert 0 < worker.cpu_seconds(5) < 1
    with (
        pytest.raises(ChildProcessError),
        run_worker(write_config(tmp_path, variant, "http://127.0.0.1:1/"), ROOT) as worker,
    ):
        worker.cpu_seconds(5)
