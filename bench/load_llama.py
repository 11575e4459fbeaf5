"""Repeat load tests of llama.cpp: `python -m bench.load_llama [--quick]`.

Searches twice for the highest rate at which first tokens and the time per token of llama.cpp are in
time, with two and with four slots. Its limit is not known, so the two answers are compared. Prints
a table and publishes it in bench/README.md. Exit code 1 if two answers differ by more than 10 %, or
one is missing.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from bench.load_real_time import run_search
from bench.load_searches import Answer
from bench.markdown import aligned_table, environment, publish
from tests.llm.llama_server import llama_server
from tests.llm.tiny_model import write_tiny_model

SLOTS = (2, 4)
SEARCHES = 2
MAX_RATIO = 1.1

# A token takes about 3 ms if one slot is in use.
MODEL_WIDTH = 256
MODEL_LAYERS = 6
OUTPUT_TOKENS = 24

OBJECTIVES = ("95% time_to_first_token < 250ms", "95% time_per_output_token < 20ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Answers of searches for the same limit."""

    slots: int
    answers: Sequence[Answer]

    @property
    def rates(self) -> list[float]:
        """The answers (requests per second), without searches that confirmed no rate."""
        return [answer.rate for answer in self.answers if answer.rate]

    @property
    def ratio(self) -> float:
        """The largest answer divided by the smallest. Infinite if one is missing."""
        complete = len(self.rates) == len(self.answers)
        return max(self.rates) / min(self.rates) if complete else float("inf")

    @property
    def is_met(self) -> bool:
        return self.ratio <= MAX_RATIO


def main() -> int:
    args = _arguments()
    comparisons = list(_compare(SLOTS[:1] if args.quick else SLOTS, 1 if args.quick else SEARCHES))
    text = f"{environment()}; objectives: {', '.join(OBJECTIVES)}.\n\n{_render(comparisons)}"
    print(text)
    if not args.quick:
        publish("load of llama.cpp", text)
    return 0 if all(comparison.is_met for comparison in comparisons) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.load_llama", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one search, only to check that it works"
    )
    return parser.parse_args()


def _compare(slots: Sequence[int], searches: int) -> Iterator[Comparison]:
    with TemporaryDirectory() as directory:
        model = Path(directory) / "tiny.gguf"
        write_tiny_model(model, width=MODEL_WIDTH, layers=MODEL_LAYERS)
        for count in slots:
            answers = []
            for number in range(1, searches + 1):
                print(f"{count} slots: search {number} of {searches}", file=sys.stderr)
                with llama_server(model, slots=count) as url:
                    answers.append(_search(url, Path(directory) / "probe.yml"))
            yield Comparison(slots=count, answers=answers)


def _search(url: str, config: Path) -> Answer:
    config.write_text(yaml.safe_dump(_config(url)))
    flags = (f"--slo={objective}" for objective in OBJECTIVES)
    return run_search("chat", f"--config.file={config}", *flags)


def _config(url: str) -> dict[str, object]:
    """Return the config of a probe whose requests all take as long: no prompt is cached."""
    chat = {
        "model": "tiny",
        "prompt": "ba de fi {{nonce}}",
        "max_tokens": OUTPUT_TOKENS,
        "extra": {"cache_prompt": False, "ignore_eos": True},
    }
    return {"probes": [{"name": "chat", "url": url, "protocol": {"openai-chat": chat}}]}


def _render(comparisons: Sequence[Comparison]) -> str:
    head = ("slots", "answers", "ratio", "at most", "minutes", "requests", "void steps", "met")
    return aligned_table(head, map(_row, comparisons))


def _row(comparison: Comparison) -> tuple[str, ...]:
    answers = comparison.answers
    return (
        str(comparison.slots),
        " / ".join(f"{answer.rate:.1f}/s" if answer.rate else answer.reason for answer in answers),
        f"{comparison.ratio:.3f}",
        f"{MAX_RATIO}",
        " / ".join(f"{answer.seconds / 60:.1f}" for answer in answers),
        " / ".join(f"{answer.requests:,}" for answer in answers),
        " / ".join(str(answer.void_steps) for answer in answers),
        "yes" if comparison.is_met else "**no**",
    )


if __name__ == "__main__":
    sys.exit(main())
