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
    "malloc",
    "rate_limiter",
    "redaction",
    "resources",
    "result",
    "result_batch",
    "threads",
    "value_class",
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
        "formatting",
        "http",
        "load",
        "otlp",
        "prober",
        "prometheus",
        "remote_server",
        "report",
        "serialization",
        "server",
        "statistics",
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
    "server": {"config", "formatting", "history", "metrics", "serialization", "statistics"},
    "check": {"config", "metrics", "scheduler", "serialization", "slo"},
    "scheduler": {"config", "prober"},
    "prober": {"config", "http"},
    "http": {"config"},
    "metrics": {"config", "scheduler"},
    "history": {"config", "formatting", "slo"},
    "otlp": {"config", "http", "metrics", "remote_server", "serialization"},
    "serialization": set(),
    "formatting": {"serialization"},
    "config": {"protocols"},
    "protocols": set(),
    "load": {"charts", "config", "formatting", "prometheus", "statistics"},
    "charts": set(),
    "prometheus": {"metrics", "remote_server"},
    "remote_server": set(),
    "compare": {"config", "formatting", "metrics", "prometheus", "statistics"},
    "report": {
        "charts",
        "config",
        "formatting",
        "history",
        "metrics",
        "prometheus",
        "slo",
        "statistics",
    },
    "slo": {"statistics"},
    "statistics": set(),
    "redaction": set(),
    "demo": {"config"},
}

# The tiers of docs/design.md, top to bottom.
TIERS = {
    "composition": {"cli", "daemon"},
    "adapters": {"server", "check", "load", "compare", "report", "demo"},
    "core": {"scheduler", "prober", "http", "metrics", "history", "otlp", "prometheus"},
    "base": {
        "serialization",
        "formatting",
        "config",
        "protocols",
        "slo",
        "remote_server",
        "charts",
        "statistics",
    },
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


def test_tiers_are_complete() -> None:
    """Each package of EDGES is in one tier."""
    packages = sorted(package for tier in TIERS.values() for package in tier)
    assert packages == sorted(EDGES.keys() - SHARED - {"__main__"})


@pytest.mark.parametrize("tier", TIERS)
def test_edges_go_down(tier: str) -> None:
    """No edge goes to a higher tier: a probe runs and is counted without server and commands."""
    names = list(TIERS)
    higher = {package for name in names[: names.index(tier)] for package in TIERS[name]}
    assert {package: found for package in TIERS[tier] if (found := EDGES[package] & higher)} == {}


def test_adapters_do_not_import_each_other() -> None:
    """What several adapters need is in a lower tier, so that each can change alone."""
    adapters = TIERS["adapters"]
    assert {package: found for package in adapters if (found := EDGES[package] & adapters)} == {}
