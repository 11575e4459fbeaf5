"""Selects, sorts and groups the probes of the page of all probes, by the query of its URL.

The parameters are `q` (words that occur in the name, the URL, a label or the failure reason),
`state` and `group_by` (the name of a label).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from probe.metrics.recorder import shown_url
from probe.server.summary import ProbeState, ProbeSummary

# Each probe is compared with each word of the text.
MAX_WORDS = 32

_SEVERITY = {state: rank for rank, state in enumerate(ProbeState)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """The query of the page of all probes. It selects all probes if it is empty."""

    text: str = ""
    state: ProbeState | None = None
    group_by: str = ""

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        """Return the query in the parameters of a URL.

        Raises ValueError for an unknown state or too many words.
        """
        words = list(dict.fromkeys(parameters.get("q", "").split()))
        if len(words) > MAX_WORDS:
            raise ValueError(f"q has {len(words)} different words; write {MAX_WORDS} at most")
        state = parameters.get("state", "")
        if state and state not in {*ProbeState}:
            raise ValueError(f"no state {state!r}; there are: {', '.join(ProbeState)}")
        return cls(
            text=" ".join(words),
            state=ProbeState(state) if state else None,
            group_by=parameters.get("group_by", ""),
        )

    @property
    def selects_all(self) -> bool:
        return not self.text and self.state is None

    def link(self, **changes: Any) -> str:
        """Return the URL of the page with this query, after `changes` of its fields."""
        changed = replace(self, **changes)
        fields = {"q": changed.text, "state": changed.state, "group_by": changed.group_by}
        parameters = urlencode({name: value for name, value in fields.items() if value})
        return f"/?{parameters}" if parameters else "/"

    def matches(self, summary: ProbeSummary) -> bool:
        """Return whether the page shows this probe."""
        if self.state not in (None, summary.state):
            return False
        return not self.text or _contains(summary, self.text.lower().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeGroup:
    """Probes with the same value of the label `group_by`, the most severe first.

    `value` is None for probes without the label, and for all probes if they are not grouped.
    """

    value: str | None
    summaries: Sequence[ProbeSummary]

    @property
    def counts(self) -> Mapping[ProbeState, int]:
        return count_states(self.summaries)


def count_states(summaries: Iterable[ProbeSummary]) -> dict[ProbeState, int]:
    """Return the number of probes in each state that a probe has, the most severe first."""
    counts = Counter(summary.state for summary in summaries)
    return {state: counts[state] for state in ProbeState if counts[state]}


def label_names(summaries: Iterable[ProbeSummary]) -> list[str]:
    """Return the names of all labels of the probes."""
    return sorted({name for summary in summaries for name in summary.probe.labels})


def group_probes(summaries: Iterable[ProbeSummary], query: ListQuery) -> list[ProbeGroup]:
    """Return the probes that `query` selects, in groups: those with the worst probes first.

    Without `group_by` they are one group. Probes without the label are the last group.
    """
    selected = sorted(filter(query.matches, summaries), key=_severity)
    if not query.group_by:
        return [ProbeGroup(value=None, summaries=selected)]
    groups: dict[str | None, list[ProbeSummary]] = {}
    # Inserted in the order of severity, so the order of the groups is that of their worst probes.
    for summary in selected:
        # As in Prometheus, an empty label is the same as none.
        groups.setdefault(summary.probe.labels.get(query.group_by) or None, []).append(summary)
    without_label = groups.pop(None, None)
    if without_label:
        groups[None] = without_label
    return [ProbeGroup(value=value, summaries=members) for value, members in groups.items()]


def _severity(summary: ProbeSummary) -> tuple[int, bool]:
    """Return the sort key: the state, and within it missed objectives first."""
    return _SEVERITY[summary.state], not summary.missed


def _contains(summary: ProbeSummary, words: Iterable[str]) -> bool:
    """Return whether each of `words` (in lower case) occurs in the texts of the probe."""
    labels = (f"{name}={value}" for name, value in summary.probe.labels.items())
    failure = summary.last.failure if summary.last else None
    reasons = (failure.reason, failure.detail) if failure else ()
    text = "\n".join((summary.name, shown_url(summary.probe), *labels, *reasons)).lower()
    return all(word in text for word in words)
