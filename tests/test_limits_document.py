"""The table of limits in docs/security.md has each limit in the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.config.schema import ProbeModel
from probe.prober.evaluation_worker import memory_limit_bytes
from tools.limits_table import LIMITS, NOT_LIMITS, security_with_limits

PROBE = Path(__file__).parents[1] / "probe"
# Names of constants that are limits. The simulations of `slo` and the demo serve no one.
LIMIT_NAME = re.compile(r"_?MAX_\w+|(?:REQUEST|WRITE|IDLE)_TIMEOUT_SECONDS|KEEP_ALIVE_SECONDS")
LEFT_OUT = ("demo", "slo")


def constants() -> Iterator[str]:
    """Yield `module:NAME` for each constant that looks like a limit."""
    for path in sorted(PROBE.rglob("*.py")):
        module = ".".join(path.relative_to(PROBE).with_suffix("").parts)
        if module.startswith(LEFT_OUT):
            continue
        for node in ast.parse(path.read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Name) and LIMIT_NAME.fullmatch(target.id):
                    yield f"{module}:{target.id}"


def test_each_constant_is_in_the_table() -> None:
    """A new limit needs a row in `tools.limits_table`, or a reason why it has none."""
    documented = {constant for limit in LIMITS for constant in limit.constants}
    found = set(constants())
    assert found - documented - set(NOT_LIMITS) == set()
    assert set(NOT_LIMITS) <= found - documented


def test_each_row_shows_its_values() -> None:
    """A row has a place for each of its constants, and names a key that exists."""
    for limit in LIMITS:
        assert limit.value.count("{}") == len(limit.constants), limit.what
        assert ("{default}" in limit.value) is (limit.key is not None), limit.what
        assert limit.key is None or limit.key in ProbeModel.model_fields


def test_a_changed_constant_changes_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has the values of the code, so `tools.generate` shows a change."""
    document = "<!-- limits -->\n<!-- end of limits -->"
    assert "| 16 KiB |" in security_with_limits(document)
    monkeypatch.setattr("probe.server.limits.MAX_HEADER_BYTES", 17 * 1024)
    assert "| 17 KiB |" in security_with_limits(document)


def test_the_description_of_max_bytes_has_the_memory_limit() -> None:
    """The config does not import the worker process, whose limit depends on this key."""
    base_bytes = memory_limit_bytes(0)
    factor = memory_limit_bytes(1) - base_bytes
    description = ProbeModel.model_fields["max_bytes"].description
    assert f"{base_bytes // 1024**2} MiB of memory and {factor} times" in str(description)
