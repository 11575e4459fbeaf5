"""Flags of the commands. Each flag has an environment variable that sets its default."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

ENVIRONMENT_PREFIX = "INFERENCE_PROBE_"


class FlagAdder:
    """Adds flags to `parser`, each with an environment variable for its default."""

    def __init__(
        self,
        parser: "argparse.ArgumentParser | argparse._ArgumentGroup",
        environ: Mapping[str, str],
    ) -> None:
        self._parser = parser
        self._environ = environ

    def add(
        self,
        flag: str,
        description: str,
        *,
        default: str | None = None,
        choices: Sequence[str] = (),
        repeated: bool = False,
        once_advice: str | None = None,
        bare_value: str | None = None,
    ) -> None:
        """Add `flag`, such as `--log.level`, whose variable is `INFERENCE_PROBE_LOG_LEVEL`.

        The values of a `repeated` flag are joined with commas, as in its variable. `bare_value`
        is the value of a flag that is given without one. With `once_advice`, the flag may be given
        only once, and the error for a second one has this advice.
        """
        name = flag.removeprefix("--").replace(".", "_").replace("-", "_")
        variable = ENVIRONMENT_PREFIX + name.upper()
        default_note = f"; default {default}" if default else ""
        action: Any = "store"
        if repeated:
            action = _JoinValues
        elif once_advice:
            action = partial(_StoreOnce, advice=once_advice)
        self._parser.add_argument(
            flag,
            dest=name,
            action=action,
            nargs="?" if bare_value else None,
            const=bare_value,
            default=self._environ.get(variable, default),
            type=_value_type(choices, variable),
            metavar="|".join(choices) or flag.rpartition(".")[2].strip("-").upper(),
            help=f"{description}{default_note} [{variable}]",
        )


def add_output_flag(flags: FlagAdder) -> None:
    flags.add("--output", "output format", default="text", choices=("text", "json"))


def add_config_file_flag(flags: FlagAdder) -> None:
    flags.add(
        "--config.file",
        "the config file; default ./probe.yml, or else ./config/probe.yml, "
        "or else /etc/inference-probe/probe.yml",
    )


def add_config_flags(
    parser: argparse.ArgumentParser, environ: Mapping[str, str], *, on_schedule: bool = True
) -> FlagAdder:
    """Add the flags that say what to probe: a config file, or one endpoint.

    A probe that is not `on_schedule` has no interval, and its objectives are another matter.
    """
    flags = FlagAdder(parser, environ)
    add_config_file_flag(flags)
    endpoint = FlagAdder(parser.add_argument_group("one endpoint, without a config file"), environ)
    endpoint.add("--url", "probe this URL")
    endpoint.add("--name", "name of the probe; default made from the URL")
    if on_schedule:
        endpoint.add(
            "--slo",
            'objective, such as "99%% < 500ms", or "99.9%%" for availability; '
            "several need a config file",
            once_advice="for several objectives use a config file",
        )
        endpoint.add("--interval", "time between two probes, such as 10s")
    endpoint.add("--json", "body of the request; makes it a POST")
    return flags


class _JoinValues(argparse.Action):
    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        _option: str | None = None,
    ) -> None:
        current = getattr(namespace, self.dest)
        is_first = current is self.default
        setattr(namespace, self.dest, values if is_first else f"{current},{values}")


class _StoreOnce(argparse.Action):
    """Stores the value of a flag, and rejects the flag if it is given again."""

    def __init__(self, *, advice: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._advice = advice

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not self.default:
            parser.error(f"{option} is given twice; {self._advice}")
        setattr(namespace, self.dest, values)


def _value_type(choices: Sequence[str], variable: str) -> Callable[[str], str]:
    """Return the `type` of a flag. It checks `choices`, which argparse does not do for defaults."""

    def read(value: str) -> str:
        if not value:
            raise argparse.ArgumentTypeError(f"empty; give it a value, or unset {variable}")
        if choices and value not in choices:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(choices)}")
        return value

    return read
