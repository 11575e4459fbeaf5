"""Comments at the top of exported scripts: preparations, and what they do not preserve."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from probe.load.export_plan import ExportPlan
from probe.redaction import CREDENTIAL_NAME
from probe.result import Signal

WARNING_OF_LITERALS = (
    "This file has credentials that the config has as plain text ({}): keep it secret, or write"
    " references such as ${{env:TOKEN}} in the config."
)


def preparations(plan: ExportPlan) -> Iterator[str]:
    """Yield what to do before a script runs: files that it reads, and credentials in it."""
    probe, tls = plan.probe, plan.probe.tls
    files = [probe.body_file, *((tls.cert_file, tls.key_file) if plan.is_https else ())]
    if names := [str(path) for path in files if path]:
        yield f"Put next to this file, on each machine: {', '.join(names)}."
    if paths := [reference.name for reference in plan.references if reference.kind == "file"]:
        yield f"Mount the files with secrets, on each machine: {', '.join(paths)}."
    if places := list(_literal_credentials(plan)):
        yield WARNING_OF_LITERALS.format(", ".join(places))


def _literal_credentials(plan: ExportPlan) -> Iterator[str]:
    """Yield the places of the request that have a credential without a reference."""
    url = plan.probe.url
    if not url.has_references and ("@" in urlsplit(url.source).netloc):
        yield "user and password of the URL"
    for name, value in plan.probe.headers.items():
        if CREDENTIAL_NAME.search(name) and not value.has_references:
            yield f"the header {name}"


def differences(plan: ExportPlan) -> Iterator[str]:
    """Yield what the scripts of all programs do not preserve."""
    yield (
        "A step passes if the observed share of good requests is at least the target. `load` needs"
        " a confidence bound, checks that the step was steady, and searches the limit."
    )
    yield "`networks` and `max_bytes` of the config have no effect."
    yield "Times that the server reports are ignored."
    yield "Requests have no `traceparent`."
    expect = plan.probe.expect
    keys = [f"the header {name}" for name in plan.unchecked_headers]
    if expect.json_paths:
        keys.append("`expect.json`")
    if expect.body_matches and plan.body_pattern is None:
        reason = "a stream has its text in parts" if plan.probe.stream else "it has a reference"
        keys.append(f"`expect.body_matches`, because {reason}")
    if expect.finish and not plan.finish_reasons:
        keys.append("`expect.finish`, because it has a reference")
    if keys:
        yield f"Conditions that are not checked: {', '.join(keys)}."
    if plan.probe.redirects:
        yield (
            "After a redirect, other hosts get the headers of the request, too, except"
            " Authorization and Cookie."
        )


def unread_stream_differences(plan: ExportPlan) -> Iterator[str]:
    """Yield what a script does not preserve of a stream that it reads as one body."""
    if not plan.probe.stream:
        return
    yield (
        "The stream is read as one body: its errors, its truncation, its finish reason and its"
        " number of tokens are not checked, and it has no deadlines but the timeout."
    )
    if signals := plan.unmeasured_signals([Signal.LATENCY]):
        names = " and ".join(signal.words for signal in signals)
        yield f"Objectives on the {names} are left out: the script does not measure it."


def read_stream_differences() -> Iterator[str]:
    """Yield what a script does not preserve of a stream whose events it reads."""
    yield (
        "`first_token_timeout` and `stall_timeout` have no effect, and a refusal of the model is a"
        " success unless `expect.finish` says otherwise."
    )
    yield (
        "The time per token is that of all tokens that the server counts. `load` leaves out tokens"
        " that it does not send."
    )
