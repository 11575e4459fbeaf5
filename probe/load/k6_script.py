"""Load tests as scripts of k6, which k6-operator distributes over pods."""

from collections.abc import Iterator
from pathlib import Path

from probe.config.choices import IpFamily, TlsVersion
from probe.config.units import format_duration
from probe.load.arrivals import Arrivals
from probe.load.export_plan import ExportPlan
from probe.load.script_literals import JAVASCRIPT
from probe.load.script_notes import differences, preparations, unread_stream_differences
from probe.load.script_template import render
from probe.result import Signal

# Iterations that k6 starts for each request of Poisson arrivals. The variation of the times between
# requests is the square root of 0.9, that of Poisson arrivals is 1.
ITERATIONS_PER_REQUEST = 10

_DNS_POLICIES = {IpFamily.ANY: "any", IpFamily.V4: "onlyIPv4", IpFamily.V6: "onlyIPv6"}


def render_k6(plan: ExportPlan) -> str:
    """Return the script of `plan`."""
    body = _body(plan)
    kinds = {reference.kind for reference in plan.references}
    needs_clock = plan.probe.redirects > 0
    return render(
        "k6.js.j2",
        plan,
        {"js": JAVASCRIPT.json},
        preparations=[*preparations(plan), *_preparations(plan)],
        differences=[*_differences(plan), *differences(plan), *unread_stream_differences(plan)],
        environment=[ref.name for ref in plan.references if ref.kind == "env"],
        iterations_per_request=ITERATIONS_PER_REQUEST,
        headers=JAVASCRIPT.json(plan.headers, "  "),
        timeout=format_duration(plan.probe.timeout),
        body=body,
        body_argument=_body_argument(plan, body),
        objectives={
            _metric_name(objective.threshold_seconds): objective
            for objective in plan.objectives_on([Signal.LATENCY])
        },
        checks=list(_checks(plan)),
        options=dict(_options(plan)),
        needs_clock=needs_clock,
        uses_execution=bool(plan.warm_up_seconds or "sequence" in plan.variables),
        uses_env="env" in kinds,
        uses_file="file" in kinds,
    )


def _metric_name(threshold_seconds: float | None) -> str:
    """Return the name of the share of good requests: letters, digits and `_`."""
    if threshold_seconds is None:
        return "good"
    return f"good_within_{format_duration(threshold_seconds).replace('.', '_')}"


def _body(plan: ExportPlan) -> str | None:
    """Return an expression for the body before its variables are replaced. None without a body."""
    probe = plan.probe
    if probe.body_file:
        return f"open({_sibling(probe.body_file)}, 'b')"
    if probe.body:
        return JAVASCRIPT.template(probe.body)
    return None if probe.json_body is None else JAVASCRIPT.json_text(probe.json_body)


def _body_argument(plan: ExportPlan, body: str | None) -> str:
    if body is None:
        return "null"
    return "withVariables(BODY)" if plan.variables else "BODY"


def _checks(plan: ExportPlan) -> Iterator[str]:
    """Yield the expressions that must be true for a success, besides that of the status."""
    for name, values in plan.header_values.items():
        allowed = JAVASCRIPT.json(values)
        yield f"hasHeader(response, {JAVASCRIPT.text(name)}, {allowed})"
    if text := plan.literal_body_match:
        yield f"response.body !== null && response.body.includes({JAVASCRIPT.text(text)})"


def _options(plan: ExportPlan) -> Iterator[tuple[str, str]]:
    """Yield the options of connections, with their values as JavaScript."""
    probe, tls = plan.probe, plan.probe.tls
    if plan.is_new_connection:
        yield "noConnectionReuse", "true"
    yield "dns", f"{{ ttl: '0', select: 'first', policy: '{_DNS_POLICIES[probe.ip_family]}' }}"
    if not plan.is_https:
        return
    if tls.min_version is TlsVersion.TLS13:
        yield "tlsVersion", "'tls1.3'"
    if tls.insecure_skip_verify:
        yield "insecureSkipTLSVerify", "true"
    if tls.cert_file:
        certificate, key = _sibling(tls.cert_file), _sibling(tls.key_file or tls.cert_file)
        yield "tlsAuth", f"[{{ cert: open({certificate}), key: open({key}) }}]"


def _sibling(path: Path) -> str:
    """Return the path of a file next to the script."""
    return JAVASCRIPT.text(f"./{path.name}")


def _preparations(plan: ExportPlan) -> Iterator[str]:
    probe, tls = plan.probe, plan.probe.tls
    if probe.proxy:
        yield "Set HTTP_PROXY and HTTPS_PROXY to `proxy` of the config, because k6 has no option."
    if not plan.is_https:
        return
    yield "Set GODEBUG=http2client=0, otherwise k6 uses HTTP/2 if the server offers it."
    if tls.ca_file and not tls.insecure_skip_verify:
        yield f"Set SSL_CERT_FILE to {tls.ca_file}, because k6 has no option for CA certificates."


def _differences(plan: ExportPlan) -> Iterator[str]:
    probe = plan.probe
    yield (
        "Times are those of k6, not of the kernel. They begin when k6 starts a request, not when it"
        " is due, and k6 does not report how late it is."
    )
    if plan.arrivals is Arrivals.POISSON:
        yield (
            "k6 has no Poisson arrivals. See ITERATIONS_PER_REQUEST for what replaces them. Metrics"
            " of iterations count those without a request, too."
        )
    yield (
        "With k6-operator, each pod evaluates the thresholds for its own requests only. To evaluate"
        " those of all pods, send the metrics to a database."
    )
    if not plan.is_new_connection:
        yield "Each virtual user has its own connection, so the first requests open connections."
    if plan.is_https and probe.tls.server_name and not probe.tls.insecure_skip_verify:
        yield "`tls.server_name` has no effect: k6 verifies the host of the URL."
    if probe.expect.body_matches and plan.body_pattern and plan.literal_body_match is None:
        yield "`expect.body_matches` is not checked: JavaScript has other regular expressions."
    if "sequence" in plan.variables:
        yield "{{sequence}} begins with 1 in each step, and has gaps."
