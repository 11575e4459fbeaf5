"""The configs that come with the product, as Prometheus and Alertmanager read them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from probe.demo import files
from probe.shipped import shipped

from .observer import FACTOR


def check(*command: str, search_path: str) -> None:
    binary = shutil.which(command[0], path=search_path)
    if binary is None:
        pytest.fail(f"{command[0]} is not beside prometheus in {search_path}")
    done = subprocess.run(
        [binary, *command[1:]], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_config(tmp_path: Path, search_path: str) -> None:
    """Nothing wrong, says promtool, with the rules where the comment says that they belong."""
    (tmp_path / "rules").mkdir()
    shutil.copy(shipped("rules/inference-probe.rules.yml"), tmp_path / "rules")
    config = shutil.copy(shipped("config/prometheus.yml"), tmp_path)
    check("promtool", "check", "config", str(config), search_path=search_path)


def test_alertmanager_config(search_path: str) -> None:
    """Nothing wrong, says amtool."""
    config = shipped("config/alertmanager.yml")
    check("amtool", "check-config", str(config), search_path=search_path)


def test_shortened_rules(tmp_path: Path, search_path: str) -> None:
    """The rules with all durations divided are still rules."""
    rules = tmp_path / "rules.yml"
    rules.write_text(files.rules(FACTOR))
    check("promtool", "check", "rules", str(rules), search_path=search_path)
