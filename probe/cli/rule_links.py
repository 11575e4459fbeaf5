"""Links in the annotations of the bundled rules: to the runbook, and to a dashboard."""

import re

from probe import __version__
from probe.config.http_types import split_url

# The runbook that the bundled rules link to, at the newest version.
_RUNBOOK = "https://github.com/inference-probe/inference-probe/blob/main/rules/README.md"

# An annotation in the text of a rule file. Its fragment is the heading of the alert.
_ANNOTATION = re.compile(rf"^( *)runbook_url: {re.escape(_RUNBOOK)}(#\w+)$", re.MULTILINE)

_TEMPLATE_ACTION = re.compile(r"\{\{.*?\}\}")
_PROBE_ACTION = "{{$labels.probe}}"


def set_links(
    rules: str, *, runbook_url: str | None = None, dashboard_url: str | None = None
) -> str:
    """Return `rules`, the text of a rule file, with other links in the annotations.

    `runbook_url` is a page with a heading for each alert, by default the runbook of the installed
    version. `dashboard_url` is added to each alert; None adds nothing. Raises ValueError for an
    invalid URL.
    """
    default_runbook = _RUNBOOK.replace("/main/", f"/v{__version__}/")
    if runbook_url is not None:
        _check_runbook_url(runbook_url)
    if dashboard_url is not None:
        _check_url("--dashboard-url", dashboard_url)

    def replace(annotation: re.Match[str]) -> str:
        indent, fragment = annotation.groups()
        url = _quote(runbook_url + fragment) if runbook_url else default_runbook + fragment
        links = f"{indent}runbook_url: {url}"
        if dashboard_url:
            links += f"\n{indent}dashboard_url: {_quote(dashboard_url)}"
        return links

    return _ANNOTATION.sub(replace, rules)


def _check_runbook_url(url: str) -> None:
    _check_url("--runbook-url", url)
    if "#" in url:
        raise ValueError(
            f"--runbook-url: {url!r} has a fragment; write the URL without it, because each link "
            "ends with the name of its alert, such as #modeldown"
        )


def _check_url(flag: str, url: str) -> None:
    try:
        parts = split_url(url)
    except ValueError as error:
        message = str(error).replace("http://HOST:PORT/PATH, or https://", "https://HOST/PATH")
        raise ValueError(f"{flag}: {message}") from None
    if parts.username is not None:
        raise ValueError(f"{flag}: alerts show this URL; write it without user and password")
    _check_template(flag, url)


def _check_template(flag: str, url: str) -> None:
    """Check the template actions of an alert's annotation. Prometheus rejects a whole rule file."""
    rest = _TEMPLATE_ACTION.sub("", url)
    if "{{" in rest or "}}" in rest:
        raise ValueError(f"{flag}: a template is not closed; write one such as {_PROBE_ACTION}")
    if "{probe}" in rest:
        raise ValueError(f"{flag}: {{probe}} is not replaced in alerts; write {_PROBE_ACTION}")


def _quote(url: str) -> str:
    """Return `url` as a YAML scalar."""
    return "'" + url.replace("'", "''") + "'"
