"""Load tests as scripts of Locust, for one process or for a master with workers."""

from collections.abc import Iterator
from pathlib import Path

from probe.config.choices import IpFamily, TlsVersion
from probe.config.secrets import Reference
from probe.load.export_plan import ExportPlan
from probe.load.script_literals import PYTHON
from probe.load.script_notes import differences, preparations, stream_difference
from probe.load.script_template import render

# Part of the smallest limit of an objective by which a request may start late.
LATE_PART = 0.1

_TLS_VERSIONS = {TlsVersion.TLS12: "TLSv1_2", TlsVersion.TLS13: "TLSv1_3"}


def render_locust(plan: ExportPlan) -> str:
    """Return the script of `plan`."""
    limits = [limit.seconds for limit in plan.limits if limit.seconds is not None]
    tls = plan.probe.tls
    return render(
        "locust.py.j2",
        plan,
        {"py": PYTHON.json},
        preparations=list(preparations(plan)),
        differences=[*_differences(plan), *differences(plan), *stream_difference(plan)],
        imports=list(_imports(plan)),
        uses_certifi=plan.is_https and not (tls.ca_file or tls.insecure_skip_verify),
        uses_files=_uses_files(plan),
        late_seconds=LATE_PART * min([*limits, plan.probe.timeout]),
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


def _imports(plan: ExportPlan) -> Iterator[str]:
    """Yield the lines that import modules of the standard library."""
    modules = {
        "itertools": "sequence" in plan.variables,
        "json": _has_json(plan),
        "math": True,
        "os": any(reference.kind == "env" for reference in _references(plan)),
        "random": plan.arrivals == "poisson" or "nonce" in plan.variables,
        "re": bool(plan.body_pattern or plan.variables),
        "ssl": plan.is_https,
        "time": True,
    }
    names = {
        "collections": ("Counter", True),
        "datetime": ("datetime, timezone", "now" in plan.variables),
        "pathlib": ("Path", _uses_files(plan)),
        "urllib.parse": ("unquote, urlsplit", _may_have_user(plan)),
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
        return f"{_sibling(probe.body_file)}.read_bytes()"
    if probe.body:
        return f"({PYTHON.template(probe.body)}).encode()"
    return "json.dumps(DOCUMENT).encode()" if _has_json(plan) else "None"


def _sibling(path: Path) -> str:
    """Return an expression for the path of a file next to the script."""
    return f"HERE / {PYTHON.text(path.name)}"


def _pool(plan: ExportPlan) -> str:
    """Return the expression that creates the connections of a request, or of all requests."""
    probe, tls = plan.probe, plan.probe.tls
    arguments = ["maxsize=MAX_IN_FLIGHT"]
    if plan.is_https:
        arguments.append("ssl_context=TLS")
        if tls.server_name:
            arguments.append(f"server_hostname={PYTHON.text(tls.server_name)}")
    if not probe.proxy:
        return f"urllib3.PoolManager({', '.join(arguments)})"
    return f"urllib3.ProxyManager(PROXY, proxy_headers=PROXY_HEADERS, {', '.join(arguments)})"


def _request_arguments(plan: ExportPlan) -> str:
    body = "with_variables(BODY)" if plan.variables else "BODY"
    redirects = plan.probe.redirects
    retries = f"urllib3.Retry(0, redirect={redirects})" if redirects else "False"
    return f"METHOD, URL, body={body}, headers=HEADERS, retries={retries}"


def _differences(plan: ExportPlan) -> Iterator[str]:
    yield (
        "Times are those of the Python interpreter, not of the kernel. They begin when a request is"
        " due, so they include up to a millisecond or two in which the worker is late."
    )
    if plan.probe.ip_family is not IpFamily.ANY:
        yield "`ip_family` has no effect: urllib3 uses the addresses in the order of the system."
    if "sequence" in plan.variables:
        yield "{{sequence}} has gaps if workers send different numbers of requests."
