"""The plan of the house, held against the code."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "probe"

# Rooms from left to right. A room may import from its left, and from itself.
ROOMS = (
    (
        "probe",
        "vocabulary",
        "clock",
        "workers",
        "shipped",
        "outlet",
        "log",
        "memory",
        "signals",
        "slo",
    ),
    ("settings",),
    ("schedule",),
    ("measure",),
    ("record",),
    ("web",),
    ("advice", "plan", "plan_report", "waterfall", "prometheus_rule"),
    ("workshop",),
    ("station",),
    ("roster",),
    ("reload",),
    ("daemon",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
POSITION = {room: position for position, rooms in enumerate(ROOMS) for room in rooms}


def _room(module: str) -> str:
    """`probe.measure.prober` is in the room `measure`, `probe` itself in `probe`."""
    return [*module.split("."), "probe"][1] if "." in module else "probe"


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "probe":
            found += [f"probe.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return [name for name in found if name == "probe" or name.startswith("probe.")]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "demo" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_to_the_left(path: Path) -> None:
    """A module imports only from rooms to the left of its own, or from its own room."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    room = "probe" if parts[0] == "__init__" else parts[0]
    for module in _imports(path):
        imported = _room(module)
        imported = "probe" if imported in ("__version__", "probe") else imported
        if room == "cli" and imported == "demo":
            continue  # the door opens to the demo, which is a program of its own
        assert imported == room or POSITION[imported] <= POSITION[room], f"{path}: {module}"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "demo").glob("*.py")), ids=lambda path: str(path.name)
)
def test_demo_is_a_program_of_its_own(path: Path) -> None:
    """The demo imports nothing of the daemon: it uses it as anybody would."""
    rooms = {_room(module) for module in _imports(path)}
    assert rooms <= {"demo", "shipped", "probe"}
