"""`inference-probe status`: the probes, objectives and latest failures of the running daemon."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from probe.cli.command import EXIT_OK, UsageError, printable, quote_argument, usage_error
from probe.cli.daemon_client import (
    DaemonClient,
    DaemonError,
    NotFoundError,
    daemon_error,
)
from probe.cli.daemon_flags import add_daemon_flags
from probe.cli.flags import add_output_flag
from probe.formatting import (
    format_budget,
    format_elapsed,
    format_latency,
    format_ratio,
    format_target,
    format_threshold,
    format_time,
)
from probe.statistics.intervals import min_results

TIMEOUT_SECONDS = 10.0

# Probes whose failures are requested: each response may have 200 KB, which the daemon renders.
MAX_PROBES_WITH_FAILURES = 10
# Latest failures of all these probes together.
MAX_FAILURES = 10

# Windows of the state of an objective and of its error budget, as in the pages.
STATE_WINDOW, BUDGET_WINDOW = "5m", "kept"

# Values of `ProbeState`, the most severe first. Its import would take a second of CPU.
STATES = (
    "failed",
    "never_answered",
    "not_measured",
    "slow",
    "over_budget",
    "cold",
    "paused",
    "pending",
    "ok",
)
# States whose reason is the startup grace.
STARTUP_STATES = ("never_answered", "pending")


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = (
        "Probes with a problem come first. Objectives are met or missed in the last 5 minutes.\n"
        "A percentage or budget of few results has their number in parentheses.\n"
        f"With names, up to {MAX_FAILURES} latest failures of these probes together are shown,\n"
        "else the latest failure of each probe.\n"
        "Examples:\n"
        "  inference-probe status\n"
        "  inference-probe status --output=json | jq '.failures[].detail'\n"
        "Exit code: 0 printed, also if probes fail; 1 refused or unreachable, 2 bad usage."
    )
    add_output_flag(add_daemon_flags(parser, environ))
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these probes")


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the state of the daemon that `args` names."""
    try:
        client = DaemonClient(args, environ)
        document = _read_status(client, args.names)
        if args.output == "json":
            text = json.dumps(document, indent=2)
        else:
            text = "\n".join(_lines(document, args.daemon_url, datetime.now(UTC)))
    except UsageError as error:
        return usage_error(error)
    except DaemonError as error:
        return daemon_error(error)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):  # not the JSON of this version's API
        message = f"{args.daemon_url} does not respond like inference-probe of this version"
        return daemon_error(DaemonError(message))
    encoding = sys.stdout.encoding
    print(text.encode(encoding, "backslashreplace").decode(encoding))
    return EXIT_OK


def _read_status(client: DaemonClient, names: Sequence[str]) -> dict[str, Any]:
    """Return the document of `/api/v1/status`, with the probes and their latest failures.

    `names` are the probes to return; empty: all probes. Raises UsageError for an unknown name.
    """

    def get(path: str) -> Any:
        return json.loads(client.request("GET", path, timeout_seconds=TIMEOUT_SECONDS))

    def get_failures(name: str) -> Any:
        try:
            return get(f"/api/v1/probes/{quote(name, safe='')}/results")["failures"]
        except NotFoundError:  # a reload has removed the probe after the previous request
            return []

    status, probes = get("/api/v1/status"), get("/api/v1/probes")["probes"]
    known = [probe["probe"] for probe in probes]
    unknown = [name for name in names if name not in known]
    if unknown:
        from difflib import get_close_matches  # noqa: PLC0415  (takes 2 ms of CPU)

        similar = get_close_matches(unknown[0], known, n=1)
        advice = f", did you mean {printable(similar[0])}?" if similar else ";"
        there_are = ", ".join(map(printable, known))
        raise UsageError(
            f"no probe {', '.join(map(quote_argument, unknown))}{advice} there are: {there_are}"
        )
    if names:
        probes = [probe for probe in probes if probe["probe"] in names]
    probes.sort(key=lambda probe: STATES.index(probe["state"]))
    with_failures = [probe["probe"] for probe in probes if names or _has_failures(probe)]
    # With names, all failures of the probe are of interest, otherwise the last one of each probe.
    each = MAX_FAILURES if names else 1
    failures = [
        failure
        for name in with_failures[:MAX_PROBES_WITH_FAILURES]
        for failure in get_failures(name)[:each]
    ]
    failures.sort(key=lambda failure: str(failure["started"]), reverse=True)
    return {**status, "probes": probes, "failures": failures[:MAX_FAILURES]}


def _has_failures(probe: Mapping[str, Any]) -> bool:
    """Return whether the last result is a failure, or an objective had a bad request."""
    bad = (objective["windows"]["1h"]["bad"] for objective in probe["objectives"])
    return bool(probe["last"] and probe["last"]["reason"]) or any(bad)


def _lines(document: Mapping[str, Any], url: str, now: datetime) -> Iterator[str]:
    yield f"inference-probe {document['version']} at {url}"
    config = document["config"]
    loaded = format_time(datetime.fromisoformat(config["loaded"]))
    if config["last_reload_successful"]:
        yield f"config: loaded {loaded}"
    else:
        yield f"config: the last reload failed; the config loaded at {loaded} is in effect;"
        yield "    `inference-probe check` or the log of the daemon shows the mistakes"
    if document["standstill"]:
        yield document["standstill"]
    yield ""
    head = ("PROBE", "STATE", "LAST RESULT", "LATENCY", "P95", "OBJECTIVE", "5M", "BUDGET LEFT")
    rows = [row for probe in document["probes"] for row in _probe_rows(probe, now)]
    yield from _table(head, rows)
    if document["failures"]:
        yield ""
        failure_head = ("LATEST FAILURES", "PROBE", "REASON", "AFTER", "DETAIL")
        yield from _table(failure_head, map(_failure_row, document["failures"]))


def _probe_rows(probe: Mapping[str, Any], now: datetime) -> Iterator[Sequence[str]]:
    """Yield a row for each objective; the first row also has the state of the probe."""
    last, quantiles = probe["last"], probe["latency_seconds"]
    cells: Sequence[str] = (
        probe["probe"],
        _state_cell(probe),
        _age(last["started"], now) if last else "",
        # The time until a failure is no latency of the model.
        format_latency(last["latency_seconds"]) if last and not last["reason"] else "",
        format_latency(quantiles["p95"]) if quantiles else "",
    )
    objectives = [*map(_objective_cells, probe["objectives"])] or [("-", "", "")]
    yield (*cells, *objectives[0])
    for objective in objectives[1:]:
        yield (*[""] * len(cells), *objective)


def _state_cell(probe: Mapping[str, Any]) -> str:
    state = probe["state"].replace("_", " ")
    if probe["startup_seconds_left"] and probe["state"] in STARTUP_STATES:
        return f"{state} (failures count in {format_elapsed(probe['startup_seconds_left'])})"
    reason = probe["last"] and probe["last"]["reason"]
    return f"{state} ({reason})" if reason else state


def _objective_cells(objective: Mapping[str, Any]) -> Sequence[str]:
    threshold, left = objective["threshold_seconds"], objective["budget_left"]
    signal = "" if objective["signal"] == "latency" else " " + objective["signal"].replace("_", " ")
    limit = "" if threshold is None else f"{signal} < {format_threshold(threshold)}"
    return (
        f"{objective['name']}: {format_target(objective['target'])}{limit}",
        _verdict(objective["windows"][STATE_WINDOW]),
        "" if left is None else format_budget(left) + _few_results(objective),
    )


def _verdict(window: Mapping[str, Any]) -> str:
    """Return whether an objective was met, with the share of good requests in the window."""
    if window["met"] is None:
        return "no requests"
    total = window["good"] + window["bad"]
    verdict = "met" if window["met"] else "missed"
    return f"{verdict} {format_ratio(window['good'] / total)}{_few(total, 0.0)}"


def _few_results(objective: Mapping[str, Any]) -> str:
    window = objective["windows"][BUDGET_WINDOW]
    return _few(window["good"] + window["bad"], objective["target"])


def _few(count: int, ratio: float) -> str:
    """Return the number of results after a statistic about `ratio`, if they are few."""
    if count >= min_results(ratio):
        return ""
    return f" ({count} result{'' if count == 1 else 's'})"


def _failure_row(failure: Mapping[str, Any]) -> Sequence[str]:
    return (
        format_time(datetime.fromisoformat(failure["started"])),
        failure["probe"],
        failure["reason"],
        format_latency(failure["latency_seconds"]),
        failure["detail"],
    )


def _age(started: str, now: datetime) -> str:
    seconds = (now - datetime.fromisoformat(started)).total_seconds()
    return f"{format_elapsed(seconds)} ago"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with aligned columns."""
    table = [[printable(cell).replace("\n", " ") for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
