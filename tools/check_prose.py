"""Find phrases that are not plain English: `python -m tools.check_prose`.

Prints `FILE:LINE: PHRASE: TEXT` for each occurrence in probe/, docs/, config/, rules/ and the
Markdown files at the top level. Exits with 1 if there is one.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIRECTORIES = ("probe", "docs", "config", "rules")
SUFFIXES = {".css", ".html", ".js", ".json", ".md", ".py", ".yaml", ".yml"}

# Regular expressions of whole words: relative clauses as subjects, hints in place of facts, and
# old-fashioned phrases. Each has a plain form, which is usually shorter.
REJECTED = (
    "(any|every|some)body",
    "nobody",
    "who(m|so)?ever",
    "so many",
    "who (asks?|knows?|looks?|needs?|reads?|sees|waits?|wants?|writes?)",
    "what (came|comes|becomes|became) of",
    "what (is|are) (given|left|owed|promised|written)",
    "told|said|whom",
    "that is (not )?so",
    "of (its|their) own",
    "(for|of|in) which there (is|are)",
    "the like of|its like",
    "com(e|es|ing) to nothing",
    "for want of",
    "no sooner",
    "anew",
)
PATTERN = re.compile(rf"\b(?:{'|'.join(REJECTED)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A rejected phrase in a line (counted from 1) of a file."""

    path: Path
    line: int
    phrase: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.phrase}: {self.text.strip()}"


def rejected_phrases() -> Iterator[Occurrence]:
    """Yield the occurrences in all files that are checked."""
    for path in _files():
        for number, text in enumerate(path.read_text().splitlines(), 1):
            for match in PATTERN.finditer(text):
                yield Occurrence(path, number, match[0], text)


def _files() -> list[Path]:
    files = [path for name in DIRECTORIES for path in (ROOT / name).rglob("*")]
    return sorted(
        [*ROOT.glob("*.md"), *(path for path in files if path.suffix in SUFFIXES)],
    )


def main() -> int:
    argparse.ArgumentParser(
        "python -m tools.check_prose",
        description="Find phrases that are not plain English.",
    ).parse_args()
    occurrences = list(rejected_phrases())
    for occurrence in occurrences:
        print(occurrence)
    return 1 if occurrences else 0


if __name__ == "__main__":
    sys.exit(main())
