"""Links from the pages to other sites: runbook, dashboard and Prometheus."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from probe.config.link_template import find_link_problem

# From a trace id to the URL of the trace; None if it has no page.
TraceUrl = Callable[[str], str | None]

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


def no_trace_url(_trace_id: str) -> None:
    """Return no URL: the config has no link to traces."""


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
    """Return `template` if a page can link to it. Raises ValueError."""
    if problem := find_link_problem(template, PLACEHOLDER):
        raise ValueError(f"--web.{title}-url: {problem}; write, for example, {_EXAMPLES[title]}")
    return template
