"""The probes that `inference-probe compare --now` sends requests to."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from probe.cli.command import UsageError, quote_argument
from probe.cli.compare_options import CompareOptions
from probe.cli.compare_sides import SideArgument
from probe.cli.config_file import LoadedConfig, load_config
from probe.config import loader
from probe.config.choices import Dimension
from probe.config.settings import Probe
from probe.config.validation import DIMENSION_EXAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareTarget:
    """The probes of both sides, and the config that has them."""

    config: LoadedConfig
    a: Probe
    b: Probe

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probes to send requests to: one, if the sides are two values of its dimension."""
        return (self.a,) if self.a.name == self.b.name else (self.a, self.b)


def find_target(
    args: argparse.Namespace, environ: Mapping[str, str], options: CompareOptions
) -> CompareTarget:
    """Return the probes to send requests to. Raises ConfigError and UsageError."""
    flags_of_one_endpoint = dict.fromkeys(("url", "name", "slo", "interval", "json"))
    config = load_config(argparse.Namespace(**vars(args), **flags_of_one_endpoint), environ, loader)
    a, b = options.sides
    target = CompareTarget(config=config, a=_find_probe(config, a), b=_find_probe(config, b))
    if len(target.probes) == 1 and (a.dimension is None or a.dimension is not b.dimension):
        raise UsageError(
            f"{a.text} and {b.text} are requests of one probe; name two values of one dimension,"
            f" such as {a.probe}@version=1 and {a.probe}@version=2"
        )
    return target


def _find_probe(config: LoadedConfig, side: SideArgument) -> Probe:
    if side.month:
        raise UsageError(
            f"{side.text} needs recorded requests: write --prometheus.url instead of --now"
        )
    probes = {probe.name: probe for probe in config.settings.probes}
    if side.probe not in probes:
        raise UsageError(
            f"no probe {quote_argument(side.probe)} in {config.name}; there are:"
            f" {', '.join(probes)}"
        )
    probe = probes[side.probe]
    if side.dimension:
        _require_value(probe, side, config.name)
    return probe


def _require_value(probe: Probe, side: SideArgument, config_name: str) -> None:
    """Raise UsageError if no request of `probe` can have the value of `side`."""
    assert side.dimension, "the side has one"
    if side.dimension is Dimension.PAYLOAD:
        names = [payload.name for payload in probe.payloads]
        if names and side.value not in names:
            raise UsageError(f"{side.text}: no such payload; there are: {', '.join(names)}")
        is_known = bool(names)
    else:
        is_known = getattr(probe, side.dimension) is not None
    if not is_known:
        raise UsageError(
            f"{side.text}: the requests of the probe {probe.name} have no {side.dimension}; write"
            f" in {config_name}: {DIMENSION_EXAMPLES[side.dimension]}"
        )
