"""What all commands share: their registration, exit codes and usage errors."""

import sys

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class UsageError(Exception):
    """Flags that contradict each other or name something that does not exist."""


def usage_error(error: Exception | str) -> int:
    """Print `error` to stderr and return the exit code for bad usage."""
    print(error, file=sys.stderr)
    return EXIT_USAGE
