"""Load tests as scripts of Locust, for one process or for a master with workers."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from probe.config.choices import EventFormat, IpFamily, TlsVersion
from probe.config.response_settings import EVENT_PATH_STEP_PATTERN
from probe.config.secrets import Reference
from probe.load.arrivals import Arrivals
from probe.load.export_plan import ExportPlan
from probe.load.objective import LoadObjective
from probe.load.script_literals import PYTHON
from probe.load.script_notes import (
    differences,
    preparations,
    read_stream_differences,
    unread_stream_differences,
)
from probe.load.script_template import render
from probe.result import Signal

# Part of the smallest limit of an objective by which a request may start late.
LATE_PART = 0.1

_STEP = re.compile(EVENT_PATH_STEP_PATTERN)

_TLS_VERSIONS = {TlsVersion.TLS12: "TLSv1_2", TlsVersion.TLS13: "TLSv1_3"}


def render_locust(plan: ExportPlan) -> str:
    """Return the script of `plan`."""
    tls = plan.probe.tls
    stream = _stream(plan)
    objectives = plan.objectives_on(list(Signal) if stream else [Signal.LATENCY])
    return render(
        "locust.py.j2",
        plan,
        {"py": PYTHON.json},
        preparations=list(preparations(plan)),
        differences=[*_differences(plan), *differences(plan)],
        imports=list(_imports(plan)),
        uses_certifi=plan.is_https and not (tls.ca_file or tls.insecure_skip_verify),
        uses_files=_uses_files(plan),
        objectives={objective.text: _literal(objective) for objective in objectives},
        late_seconds=_late_seconds(plan, objectives),
        stream=stream,
        has_accept_encoding=_has_header(plan, "accept-encoding"),
        may_have_user=_may_have_user(plan),
        document=PYTHON.json(plan.probe.json_body) if _has_json(plan) else None,
        body=_body(plan),
        ca_file=_sibling(tls.ca_file) if tls.ca_file else "certifi.where()",
        certificate_files=", ".join(
            _sibling(path) for path in (tls.cert_file, tls.key_file) if path
        ),
        tls_version=_TLS_VERSIONS[tls.min_version],
        pool=_pool(plan),
        request_arguments=_request_arguments(plan),
    )


def _stream(plan: ExportPlan) -> Mapping[str, Any] | None:
    """Return the paths of the events that the script reads. None if it reads no events."""
    stream = plan.probe.stream
    if stream is None or stream.format not in (EventFormat.SSE, EventFormat.NDJSON):
        return None
    tokens = (*stream.content, *stream.refusal, *stream.reasoning, *stream.tool_call)
    return {
        "is_sse": stream.format is EventFormat.SSE,
        "tokens": _paths(tokens),
        "skip": _paths(stream.skip),
        "output": _paths(stream.usage.output),
        "error": _paths(stream.error),
        "finish": _paths(stream.finish),
        "end": stream.end,
    }


def _paths(paths: Iterable[str]) -> list[list[Any]]:
    """Return the type of the events and the steps of each path."""
    parsed = []
    for path in paths:
        kind, _, steps = path.partition("$")
        parsed.append([kind.removesuffix(":"), list(map(_step, _STEP.findall(steps)))])
    return parsed


def _step(text: str) -> str | int:
    """Return the step that is written as `.name`, `[0]` or `[*]`."""
    if text.startswith("."):
        return text[1:]
    return "*" if text == "[*]" else int(text[1:-1])


def _literal(objective: LoadObjective) -> Mapping[str, Any]:
    return {
        "signal": str(objective.signal),
        "target": objective.target,
        "seconds": objective.threshold_seconds,
    }


def _late_seconds(plan: ExportPlan, objectives: Iterable[LoadObjective]) -> float:
    """Return how late a request may start: a part of the smallest threshold that it affects."""
    affected = [
        objective.threshold_seconds
        for objective in objectives
        if objective.threshold_seconds is not None
        and objective.signal is not Signal.TIME_PER_OUTPUT_TOKEN
    ]
    return LATE_PART * min([*affected, plan.probe.timeout])


def _imports(plan: ExportPlan) -> Iterator[str]:
    """Yield the lines that import modules of the standard library."""
    modules = {
        "itertools": "sequence" in plan.variables,
        "json": _has_json(plan) or _stream(plan) is not None,
        "math": True,
        "os": any(reference.kind == "env" for reference in _references(plan)),
        "random": plan.arrivals is Arrivals.POISSON or "nonce" in plan.variables,
        "re": bool(plan.body_pattern or plan.variables),
        "ssl": plan.is_https,
        "time": True,
    }
    names = {
        "collections": ("Counter", True),
        "datetime": ("UTC, datetime", "now" in plan.variables),
        "pathlib": ("Path", _uses_files(plan)),
        "urllib.parse": ("unquote, urlsplit", _may_have_user(plan) or plan.probe.proxy),
    }
    yield from (f"import {module}" for module, is_used in modules.items() if is_used)
    yield from (f"from {module} import {name}" for module, (name, used) in names.items() if used)


def _references(plan: ExportPlan) -> list[Reference]:
    """Return the references in the request and in the proxy."""
    parts = plan.probe.proxy.parts if plan.probe.proxy else ()
    return [*plan.references, *(part for part in parts if isinstance(part, Reference))]


def _uses_files(plan: ExportPlan) -> bool:
    probe, tls = plan.probe, plan.probe.tls
    certificates = plan.is_https and (tls.ca_file or tls.cert_file)
    references = any(reference.kind == "file" for reference in _references(plan))
    return bool(probe.body_file or certificates or references)


def _may_have_user(plan: ExportPlan) -> bool:
    """Return whether the URL may have a user. A configured header has precedence over it."""
    url = plan.probe.url
    return not _has_header(plan, "authorization") and ("@" in url.source or url.has_references)


def _has_header(plan: ExportPlan, name: str) -> bool:
    """Return whether the config has the header with this lower-case name."""
    return any(header.lower() == name for header in plan.probe.headers)


def _has_json(plan: ExportPlan) -> bool:
    probe = plan.probe
    return probe.json_body is not None and not (probe.body or probe.body_file)


def _body(plan: ExportPlan) -> str:
    """Return an expression for the bytes of the body before its variables are replaced."""
    probe = plan.probe
    if probe.body_file:
        return f"({_sibling(probe.body_file)}).read_bytes()"
    if probe.body:
        return f"({PYTHON.template(probe.body)}).encode()"
    return "json.dumps(DOCUMENT).encode()" if _has_json(plan) else "None"


def _sibling(path: Path) -> str:
    """Return an expression for the path of a file next to the script."""
    return f"HERE / {PYTHON.text(path.name)}"


def _pool(plan: ExportPlan) -> str:
    """Return the call that opens a pool of connections, one argument per line."""
    probe, tls = plan.probe, plan.probe.tls
    arguments = ["PROXY", "proxy_headers=PROXY_HEADERS"] if probe.proxy else []
    arguments.append("maxsize=MAX_IN_FLIGHT")
    if plan.is_https:
        arguments.append("ssl_context=TLS")
        if tls.server_name:
            arguments.append(f"server_hostname={PYTHON.text(tls.server_name)}")
    return f"urllib3.{'ProxyManager' if probe.proxy else 'PoolManager'}({_lines(arguments, 8)}"


def _request_arguments(plan: ExportPlan) -> str:
    """Return the arguments of a request, one per line."""
    redirects = plan.probe.redirects
    no_retries = "total=None, connect=0, read=0, status=0, other=0"
    retries = f"urllib3.Retry({no_retries}, redirect={redirects})" if redirects else "False"
    arguments = [
        "METHOD",
        "URL",
        f"body={'with_variables(BODY)' if plan.variables else 'BODY'}",
        "headers=HEADERS",
        f"retries={retries}",
        *(["preload_content=False"] if _stream(plan) else []),
    ]
    return _lines(arguments, 12 if plan.is_new_connection else 8)


def _lines(arguments: Iterable[str], margin: int) -> str:
    return "".join(f"\n{' ' * margin}{argument}," for argument in arguments)


def _differences(plan: ExportPlan) -> Iterator[str]:
    yield (
        "Times are those of the Python interpreter, not of the kernel. They begin when a request is"
        " due, so they include up to a millisecond or two in which the worker is late."
    )
    yield from read_stream_differences() if _stream(plan) else unread_stream_differences(plan)
    if plan.probe.ip_family is not IpFamily.ANY:
        yield "`ip_family` has no effect: urllib3 uses the addresses in the order of the system."
    if "sequence" in plan.variables:
        yield "{{sequence}} has gaps if workers send different numbers of requests."
