"""Links from the pages to other sites: runbook, dashboard and Prometheus."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

PLACEHOLDER = "{probe}"

_EXAMPLES = {
    "runbook": "https://wiki.example/runbooks/{probe}",
    "dashboard": "https://grafana.example/d/inference-probe?var-probe={probe}",
    "prometheus": "https://prometheus.example/graph",
}


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link on the pages. `template` is its URL, in which PLACEHOLDER is the name of a probe."""

    title: str
    template: str

    @property
    def needs_probe(self) -> bool:
        """Whether the link leads to a page about one probe."""
        return PLACEHOLDER in self.template

    def url(self, probe: str) -> str:
        """Return the URL for the probe with this name, which is percent-encoded."""
        return self.template.replace(PLACEHOLDER, quote(probe, safe=""))


def page_links(templates: Mapping[str, str | None]) -> tuple[PageLink, ...]:
    """Return the links for URLs by title; a title without URL has no link.

    Raises ValueError for a URL that is not absolute, or has another placeholder.
    """
    return tuple(
        PageLink(title, _checked(title, template))
        for title, template in templates.items()
        if template
    )


def _checked(title: str, template: str) -> str:
    """Return `template` if a browser can open it, and it has no user. Raises ValueError."""
    flag, example = f"--web.{title}-url", f"write, for example, {_EXAMPLES[title]}"
    if re.search(r"//[^/?#]*@", template):
        message = "the pages show this URL; write it without user and password"
        raise ValueError(f"{flag}: {message}; {example}")
    try:
        parts = urlsplit(template)
        has_host = bool(parts.hostname) and parts.port != 0
        is_absolute = parts.scheme in ("http", "https") and has_host
    except ValueError:
        is_absolute = False
    if not is_absolute or not re.fullmatch(r"[!-~]+", template):
        raise ValueError(f"{flag}: not an absolute http or https URL; {example}")
    if re.search("[{}]", template.replace(PLACEHOLDER, "")):
        raise ValueError(
            f"{flag}: the only placeholder is {PLACEHOLDER}; "
            f"write %7B and %7D for other braces; {example}"
        )
    return template
