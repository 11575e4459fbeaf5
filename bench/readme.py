"""README.md, beside this file: each bench writes what it has found between marks of its own."""

from pathlib import Path

README = Path(__file__).with_name("README.md")


def publish(mark: str, text: str, readme: Path = README) -> None:
    """Put it in the place of what the last run wrote; raises ValueError where there is no place."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    written = readme.read_text()
    if begin not in written or end not in written:
        raise ValueError(f"{readme} has no place for the results: write {begin} and {end}")
    before, _, rest = written.partition(begin)
    readme.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")
