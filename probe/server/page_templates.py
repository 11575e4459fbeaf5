"""Templates of the pages, compiled in a child process.

Jinja2 needs 0.1 s for it, in which no probe could run, and leaves 2 MB of fragmented memory.
"""

import logging
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from probe import __version__, formatting
from probe.clock import rfc3339
from probe.config.child_process import ChildProcess
from probe.history.objectives import StatusWindow
from probe.history.phase_wording import EARLIER_HOURS, SLOWER_NOTE
from probe.history.snapshots import MAX_EXCERPTS
from probe.redaction import redact_config_url
from probe.resources import template_environment
from probe.serialization import spending_summary, stream_summary, variant_summary
from probe.server.charts import MAX_STATUS_BARS, request_bars
from probe.server.lean_jinja import import_jinja
from probe.server.summary import ProbeState
from probe.statistics.intervals import min_results

if TYPE_CHECKING:  # loaded with the first page: a daemon that serves metrics only saves 2 MB
    from jinja2 import Environment

PACKAGE_DIR = Path(__file__).parent

logger = logging.getLogger(__name__)

_lock = threading.Lock()


def page_templates() -> "Environment":
    """Return the environment with all templates of the pages."""
    with _lock:  # threads that need it at the same time would otherwise each compile it
        return _compiled_environment()


@cache
def _compiled_environment() -> "Environment":
    codes: dict[str, bytes] = {}
    function = "probe.server.page_templates:compile_templates"
    try:
        with ChildProcess(function, purpose="compiles the templates of the pages") as process:
            import_jinja()
            codes = process.result()
    except ChildProcessError as error:  # e.g. a limit on processes
        logger.warning("%s; this process compiles them", error)
    environment = _environment(codes)
    _load(environment)
    codes.clear()  # 0.2 MB that are not needed any more
    return environment


def compile_templates() -> dict[str, bytes]:
    """Return the bytecode of all templates, by the keys of Jinja2's caches."""
    codes: dict[str, bytes] = {}
    _load(_environment(codes))
    return codes


def _load(environment: "Environment") -> None:
    for name in environment.list_templates():
        environment.get_template(name)


def _environment(codes: dict[str, bytes]) -> "Environment":
    """Return the environment of the pages. Templates that are not in `codes` are added to it."""
    from probe.server.bytecode_cache import MappingBytecodeCache  # noqa: PLC0415  (imports Jinja2)

    environment = template_environment([PACKAGE_DIR / "templates"], is_html=True)
    environment.bytecode_cache = MappingBytecodeCache(codes)
    filters = (
        formatting.format_budget,
        formatting.format_budget_use,
        formatting.format_elapsed,
        formatting.format_expiry,
        formatting.format_latency,
        formatting.format_ratio,
        formatting.format_target,
        formatting.format_threshold,
        formatting.format_time,
        variant_summary,
        redact_config_url,
        request_bars,
        rfc3339,
        spending_summary,
        stream_summary,
    )
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters.update(in_path=lambda name: quote(name, safe=""))
    environment.globals |= {
        "version": __version__,
        "windows": tuple(StatusWindow),
        "states": tuple(ProbeState),
        "min_results": min_results,
        "max_status_bars": MAX_STATUS_BARS,
        "max_excerpts": MAX_EXCERPTS,
        "earlier_hours": EARLIER_HOURS,
        "slower_note": SLOWER_NOTE,
    }
    return environment
