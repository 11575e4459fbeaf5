"""Options of the whole test suite.

The default run leaves out the tests marked `full`: those that need minutes, install other programs
or repeat a test with a second generation of Prometheus. `--full` runs exactly those.

Tests marked `timing` compare measured times with a bound, or wait for another program. A process
that waits for the CPU for too long fails such a test, so it is run up to three times more. The
summary lists them.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="run the long tests, which the default run leaves out, instead of the others",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: a long test, run with --full only")
    config.addinivalue_line("markers", "timing: depends on times, run again if it fails")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that this run is not for, and run the end-to-end tests first.

    An end-to-end test takes a minute, most of it waiting. Started last, it would keep one process
    busy after all others have finished.
    """
    full = config.getoption("--full")
    for item in items:
        if item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.flaky(reruns=3, reruns_delay=2))
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        is_full = item.get_closest_marker("full") is not None
        (chosen if is_full == full else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
    items[:] = sorted(chosen, key=lambda item: "e2e" not in item.path.parts)
