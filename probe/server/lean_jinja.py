"""Imports Jinja2 without its compiler.

The compiler takes 0.5 MB of memory, and half of the time of the import, in which other threads wait
for the GIL.
"""

import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any

# The modules that compile templates, with what Jinja2's environment imports from them.
_COMPILER = {
    "jinja2.compiler": ("CodeGenerator", "generate"),
    "jinja2.lexer": ("Lexer", "TokenStream", "get_lexer"),
    "jinja2.parser": ("Parser",),
}


def import_jinja() -> None:
    """Import Jinja2. Its compiler is imported when it is used.

    If Jinja2 has been imported before, this has no effect.
    """
    if "jinja2" in sys.modules:  # another thread may import the compiler now
        return
    substitutes: dict[str, Any] = {
        module: SimpleNamespace(**{name: _Deferred(module, name) for name in names})
        for module, names in _COMPILER.items()
    }
    sys.modules.update(substitutes)
    try:
        import_module("jinja2")
    finally:
        for name in substitutes:
            del sys.modules[name]


class _Deferred:
    """Callable that imports its module on the first call."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **options: Any) -> Any:
        return getattr(import_module(self._module), self._name)(*args, **options)
