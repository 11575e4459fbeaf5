"""Collects the texts of alerts as Alertmanager delivered them, for people to read.

All tests of a run write into build/alerts/texts.md: each alert with the test that caused it.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[2] / "build" / "alerts"

# Texts of one alert that a test keeps. They differ only in labels and numbers.
MAX_TEXTS = 2

# Texts by test and name of the alert.
_texts: dict[str, dict[str, list[str]]] = {}


def collect(alerts: Iterable[Mapping[str, Any]]) -> None:
    """Add the texts of `alerts`, in the form of Alertmanager's API, for the running test."""
    test = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
    names = _texts.setdefault(test, {})
    count = sum(map(len, names.values()))
    for alert in alerts:
        title = "{alertname} ({slo_severity})".format_map(alert["labels"])
        texts = names.setdefault(title, [])
        text = _text(alert)
        if len(texts) < MAX_TEXTS and text not in texts:
            texts.append(text)
    if sum(map(len, names.values())) > count:
        _write(test, names)


def _text(alert: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
    annotations = alert["annotations"]
    return "\n\n".join([f"`{labels}`", f"**{annotations['summary']}**", annotations["description"]])


def _write(test: str, names: Mapping[str, list[str]]) -> None:
    """Write the texts of `test`, and the file with those of all tests."""
    parts = DIRECTORY / "tests"
    parts.mkdir(parents=True, exist_ok=True)
    with (DIRECTORY / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sections = [
            f"### {title}\n\n" + "\n\n".join(texts) + "\n" for title, texts in sorted(names.items())
        ]
        name = re.sub(r"\W+", "-", test).strip("-")
        (parts / f"{name}.md").write_text(f"## {test}\n\n" + "\n".join(sections))
        texts = "\n".join(path.read_text() for path in sorted(parts.glob("*.md")))
        (DIRECTORY / "texts.md").write_text(f"# Texts of alerts\n\n{texts}")
