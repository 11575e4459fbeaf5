"""SIGTERM and SIGINT before the daemon has started end `run` with the exit code 0."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.commands import COMMAND, environment

# Sends a signal to its own process while the imports of `run` begin, as on a slow machine.
STOP_IN_IMPORT = """
import os, sys
if os.environ.get("TEST_SIGNAL"):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "probe.cli.run":
                os.kill(os.getpid(), int(os.environ["TEST_SIGNAL"]))
    sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_the_imports_is_clean(number: int, tmp_path: Path) -> None:
    """No traceback, and no exit code of a killed process."""
    (tmp_path / "sitecustomize.py").write_text(STOP_IN_IMPORT)
    environ = environment({"TEST_SIGNAL": str(int(number))})
    environ["PYTHONPATH"] = f"{tmp_path}:{environ['PYTHONPATH']}"

    done = subprocess.run(
        [*COMMAND, "run", "--url=http://127.0.0.1:9/", "--web.listen-address=127.0.0.1:0"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "stopped before the daemon had started\n")
