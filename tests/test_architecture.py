"""The package structure: the allowed imports between packages, and none other."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "probe"

# Modules directly in `probe/` that every package may import.
SHARED = {
    "__version__",
    "clock",
    "rate_limiter",
    "redaction",
    "resources",
    "result",
    "threads",
}

# The allowed edges: a package (or a module directly in `probe/`) and the packages it may import
# in addition to SHARED and itself. The tiers of docs/design.md, top to bottom.
EDGES: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {
        "check",
        "compare",
        "config",
        "daemon",
        "demo",
        "http",
        "load",
        "otlp",
        "prober",
        "prometheus",
        "report",
        "serialization",
        "server",
    },
    "daemon": {
        "check",
        "config",
        "history",
        "http",
        "metrics",
        "otlp",
        "prober",
        "scheduler",
        "server",
    },
    "server": {"config", "history", "metrics", "serialization"},
    "check": {"config", "metrics", "scheduler", "serialization", "slo"},
    "scheduler": {"config", "prober"},
    "prober": {"config", "http"},
    "http": {"config"},
    "metrics": {"config", "scheduler"},
    "history": {"config", "slo"},
    "otlp": {"config", "http", "metrics", "serialization"},
    "serialization": set(),
    "config": {"protocols"},
    "protocols": set(),
    "load": {"charts", "config", "prometheus", "statistics"},
    "charts": set(),
    "prometheus": set(),
    "compare": {"config", "load", "metrics", "prometheus", "statistics"},
    "report": {"charts", "config", "load", "metrics", "prometheus", "server", "slo", "statistics"},
    "slo": {"statistics"},
    "statistics": set(),
    "redaction": set(),
    "demo": {"config"},
}

# The tiers. The core never imports what is above it.
CORE = {"scheduler", "prober", "http", "metrics", "history", "otlp"}
ABOVE_CORE = {
    "server",
    "check",
    "compare",
    "load",
    "report",
    "daemon",
    "cli",
    "demo",
    "__main__",
}


def _package(module: str) -> str:
    """Return the package of a dotted module name: `http` for `probe.http.client`."""
    return module.split(".")[1]


def _imports(path: Path) -> set[str]:
    """Return the packages of `probe` that the module at `path` imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "probe":
            found |= {f"probe.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {_package(module) for module in found if module.startswith("probe.")}


MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def forbidden_imports(path: Path) -> set[str]:
    """Return the packages that the module at `path` (in `probe/`) imports and must not import."""
    package = path.parts[0] if len(path.parts) > 1 else path.stem
    return _imports(PACKAGE / path) - SHARED - EDGES.get(package, set()) - {package}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_import_is_allowed(path: Path) -> None:
    """A module imports only the shared modules, its own package and the packages in EDGES."""
    assert forbidden_imports(path) == set()


def test_edges_have_no_cycle() -> None:
    """The allowed edges are a hierarchy: no package imports itself through others."""
    graph = {
        package: edges if package in SHARED else edges | SHARED for package, edges in EDGES.items()
    }
    TopologicalSorter(graph).prepare()


def test_imports_have_no_cycle() -> None:
    """Neither have the imports that exist, including those between the shared modules."""
    imports: dict[str, set[str]] = {}
    for path in MODULES:
        package = path.parts[0] if len(path.parts) > 1 else path.stem
        imports.setdefault(package, set()).update(_imports(PACKAGE / path) - {package})
    TopologicalSorter(imports).prepare()


@pytest.mark.parametrize("package", sorted(CORE))
def test_core_does_not_import_adapters(package: str) -> None:
    """A probe runs and is counted without the HTTP server, the commands and the daemon."""
    assert not EDGES[package] & ABOVE_CORE
