"""The waterfall of a result: a bar for each phase, where the last one ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from probe.result import Component, Phase, RedirectHop, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What took how long (seconds); where it begins and how wide it is, in percent of the whole."""

    name: str
    seconds: float
    begin: float
    width: float
    of_server: bool = False
    """The server's own account of a part of `wait`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBars:
    """One request of a chain of redirects; the only one has no hop."""

    hop: RedirectHop | None
    bars: tuple[Bar, ...]


def request_bars(result: Result) -> list[RequestBars]:
    """The bars of each request, all on one scale."""
    whole = result.latency
    if not result.final_hop:
        return [RequestBars(hop=None, bars=tuple(_bars(result.phases, 0.0, whole, result.server)))]
    told: list[RequestBars] = []
    begin = 0.0
    for hop in (*result.hops, result.final_hop):
        server = result.server if hop is result.final_hop else {}
        told.append(RequestBars(hop=hop, bars=tuple(_bars(hop.phases, begin, whole, server))))
        begin += sum(hop.phases.values())
    return told


def _bars(
    phases: Mapping[Phase, float], begin: float, whole: float, server: Mapping[Component, float]
) -> Iterator[Bar]:
    for phase in Phase:
        if phase in phases:
            yield _bar(phase, begin, phases[phase], whole)
            if phase is Phase.WAIT:
                yield from _server_bars(server, begin, whole)
            begin += phases[phase]


def _server_bars(server: Mapping[Component, float], begin: float, whole: float) -> Iterator[Bar]:
    """One after another from the beginning of `wait`: the server does not say when they were."""
    start = begin
    for component in Component:
        if component in server:
            at = start if component is Component.TOTAL else begin
            yield _bar(component, at, server[component], whole, of_server=True)
            begin += server[component]


def _bar(name: str, begin: float, seconds: float, whole: float, *, of_server: bool = False) -> Bar:
    scale = 100 / whole if whole else 0.0
    return Bar(
        name=name,
        seconds=seconds,
        begin=round(min(begin * scale, 99.5), 2),
        width=round(min(max(seconds * scale, 0.5), 100 - min(begin * scale, 99.5)), 2),
        of_server=of_server,
    )
