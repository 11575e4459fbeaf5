"""Templates of exported scripts."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import __version__
from probe.config.units import format_number
from probe.load.export_plan import ExportPlan
from probe.resources import template_environment

if TYPE_CHECKING:  # needed only to export
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def render(
    name: str, plan: ExportPlan, filters: dict[str, Callable[..., Any]], **values: Any
) -> str:
    """Return the script of a template, with the values that all templates need."""
    template = _environment(filters).get_template(name)
    return template.render(plan=plan, probe=plan.probe, version=__version__, **values)


def _environment(filters: dict[str, Callable[..., Any]]) -> "Environment":
    environment = template_environment([TEMPLATES], is_html=False)  # `filters` quote
    environment.filters |= {"number": format_number, **filters}
    return environment
