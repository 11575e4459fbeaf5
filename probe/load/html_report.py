"""The report of a load test as one HTML file."""

import base64
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from probe import __version__
from probe.config.units import format_percentage
from probe.load.chart_frame import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, RatePlane
from probe.load.formatting import format_interval, format_quantile, format_rate, format_seconds
from probe.load.latency_chart import latency_chart
from probe.load.objective import describe
from probe.load.output import result_sentences
from probe.load.report import LoadReport
from probe.load.stacked_chart import components_chart, phases_chart
from probe.load.throughput_chart import throughput_chart
from probe.resources import page_style

if TYPE_CHECKING:  # needed only to write a report
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


class ReportNotWritten(Exception):
    """The report could not be written. The message says where and why."""


def render_html(report: LoadReport, *, created: datetime) -> str:
    """Return a page that needs no other file and no script. `created` has a time zone."""
    plane = RatePlane.of(report)
    style = page_style() + (TEMPLATES / "report.css").read_text(encoding="utf-8")
    created = created.astimezone(UTC).replace(microsecond=0)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            objectives=describe(report.objectives),
            sentences=list(result_sentences(report)),
            latency=latency_chart(plane) if plane else None,
            throughput=throughput_chart(plane) if plane else None,
            phases=phases_chart(plane) if plane else None,
            components=components_chart(plane) if plane else None,
            created=created,
            style=style,
            policy=_content_security_policy(style),
        )
    )


def write_report(path: Path, html: str) -> None:
    """Write `html` to `path`. Raise ReportNotWritten and keep the previous file if it fails."""
    content = html.encode("utf-8", "replace")
    try:
        if path.exists() and not path.is_file():
            # A device such as /dev/stdout must not be replaced by a file.
            path.write_bytes(content)
        else:
            _replace_file(path.resolve(), content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportNotWritten(f"cannot write the report {path}: {reason}") from error


def _replace_file(path: Path, content: bytes) -> None:
    """Write a new file and rename it to `path`, so that the file is never incomplete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            # Some file systems report a full disk only now.
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _content_security_policy(style: str) -> str:
    """Return a policy that allows `style` and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _environment() -> "Environment":
    # Imported here because it is slow, and few commands need it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percentage": format_percentage,
        "quantile": format_quantile,
        "interval": format_interval,
        "rate": format_rate,
        "seconds": format_seconds,
        # For style sheets of this package.
        "trusted": Markup,
    }
    environment.globals |= {
        "version": __version__,
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "top": TOP,
        "bottom": BOTTOM,
    }
    return environment
