"""The code of another git revision, for comparisons with the current one."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def extract(revision: str, directory: Path) -> Path:
    """Write the packages of a git revision to the new `directory`, and return that.

    Raises subprocess.CalledProcessError if there is no such revision.
    """
    directory.mkdir()
    archive = subprocess.run(
        ("git", "archive", revision, "probe", "bench", "config", "rules"),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    subprocess.run(("tar", "-x"), cwd=directory, input=archive.stdout, check=True)
    return directory
