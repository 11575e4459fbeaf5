"""Random responses and configs: valid ones, with mistakes at random places."""

import random
import re
from pathlib import Path

from tests.config.test_fuzz import KEYS, SIGNS, UNITS, WORDS
from tests.raw_responses import BODIES, KINDS, LINES, NAMES, VALUES, RawResponse, response_bytes

EXAMPLES = Path(__file__).parents[1] / "config" / "examples"

# Of all responses. The others are valid, or valid with mistakes.
RANDOM_BYTES_RATIO, MISTAKES_RATIO = 0.1, 0.5

MAX_MISTAKES = 4

# Mistakes are in the first bytes of a response: in the head or in the first chunk.
MAX_MISTAKE_POSITION = 400

# The connection stays open, so that the probe may wait for its timeout of 200 ms: rare, because it
# takes a hundred times longer than other responses.
HOLD_RATIO, RESET_RATIO = 0.001, 0.05

KIND_NAMES = sorted(KINDS)


def random_response(generator: random.Random) -> tuple[str, RawResponse]:
    """Return the kind of a probe, and a response in up to four pieces."""
    kind = generator.choice(KIND_NAMES)
    content = _response_content(generator)
    cuts = sorted(generator.randrange(len(content) + 1) for _ in range(generator.randrange(4)))
    pieces = (content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True))
    ending = generator.choices(
        ("hold", "reset", "close"), (HOLD_RATIO, RESET_RATIO, 1 - HOLD_RATIO - RESET_RATIO)
    )[0]
    return kind, RawResponse(tuple(pieces), ending)


def _response_content(generator: random.Random) -> bytes:
    share = generator.random()
    if share < RANDOM_BYTES_RATIO:
        return generator.randbytes(generator.randrange(300))
    headers = [
        (generator.choice(NAMES), generator.choice(VALUES)) for _ in range(generator.randrange(5))
    ]
    content = response_bytes(
        generator.choice(LINES), headers, generator.choice(BODIES), sized=generator.random() < 0.5
    )
    if share < RANDOM_BYTES_RATIO + MISTAKES_RATIO:
        for _ in range(generator.randint(1, MAX_MISTAKES)):
            start = generator.randrange(min(len(content), MAX_MISTAKE_POSITION) + 1)
            inserted = generator.randbytes(generator.randrange(11))
            content = content[:start] + inserted + content[start + generator.randrange(31) :]
    return content


def config_texts() -> list[str]:
    """Return the example configs, with a value in place of each reference to the environment."""
    texts = (path.read_text() for path in sorted(EXAMPLES.glob("*.yml")))
    return [re.sub(r"\$\{env:\w+\}", "http://127.0.0.1", text) for text in texts]


def random_config(generator: random.Random, texts: list[str]) -> bytes:
    """Return one of the configs with mistakes, in UTF-8 or not."""
    lines = generator.choice(texts).splitlines()
    for _ in range(generator.randint(0, MAX_MISTAKES)):
        _make_mistake(generator, lines)
    content = "\n".join(lines).encode()
    if generator.random() < RANDOM_BYTES_RATIO:
        start = generator.randrange(len(content) + 1)
        content = content[:start] + generator.randbytes(3) + content[start + 3 :]
    return content


def _make_mistake(generator: random.Random, lines: list[str]) -> None:
    """Change one of the lines, in place."""
    index = generator.randrange(len(lines))
    line = lines[index]
    key, colon, _ = line.partition(":")
    indentation = " " * (len(line) - len(line.lstrip()))
    word = generator.choice(WORDS)
    number = f"{generator.choice(('-1', '0', '1.5', '9' * 400))}{generator.choice(UNITS)}"
    position = generator.randrange(len(line) + 1)
    lines[index : index + 1] = generator.choice(
        (
            [],
            [line, line],
            [line[:position]],
            [line[:position] + generator.choice(SIGNS) + line[position:]],
            [" " * generator.randrange(3) + line],
            [line.removeprefix("  ")],
            [key + colon + " " + word],
            [key + colon + " " + number],
            [key + colon + " [" + word + ", " + number + "]"],
            [indentation + generator.choice(KEYS) + ": " + word, line],
            [indentation + generator.choice(KEYS) + ":", line],
        )
    )
    if not lines:
        lines.append("")
