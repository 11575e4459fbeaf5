"""What `inference-probe load` tests: a probe and its objectives, and the permission to test it."""

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from probe.cli.command import UsageError, quote_argument
from probe.cli.config_file import LoadedConfig, load_config
from probe.cli.load_options import LoadOptions
from probe.config.schema import Probe
from probe.load.objective import LoadObjective
from probe.redaction import redact_config_url
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
    config = load_config(config_args, environ)
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


def require_permission(probe: Probe, options: LoadOptions, *, is_allowed: bool) -> None:
    """Ask before a test of an endpoint elsewhere. Raises UsageError without the permission."""
    if is_allowed or _is_on_loopback(probe):
        return
    host = urlsplit(redact_config_url(probe.url.source)).netloc or "this endpoint"
    max_rate = options.rates[-1] if options.rates else options.max_rate
    question = f"Send up to {max_rate:g} requests per second to {host}?"
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise UsageError("stopped: no requests were sent")
    raise UsageError(
        f"{host} is not on this machine. A load test can overload it for all of its users. To send"
        f" up to {max_rate:g} requests per second, add --yes; --max-rate and --max-requests limit"
        " the load"
    )


def _is_on_loopback(probe: Probe) -> bool:
    """Return whether the URL is known to be of this machine. With a proxy it is not."""
    host = urlsplit(probe.url.source).hostname or ""
    if probe.proxy or "${" in probe.url.source:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
