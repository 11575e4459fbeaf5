"""Print figures about the structure of the code: `python -m tools.structure`.

A module is a Python file in probe/, `__init__.py` included. Its length is its number of lines.
"""

import argparse
import subprocess
from pathlib import Path
from statistics import median

from tests.test_architecture import MODULES, PACKAGE, forbidden_imports
from tools.check_prose import ROOT, rejected_phrases


def figures() -> dict[str, str]:
    """Return the figures by name."""
    lengths = {path: len((PACKAGE / path).read_text().splitlines()) for path in MODULES}
    longest = max(lengths, key=lengths.__getitem__)
    direct = [path for path in MODULES if len(path.parts) == 1 and not path.stem.startswith("__")]
    forbidden = sum(len(forbidden_imports(path)) for path in MODULES)
    return {
        "modules in probe/": str(len(MODULES)),
        "median length": f"{median(lengths.values()):g} lines",
        "maximum length": f"{lengths[longest]} lines (probe/{longest})",
        "modules directly in probe/": f"{len(direct)} ({', '.join(path.stem for path in direct)})",
        "forbidden edges": str(forbidden),
        "rejected words": str(len(list(rejected_phrases()))),
        "tracked bytes": f"{sum(map(_size, _tracked_files())):,}",
    }


def _tracked_files() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in done.stdout.split("\0") if name]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main() -> None:
    argparse.ArgumentParser(
        "python -m tools.structure",
        description="Print figures about the structure of the code.",
    ).parse_args()
    for name, value in figures().items():
        print(f"{name:<28}{value}")


if __name__ == "__main__":
    main()
