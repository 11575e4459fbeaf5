"""What `inference-probe load` tests: a probe and its objectives."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass

from probe.cli.command import UsageError, quote_argument
from probe.cli.config_file import LoadedConfig, load_config
from probe.cli.load_options import LoadOptions
from probe.config import loader
from probe.config.settings import Probe
from probe.load.objective import LoadObjective
from probe.result import STREAM_SIGNALS


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTarget:
    """The probe to run, and what must hold. `config` has the probe, and possibly others."""

    config: LoadedConfig
    probe: Probe
    objectives: tuple[LoadObjective, ...]
    """Without the limit of errors."""
    error_limit: LoadObjective | None

    @property
    def all_objectives(self) -> tuple[LoadObjective, ...]:
        return (*self.objectives, *((self.error_limit,) if self.error_limit else ()))


def find_target(
    args: argparse.Namespace, environ: Mapping[str, str], options: LoadOptions
) -> LoadTarget:
    if args.probe_name and not args.url and re.search("://|:[0-9]+(/|$)", args.probe_name):
        raise UsageError("NAME is the name of a probe in a config; write --url=URL for an endpoint")
    # --slo is not the objective of a config here: it also applies to the probes of a file.
    config_args = argparse.Namespace(**{**vars(args), "slo": None, "interval": None})
    config = load_config(config_args, environ, loader)
    probe = _find_probe(config, args.probe_name)
    objectives = options.objectives or tuple(map(LoadObjective.of, probe.objectives))
    if not objectives:
        raise UsageError(
            f"the probe {probe.name} has no objective; write one, such as --slo='95% < 500ms'"
        )
    streams = [objective for objective in objectives if objective.signal in STREAM_SIGNALS]
    if streams and probe.stream is None:
        raise UsageError(
            f"--slo: {streams[0].text} needs a stream, and the probe {probe.name} has none; write"
            " `stream` or the `protocol` of a stream in its config"
        )
    ratio = options.max_error_ratio
    return LoadTarget(
        config=config,
        probe=probe,
        objectives=objectives,
        error_limit=None if ratio is None else LoadObjective.error_limit(ratio),
    )


def _find_probe(config: LoadedConfig, name: str | None) -> Probe:
    """Return the probe `name`, or the only one. Raises UsageError."""
    probes = {probe.name: probe for probe in config.settings.probes}
    names = ", ".join(probes)
    if name is None:
        if len(probes) > 1:
            raise UsageError(f"{config.name} has several probes; name one of: {names}")
        return config.settings.probes[0]
    if name not in probes:
        raise UsageError(f"no probe {quote_argument(name)} in {config.name}; there are: {names}")
    return probes[name]
