"""Search for configs and responses that cause a crash: `python -m bench.fuzz [--minutes 10]`.

Runs the property-based tests with new examples repeatedly. Hypothesis reduces an example that fails
and prints it. It also stores it in `.hypothesis`, so that the tests start with it from then on.
"""

import argparse
import sys
import time

from tests.config.test_fuzz import test_any_bytes, test_any_text, test_any_values
from tests.prober.test_fuzz import test_any_response
from tests.raw_responses import raw_response_server

CONFIGS = (test_any_text, test_any_bytes, test_any_values)


def main() -> int:
    until = time.monotonic() + _parser().parse_args().minutes * 60
    rounds = 0
    with raw_response_server() as server:
        while time.monotonic() < until:
            test_any_response(server)
            for test in CONFIGS:
                test()
            rounds += 1
    print(f"{rounds} rounds without a failure")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
