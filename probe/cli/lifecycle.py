"""`inference-probe pause`, `resume`, `reload` and `healthy`: requests to the running daemon."""

import argparse
from collections.abc import Mapping

from probe.cli.command import EXIT_OK, UsageError, printable, usage_error
from probe.cli.daemon_client import (
    DaemonClient,
    DaemonError,
    daemon_error,
)
from probe.cli.daemon_flags import add_daemon_flags

# Below the timeout of the image's HEALTHCHECK (3 s), so that the reason is printed. The daemon
# takes up to 1 s to report that its scheduler has stopped.
HEALTHY_TIMEOUT_SECONDS = 2.5
TIMEOUT_SECONDS = 10.0
# The response of a healthy daemon. The server has its own copy: to import it takes 0.3 s of CPU.
HEALTHY_MESSAGE = "inference-probe is healthy"
# A reload reads files, perhaps from a slow network file system, and waits for earlier reloads.
RELOAD_TIMEOUT_SECONDS = 60.0

_NEEDS_LIFECYCLE = "Needs a daemon with --web.enable-lifecycle."
_EXIT_CODES = "Exit code: 0 done, 1 refused or unreachable, 2 bad usage."

_EPILOGS = {
    "pause": f"""\
The daemon starts no scheduled probes until `inference-probe resume`. Alerts about
missing results are muted; InferenceProbePaused fires after 4 hours.
{_NEEDS_LIFECYCLE}
Example, before maintenance:
  inference-probe pause
{_EXIT_CODES}""",
    "resume": f"""\
{_NEEDS_LIFECYCLE}
Example, after maintenance:
  inference-probe resume && inference-probe status
{_EXIT_CODES}""",
    "reload": f"""\
Prints the changes. If the config is invalid, prints its problems and changes nothing.
{_NEEDS_LIFECYCLE}
Example:
  inference-probe check && inference-probe reload
{_EXIT_CODES}""",
    "healthy": """\
The daemon is healthy if its scheduler runs. Failing probes do not make it unhealthy.
Examples:
  inference-probe healthy
  inference-probe healthy --daemon.url=https://localhost:10115 --daemon.ca-file=ca.pem
Exit code: 0 healthy, 1 unhealthy, refused or unreachable, 2 bad usage.""",
}


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = _EPILOGS[parser.get_default("command")]
    add_daemon_flags(parser, environ)


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Send the request of the command `args.command`, and print the daemon's message."""
    method = "GET" if args.command == "healthy" else "POST"
    timeouts = {"healthy": HEALTHY_TIMEOUT_SECONDS, "reload": RELOAD_TIMEOUT_SECONDS}
    timeout_seconds = timeouts.get(args.command, TIMEOUT_SECONDS)
    try:
        client = DaemonClient(args, environ)
        text = client.request(method, f"/-/{args.command}", timeout_seconds=timeout_seconds)
        if args.command == "healthy":
            _require_daemon(text, args.daemon_url)
    except UsageError as error:
        return usage_error(error)
    except DaemonError as error:
        return daemon_error(error)
    print(printable(text.strip()))
    return EXIT_OK


def _require_daemon(text: str, url: str) -> None:
    """Raise DaemonError unless `text` is the message of a healthy daemon.

    A model server on the same port may respond with the status 200 to every path.
    """
    if text.strip() != HEALTHY_MESSAGE:
        response = printable(text.strip())[:100]
        raise DaemonError(f"{url} is not inference-probe (it responds: {response!r})")
