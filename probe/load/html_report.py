"""The report of a load test as one HTML file."""

import os
from datetime import UTC, datetime
from pathlib import Path

from probe.charts.page import render_page
from probe.config.units import format_percentage
from probe.formatting import format_rate, format_seconds
from probe.load.chart_frame import RatePlane
from probe.load.formatting import format_interval, format_quantile
from probe.load.latency_chart import latency_chart
from probe.load.objective import describe
from probe.load.output import result_sentences
from probe.load.report import LoadReport
from probe.load.stacked_chart import components_chart, phases_chart
from probe.load.throughput_chart import throughput_chart

TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"


class ReportNotWritten(Exception):
    """The report could not be written. The message says where and why."""


def render_html(report: LoadReport, *, created: datetime) -> str:
    """Return a page that needs no other file and no script. `created` has a time zone."""
    plane = RatePlane.of(report)
    return render_page(
        TEMPLATE,
        {
            "percentage": format_percentage,
            "quantile": format_quantile,
            "interval": format_interval,
            "rate": format_rate,
            "seconds": format_seconds,
        },
        {
            "report": report,
            "objectives": describe(report.objectives),
            "sentences": list(result_sentences(report)),
            "latency": latency_chart(plane) if plane else None,
            "throughput": throughput_chart(plane) if plane else None,
            "phases": phases_chart(plane) if plane else None,
            "components": components_chart(plane) if plane else None,
            "created": created.astimezone(UTC).replace(microsecond=0),
        },
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
