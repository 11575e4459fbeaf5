"""Selects, sorts, groups and pages the probes of the list of all probes, by the query of its URL.

The parameters are `q` (words that occur in the name, the URL, a label or the failure reason),
`state`, `group_by` (the name of a label) and `page`.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Self
from urllib.parse import urlencode

from probe.redaction import redact_config_url
from probe.server.summary import ListedProbe, ProbeState
from probe.threads import yield_gil

# Each probe is compared with each word of the text.
MAX_WORDS = 32
# Probes on one page of the list. The page takes 1 ms and 2 kB for each.
MAX_PROBES_PER_PAGE = 200
_MAX_PAGE_DIGITS = 6

_SEVERITY = {state: rank for rank, state in enumerate(ProbeState)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """The query of the list of all probes. It selects all probes if it is empty."""

    text: str = ""
    state: ProbeState | None = None
    group_by: str = ""
    page: int = 1

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        """Return the query in the parameters of a URL.

        Raises ValueError for an unknown state, too many words, or a page that is not a number.
        """
        search_words = list(dict.fromkeys(parameters.get("q", "").split()))
        count = len(search_words)
        if count > MAX_WORDS:
            raise ValueError(f"q has {count} different words; write {MAX_WORDS} at most")
        state = parameters.get("state", "")
        if state and state not in {*ProbeState}:
            raise ValueError(f"no state {state!r}; there are: {', '.join(ProbeState)}")
        page = parameters.get("page", "") or "1"
        if not re.fullmatch(f"[1-9][0-9]{{0,{_MAX_PAGE_DIGITS - 1}}}", page):
            raise ValueError(f"no page {page[:20]!r}; write a number from 1 on")
        return cls(
            text=" ".join(search_words),
            state=ProbeState(state) if state else None,
            group_by=parameters.get("group_by", ""),
            page=int(page),
        )

    @property
    def selects_all(self) -> bool:
        return not self.text and self.state is None

    def link(self, **changes: Any) -> str:
        """Return the URL of the list with this query, after `changes` of its fields.

        It is the first page, unless `changes` has another one.
        """
        changed = replace(self, **{"page": 1, **changes})
        fields = {
            "q": changed.text,
            "state": changed.state,
            "group_by": changed.group_by,
            "page": changed.page if changed.page > 1 else None,
        }
        parameters = urlencode({name: value for name, value in fields.items() if value})
        return f"/?{parameters}" if parameters else "/"

    def matches(self, probe: ListedProbe) -> bool:
        """Return whether the list shows this probe."""
        if self.state not in (None, probe.state):
            return False
        return not self.text or _contains(probe, self.text.lower().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeGroup:
    """Probes with the same value of the label `group_by`, the most severe first.

    `value` is None for probes without the label, and for all probes if they are not grouped.
    `counts` cover the whole group, also if the page shows a part of it.
    """

    value: str | None
    probes: Sequence[ListedProbe]
    counts: Mapping[ProbeState, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of the list: number `number` of `count`. `total` probes are on all pages."""

    groups: Sequence[ProbeGroup]
    number: int
    count: int
    total: int

    @property
    def first(self) -> int:
        """Position of the first probe of this page among all, from 1 on."""
        return (self.number - 1) * MAX_PROBES_PER_PAGE + 1

    @property
    def last(self) -> int:
        """Position of the last probe of this page."""
        return min(self.number * MAX_PROBES_PER_PAGE, self.total)


def count_states(probes: Iterable[ListedProbe]) -> dict[ProbeState, int]:
    """Return the number of probes in each state that a probe has, the most severe first."""
    counts = Counter(probe.state for probe in probes)
    return {state: counts[state] for state in ProbeState if counts[state]}


def label_names(probes: Iterable[ListedProbe]) -> list[str]:
    """Return the names of all labels of the probes."""
    return sorted({name for listed in probes for name in listed.probe.labels})


def select_page(probes: Iterable[ListedProbe], query: ListQuery) -> ListPage:
    """Return the page that `query` selects, or the last one if there are fewer pages."""
    groups = _group_probes(probes, query)
    total = sum(len(group.probes) for group in groups)
    count = max(1, math.ceil(total / MAX_PROBES_PER_PAGE))
    number = min(query.page, count)
    skipped, places = (number - 1) * MAX_PROBES_PER_PAGE, MAX_PROBES_PER_PAGE
    shown = []
    for group in groups:
        members = group.probes[skipped : skipped + places]
        skipped = max(0, skipped - len(group.probes))
        places -= len(members)
        if members:
            shown.append(replace(group, probes=members))
    return ListPage(groups=shown, number=number, count=count, total=total)


def _group_probes(probes: Iterable[ListedProbe], query: ListQuery) -> list[ProbeGroup]:
    """Return the probes that `query` selects, in groups: those with the worst probes first.

    Without `group_by` they are one group. Probes without the label are the last group.
    """
    # `sorted` would not let other threads run.
    by_severity: defaultdict[tuple[int, bool], list[ListedProbe]] = defaultdict(list)
    for listed in yield_gil(filter(query.matches, probes)):
        by_severity[_severity(listed)].append(listed)
    selected = chain.from_iterable(by_severity[severity] for severity in sorted(by_severity))
    groups: dict[str | None, list[ListedProbe]] = {}
    # Inserted in the order of severity, so the order of the groups is that of their worst probes.
    for listed in yield_gil(selected):
        # As in Prometheus, an empty label is the same as none.
        value = listed.probe.labels.get(query.group_by) or None if query.group_by else None
        groups.setdefault(value, []).append(listed)
    without_label = groups.pop(None, None)
    if without_label:
        groups[None] = without_label
    return [
        ProbeGroup(value=value, probes=members, counts=count_states(yield_gil(members)))
        for value, members in groups.items()
    ]


def _severity(probe: ListedProbe) -> tuple[int, bool]:
    """Return the sort key: the state, and within it missed objectives first."""
    return _SEVERITY[probe.state], not probe.missed


def _contains(listed: ListedProbe, search_words: Iterable[str]) -> bool:
    """Return whether each of `search_words` (in lower case) occurs in the texts of the probe."""
    labels = (f"{name}={value}" for name, value in listed.probe.labels.items())
    failure = listed.overview.last_failure()
    reasons = (failure.reason, failure.detail) if failure else ()
    url = redact_config_url(listed.probe.url.source)
    text = "\n".join((listed.name, url, *labels, *reasons)).lower()
    return all(word in text for word in search_words)
