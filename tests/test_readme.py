"""What the README shows of a command is what the command says."""

import re
import textwrap
from pathlib import Path

import pytest

from probe.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The predictions are those for the config that is shown."""
    shown, predicted = (
        textwrap.dedent(block)
        for first in ("probes:", "sentiment: POST")
        for block in re.findall(rf"^    {first}.*\n(?:    .*\n)*", README, re.MULTILINE)
    )
    config = tmp_path / "probe.yml"
    config.write_text(shown)
    with pytest.raises(SystemExit, match="0"):
        main(["check", f"--config.file={config}"])
    assert capsys.readouterr().out.startswith(predicted)
